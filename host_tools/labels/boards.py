"""Which boards get a label: from the ledger, with what stands on it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from host_tools.errors import CommandError
from host_tools.labels.code import Label
from host_tools.ledger import Identity
from keystead.registration_id import format_mac

SHORT = 16  # hex digits of a fingerprint


@dataclass(frozen=True)
class Labelled:
    """A board as its label shows it."""

    registration_id: str
    serial: str
    mac: str
    chip: str
    batch: str
    fingerprint: str

    @property
    def code(self) -> str:
        """Return the text in its QR code."""
        return Label(self.registration_id, self.fingerprint, self.batch).text()


def labelled(identity: Identity) -> Labelled:
    """Return what stands on a board's label. Raises CommandError if it has no key yet."""
    if identity.fingerprint is None:
        raise CommandError(
            f"{identity.registration_id} has no key yet (it is {identity.state}): flash it first"
        )
    return Labelled(
        identity.registration_id,
        identity.serial,
        format_mac(identity.mac, ":"),
        identity.chip,
        identity.batch,
        identity.fingerprint[:SHORT],
    )


def with_keys(identities: Iterable[Identity]) -> Iterator[Labelled]:
    """Give the labels of those that have a key."""
    return (labelled(one) for one in identities if one.fingerprint is not None)
