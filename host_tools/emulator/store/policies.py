"""The policy table: keys of shared access policies, generated once."""

from collections.abc import Callable

from host_tools.emulator.key_pair import KeyPair, generate_keys
from host_tools.emulator.store.database import Database


class PolicyTable:
    """Keys of the policies of all services."""

    def __init__(self, database: Database) -> None:
        self._execute = database.execute

    def keys(self, service: str, name: str, random: Callable[[int], bytes]) -> KeyPair:
        """Return a policy's keys, new ones the first time; raise StoreError."""
        row = self._row(service, name)
        if row is None:
            self._execute(
                "INSERT INTO policy VALUES (?, ?, ?, ?)", (service, name, *generate_keys(random))
            )
            row = self._row(service, name)
        assert row is not None
        return KeyPair(*row)

    def _row(self, service: str, name: str) -> tuple[bytes, bytes] | None:
        row: tuple[bytes, bytes] | None = self._execute(
            "SELECT primary_key, secondary_key FROM policy WHERE service = ? AND name = ?",
            (service, name),
        ).fetchone()
        return row
