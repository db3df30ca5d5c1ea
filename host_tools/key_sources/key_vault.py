"""The group key as a secret of Azure Key Vault, read once over TLS by Azure's own SDK.

Source: "Key Vault REST API, Get Secret". The key comes to this process's memory; a vault can not
derive without giving it away. Never run against Azure itself: see docs/keys.md.
"""

import logging
import re
from dataclasses import dataclass
from typing import Any

from host_tools.errors import CommandError
from host_tools.key_sources.extras import needed
from host_tools.key_sources.source import HeldKey

_EXTRA = "key-vault"
_URL = re.compile(
    r"(?P<vault>https://(?P<host>[0-9A-Za-z.-]+)(:[0-9]{1,5})?)"
    r"/secrets/(?P<name>[0-9A-Za-z-]{1,127})(/(?P<version>[0-9A-Za-z]{1,64}))?/?"
)
# a person waits: the SDK's own would be ten retries and five minutes for a connection
_PATIENCE = {"retry_total": 3, "connection_timeout": 10, "read_timeout": 20}


@dataclass(frozen=True)
class SecretPlace:
    """Where a secret is; version: None for the newest."""

    vault: str
    name: str
    version: str | None

    def __str__(self) -> str:
        return f"{self.vault}/secrets/{self.name}"


def parse(url: str) -> SecretPlace:
    """Read a secret's identifier, as the portal shows it; CommandError."""
    match = _URL.fullmatch(url)
    if match is None:
        raise CommandError(
            "a key source keyvault:URL takes a secret's identifier, "
            "e.g. keyvault:https://contoso.vault.azure.net/secrets/dps-group"
        )
    return SecretPlace(match["vault"], match["name"], match["version"])


def from_key_vault(url: str, credential: Any = None, **options: Any) -> HeldKey:
    """Return the key in a vault; credential: DefaultAzureCredential; CommandError.

    options go to the SDK's client.
    """
    place = parse(url)
    secrets = needed("azure.keyvault.secrets", _EXTRA)
    identity = needed("azure.identity", _EXTRA)
    # without a handler Python prints the SDK's warnings, of many lines, to stderr
    logging.getLogger("azure").addHandler(logging.NullHandler())
    with (
        credential or identity.DefaultAzureCredential() as credential,
        secrets.SecretClient(place.vault, credential, **_PATIENCE | options) as client,
    ):
        text = _value(client, place)
    return HeldKey.from_text(text, f"the group key in {place}")


def _value(client: Any, place: SecretPlace) -> str:
    errors = needed("azure.core.exceptions", _EXTRA)
    try:
        return client.get_secret(place.name, place.version).value or ""
    except errors.HttpResponseError as error:  # ClientAuthenticationError is one
        raise CommandError(_refusal(error, place)) from None
    except (errors.ServiceRequestError, errors.ServiceResponseError) as error:
        raise CommandError(_unreachable(error, place)) from None
    except ValueError:  # the SDK's: the challenge names another service than this host's
        raise CommandError(
            f"{place.vault} asks for a token of another service: it is no Key Vault"
        ) from None


def _refusal(error: Any, place: SecretPlace) -> str:
    if error.status_code is None:  # it never came to asking the vault
        return (
            "Azure gives no access token: sign in with `az login`, or set AZURE_TENANT_ID, "
            "AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"
        )
    if error.status_code == 404:
        return f"{place} is not there: look at its name, or at the version"
    if error.status_code == 401:
        return f"{place.vault} does not take the access token: it may be of another tenant"
    if error.status_code == 403 and "SecretDisabled" in str(error):
        return f"{place} is disabled, expired or not valid yet"
    if error.status_code == 403:
        return (
            f"{place} may not be read by whoever signed in here: give them the role "
            "Key Vault Secrets User, and let the vault's firewall pass this machine"
        )
    return f"{place.vault} answers {error.status_code} ({error.reason}): try again later"


def _unreachable(error: Exception, place: SecretPlace) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return (
            f"the certificate of {place.vault} is not trusted: is there a proxy that opens TLS? "
            "Name its CA in REQUESTS_CA_BUNDLE"
        )
    return f"{place.vault} can not be reached: check its name and the network, then try again"
