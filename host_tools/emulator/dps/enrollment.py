"""Enrollment: who may register at DPS, with which keys, and the hub they get.

Owns the two kinds of enrollment, their keys, and which of them a token belongs to. Doesn't own
how they got here (config.py) nor where generated keys are kept (store.py).
Source: "Symmetric key attestation"; "DPS terminology".
"""

import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from host_tools.emulator.access import AccessDenied, Reason, Token, check_key
from host_tools.keys import derive_device_key

KEY_SIZE = 64  # bytes of a generated key, as the portal makes them


@dataclass(frozen=True)
class KeyPair:
    """A primary and a secondary key, both valid; b"" is one that is still to be generated."""

    primary: bytes = field(default=b"", repr=False)
    secondary: bytes = field(default=b"", repr=False)

    def __iter__(self) -> Iterator[bytes]:
        return iter((self.primary, self.secondary))

    def completed(self, spare: "KeyPair") -> "KeyPair":
        """Return this pair, with spare's key where there is none."""
        return KeyPair(self.primary or spare.primary, self.secondary or spare.secondary)

    def derived_for(self, registration_id: str) -> "KeyPair":
        """Return the device keys of one member of the group whose keys these are."""
        return KeyPair(*(derive_device_key(key, registration_id) for key in self))


def generate_keys(random: Callable[[int], bytes] = secrets.token_bytes) -> KeyPair:
    """Return two new keys."""
    return KeyPair(random(KEY_SIZE), random(KEY_SIZE))


@dataclass(frozen=True)
class EnrollmentGroup:
    """Devices that share a pair of group keys; each signs with a key derived from one of them."""

    name: str
    hub: str
    keys: KeyPair = KeyPair()
    enabled: bool = True

    @property
    def group(self) -> str:
        """Return the group's name."""
        return self.name

    @property
    def label(self) -> str:
        """Return what to call it before people."""
        return f"enrollment group {self.name}"

    def device_id(self, registration_id: str) -> str:
        """Return the name a member gets at its hub: its own spelling of its registration ID."""
        return registration_id

    def device_keys(self, registration_id: str) -> KeyPair:
        """Return the keys a member may sign with."""
        return self.keys.derived_for(registration_id)


@dataclass(frozen=True)
class IndividualEnrollment:
    """One device, which signs with the enrollment's own keys."""

    registration_id: str
    hub: str
    keys: KeyPair = KeyPair()
    assigned_device_id: str = ""  # "" for the registration ID
    enabled: bool = True

    group = ""
    label = "its individual enrollment"

    def device_id(self, registration_id: str) -> str:
        """Return the device's name at its hub."""
        return self.assigned_device_id or registration_id

    def device_keys(self, registration_id: str) -> KeyPair:
        """Return the keys the device may sign with."""
        return self.keys


Enrollment = EnrollmentGroup | IndividualEnrollment


def fold(registration_id: str) -> str:
    """Return the spelling by which registration IDs are compared: they ignore case."""
    return registration_id.lower()


class Enrollments:
    """All enrollments of one DPS instance, individual ones before groups."""

    def __init__(
        self, groups: Iterable[EnrollmentGroup], individuals: Iterable[IndividualEnrollment]
    ) -> None:
        self._groups = list(groups)
        self._individuals = {fold(one.registration_id): one for one in individuals}

    def find(self, registration_id: str, token: Token) -> Enrollment:
        """Return the enrollment under which token was signed, enabled or not.

        Raises AccessDenied with the likeliest reason: signing with the wrong one of several keys
        is the mistake that everybody makes once.
        """
        individual = self._individuals.get(fold(registration_id))
        if individual:
            self._check_individual(individual, registration_id, token)
            return individual
        if not self._groups:
            raise AccessDenied(Reason.NOT_ENROLLED)
        for group in self._groups:
            if token.is_signed_with(group.device_keys(registration_id)):
                return group
        raise AccessDenied(self._why_in_no_group(registration_id, token))

    def _check_individual(
        self, individual: IndividualEnrollment, registration_id: str, token: Token
    ) -> None:
        try:
            check_key(token, tuple(individual.keys))
        except AccessDenied:
            if any(token.is_signed_with(g.device_keys(registration_id)) for g in self._groups):
                raise AccessDenied(Reason.DERIVED_KEY) from None
            raise

    def _why_in_no_group(self, registration_id: str, token: Token) -> Reason:
        for group in self._groups:
            if token.is_signed_with(group.keys):
                return Reason.GROUP_KEY
            try:
                check_key(token, tuple(group.device_keys(registration_id)))
            except AccessDenied as denied:
                if denied.reason is not Reason.WRONG_KEY:
                    return denied.reason
        return Reason.WRONG_KEY
