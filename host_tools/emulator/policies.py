"""Policies: the shared access policies of one service, and who may do what with their keys.

Owns their names, their rights and the check of a service's token. Doesn't own the rows
(store/policies.py), nor which right a request needs: that is who asks.
Source: "Control access to IoT Hub with shared access signatures"; "Control access to DPS".
"""

from collections.abc import Callable, Mapping, Sequence

from host_tools.emulator.access import AccessDenied, Reason, Resource, Token, check, check_key
from host_tools.emulator.host_names import HostNames
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.store.database import Database
from host_tools.emulator.store.policies import PolicyTable
from host_tools.keys import encode_key

REGISTRY_READ, REGISTRY_WRITE = "RegistryRead", "RegistryWrite"
SERVICE_CONNECT, DEVICE_CONNECT = "ServiceConnect", "DeviceConnect"
ENROLLMENT_READ, ENROLLMENT_WRITE = "EnrollmentRead", "EnrollmentWrite"
STATUS_READ, STATUS_WRITE = "RegistrationStatusRead", "RegistrationStatusWrite"
OF_HUB = {
    "iothubowner": (REGISTRY_READ, REGISTRY_WRITE, SERVICE_CONNECT, DEVICE_CONNECT),
    "service": (SERVICE_CONNECT,),
    "device": (DEVICE_CONNECT,),
    "registryRead": (REGISTRY_READ,),
    "registryReadWrite": (REGISTRY_READ, REGISTRY_WRITE),
}
OF_DPS = {
    "provisioningserviceowner": (ENROLLMENT_READ, ENROLLMENT_WRITE, STATUS_READ, STATUS_WRITE),
}


class Policies:
    """All policies of one service."""

    def __init__(
        self,
        service: str,
        rights: Mapping[str, Sequence[str]],
        database: Database,
        random: Callable[[int], bytes],
    ) -> None:
        """service: the hub's name or the ID scope; rights: OF_HUB or OF_DPS; raises StoreError.

        Keys are made the first time.
        """
        table = PolicyTable(database)
        with database.transaction():
            self._keys = {name: table.keys(service, name, random) for name in rights}
        self._rights = rights

    def __repr__(self) -> str:
        return f"Policies({', '.join(self._rights)})"

    def check(
        self,
        token: Token,
        hosts: HostNames,
        right: str,
        now: float,
        path: Sequence[str] = (),
    ) -> None:
        """Raise AccessDenied unless token is for one of hosts and its policy has right.

        path: of the resource below the host, where a token may be for less than the whole service.
        """
        check(token, Resource(hosts, path), now, (token.policy,))
        keys = self._keys.get(token.policy)
        if keys is None:
            raise AccessDenied(Reason.UNKNOWN_POLICY)
        check_key(token, tuple(keys))
        if right not in self._rights[token.policy]:
            raise AccessDenied(Reason.NO_RIGHT)

    def knows(self, token: Token) -> bool:
        """Tell whether a policy of this service signed token, whatever else it says."""
        keys = self._keys.get(token.policy)
        return keys is not None and token.is_signed_with(keys)

    def keys(self, policy: str) -> KeyPair:
        """Return a policy's keys; its repr hides them. KeyError for a policy that is not here."""
        return self._keys[policy]

    # HostName={host};SharedAccessKeyName={policy};SharedAccessKey={Base64}
    def connection_string(self, host: str, policy: str | None = None) -> str:
        """Return what a service client connects with: a secret. KeyError as keys().

        policy: None for the one that may do everything.
        """
        name = policy or next(iter(self._rights))
        key = encode_key(self._keys[name].primary)
        return f"HostName={host};SharedAccessKeyName={name};SharedAccessKey={key}"
