"""The twin table: a text for each device whose twin was ever changed."""

from host_tools.emulator.store.database import Database


class TwinTable:
    """Twins of all hubs."""

    def __init__(self, database: Database) -> None:
        self._execute = database.execute

    def find(self, hub: str, device_id: str) -> str | None:
        """Return a twin's text, None if there is none; raise StoreError."""
        row = self._execute(
            "SELECT document FROM twin WHERE device_id = ? AND hub = ?", (device_id, hub)
        ).fetchone()
        return row[0] if row else None

    def keep(self, hub: str, device_id: str, document: str) -> None:
        """Keep a twin's text; raise StoreError."""
        self._execute("REPLACE INTO twin VALUES (?, ?, ?)", (hub, device_id, document))

    def delete(self, hub: str, device_id: str) -> None:
        """Forget a twin; raise StoreError."""
        self._execute("DELETE FROM twin WHERE device_id = ? AND hub = ?", (device_id, hub))
