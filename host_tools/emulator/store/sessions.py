"""The session table: what a hub keeps for devices that ask it to (clean session 0)."""

from host_tools.emulator.store.database import Database


class SessionTable:
    """Stored sessions of all hubs."""

    def __init__(self, database: Database) -> None:
        self._execute = database.execute

    def find(self, hub: str, device_id: str) -> int | None:
        """Return a stored session's subscriptions, None without one; raise StoreError."""
        row = self._execute(
            "SELECT subscriptions FROM session WHERE device_id = ? AND hub = ?", (device_id, hub)
        ).fetchone()
        return row[0] if row else None

    def keep(self, hub: str, device_id: str, subscriptions: int) -> None:
        """Keep a session; raise StoreError."""
        self._execute("REPLACE INTO session VALUES (?, ?, ?)", (hub, device_id, subscriptions))

    def delete(self, hub: str, device_id: str) -> None:
        """Forget a session; raise StoreError."""
        self._execute("DELETE FROM session WHERE device_id = ? AND hub = ?", (device_id, hub))
