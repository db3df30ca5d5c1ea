"""HTTP connection: uvicorn's, with an end to patience.

Owns the deadlines of one connection and the answer to what is not HTTP. Doesn't own a word of
HTTP else: that is uvicorn and h11.
"""

import asyncio
import json
from contextlib import suppress
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState


class HttpConnection(H11Protocol):
    """One connection; who is slow with a head, or does not read, loses it."""

    def __init__(
        self, config: Config, state: ServerState, app_state: dict[str, Any], patience: float
    ) -> None:
        super().__init__(config, state, app_state)
        self._head = _Deadline(self, patience)
        self._reader = _Deadline(self, patience)
        self._upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(transport)
        self._head.begin()

    def data_received(self, data: bytes) -> None:
        """Carry bytes in; those of a head gain no time by coming one by one."""
        super().data_received(data)
        if self._waits_for_head():
            self._head.begin()
        else:
            self._head.forget()

    def on_response_complete(self) -> None:
        """Go on with the next request, of which a part may be here."""
        super().on_response_complete()
        if self._waits_for_head() and self.conn.trailing_data[0]:
            self._head.begin()

    def _waits_for_head(self) -> bool:
        answered = self.cycle is None or self.cycle.response_complete
        return answered and not self._upgraded

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is gone."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._head.forget()
        self._reader.forget()

    def pause_writing(self) -> None:
        """Wait for who does not take what it asked for, but not for ever."""
        super().pause_writing()
        self._reader.begin()

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        self._reader.forget()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Let the WebSocket have the connection."""
        self._upgraded = True
        self._head.forget()
        super().handle_websocket_upgrade(event)

    # {"Message": "ErrorCode:...;{words}", "ExceptionMessage": ""}
    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, in JSON as everything else here."""
        body = {"Message": f"ErrorCode:InvalidOperation;{msg}", "ExceptionMessage": ""}
        headers = [("content-type", "application/json; charset=utf-8"), ("connection", "close")]
        with suppress(h11.LocalProtocolError):  # in the middle of an answer it is too late
            for part in (
                h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                h11.Data(data=json.dumps(body).encode()),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(part) or b"")
        self.transport.close()


class _Deadline:
    """When patience with a connection ends."""

    def __init__(self, connection: HttpConnection, patience: float) -> None:
        self._connection = connection
        self._patience = patience
        self._due: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Begin to wait, unless that has begun."""
        if self._due is None:
            self._due = self._connection.loop.call_later(self._patience, self._end)

    def forget(self) -> None:
        """Wait no longer."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _end(self) -> None:
        self._due = None
        self._connection.transport.abort()
