"""What both kinds of enrollment have in common on a page: status, hubs, policies, twin, keys.

Owns the fields and their words. Doesn't own which enrollment is meant: group.py, individual.py.
"""

from dataclasses import replace
from typing import Any

from host_tools.emulator.dps.enrollment import (
    REPROVISIONING,
    WEBHOOK_API_VERSION,
    Enrollment,
    Webhook,
)
from host_tools.emulator.key_pair import KeyPair, generate_keys
from host_tools.emulator.portal.desk import Desk, Facts, Secret
from host_tools.emulator.portal.forms import Form, FormError
from host_tools.errors import CommandError
from host_tools.keys import decode_key, encode_key

ALLOCATIONS = {
    "hashed": "Evenly weighted: one of the hubs, by the device's name",
    "geoLatency": "Lowest latency: the nearest hub, by the bench's own table",
    "static": "Static: always the same hub",
    "custom": "Custom: the one that a web-hook of yours names",
}
AGAIN = {
    "migrate": "Migrate: the device gets the new hub, and its twin comes along",
    "reset": "Reset: the device gets the new hub and starts from the initial twin",
    "never": "Never: the device stays at the hub it has",
}


def reprovisioning(enrollment: Enrollment) -> str:
    """Return the name of a reprovisioning policy."""
    terms = enrollment.update_hub, enrollment.migrate_data and enrollment.update_hub
    return next(name for name, wanted in REPROVISIONING.items() if wanted == terms)


def policy_facts(desk: Desk, enrollment: Enrollment | None) -> Facts:
    """Return what the fields of an enrollment show; None for one that is still to be made."""
    linked = sorted(desk.cloud.dps.linked_hubs)
    webhook = enrollment.webhook if enrollment else None
    return {
        "linked": linked,
        "allocations": ALLOCATIONS,
        "reprovisionings": AGAIN,
        "allocation": enrollment.allocation if enrollment else "hashed",
        "reprovisioning": reprovisioning(enrollment) if enrollment else "migrate",
        "hubs_chosen": [hub.lower() for hub in enrollment.hubs] if enrollment else linked[:1],
        "webhook": _without_query(webhook) if webhook else "",
        "api_version": webhook.api_version if webhook else WEBHOOK_API_VERSION,
        "initial_twin": enrollment.initial_twin if enrollment else None,
        "edge": enrollment.edge if enrollment else False,
    }


# an Azure function's address has its key behind the ?
def _without_query(webhook: Webhook) -> str:
    address, question, _ = webhook.url.partition("?")
    return f"{address}{question}\N{HORIZONTAL ELLIPSIS}" if question else address


def policy_fields(desk: Desk, form: Form, before: Enrollment | None = None) -> dict[str, Any]:
    """Return an enrollment's fields as a form has them; raise FormError.

    before: the enrollment that is to be changed, whose web-hook stays if none is typed.
    """
    allocation = form.choice("allocation", ALLOCATIONS)
    hubs = form.several("hubs", sorted(desk.cloud.dps.linked_hubs))
    if allocation == "static" and len(hubs) != 1:
        raise FormError("hubs", "The static policy takes exactly one hub.")
    update_hub, migrate_data = REPROVISIONING[form.choice("reprovisioning", REPROVISIONING)]
    return {
        "allocation": allocation,
        "hubs": hubs,
        "webhook": _webhook(form, before) if allocation == "custom" else None,
        "update_hub": update_hub,
        "migrate_data": migrate_data,
        "initial_twin": form.json_object("initial_twin") or None,
        "edge": form.ticked("edge"),
    }


def _webhook(form: Form, before: Enrollment | None) -> Webhook:
    address, version = form.text("webhook"), form.text("api_version", WEBHOOK_API_VERSION)
    if not address and before and before.webhook:
        return replace(before.webhook, api_version=version)
    if not address.startswith(("http://", "https://")):
        raise FormError("webhook", "Give an address that begins with https:// or http://.")
    return Webhook(address, version)


def own_keys(form: Form) -> KeyPair:
    """Return the keys that were typed in; what is missing is generated when it is kept."""
    return KeyPair(_key(form, "primary_key"), _key(form, "secondary_key"))


def _key(form: Form, name: str) -> bytes:
    text = form.text(name)
    if not text:
        return b""
    try:
        return decode_key(text, "the key")
    except CommandError as error:
        raise FormError(name, f"{str(error)[:1].upper()}{str(error)[1:]}.") from None


def shown(keys: KeyPair) -> list[Secret]:
    """Return keys to show."""
    return [
        Secret("Primary key", encode_key(keys.primary)),
        Secret("Secondary key", encode_key(keys.secondary)),
    ]


def regenerated(keys: KeyPair, which: str) -> KeyPair:
    """Return the keys with the primary or the secondary one made anew."""
    new = generate_keys()
    primary = which == "primary"
    return KeyPair(new.primary if primary else keys.primary,
                   keys.secondary if primary else new.secondary)  # fmt: skip
