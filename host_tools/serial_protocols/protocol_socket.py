"""socket:// as pyserial has it, but read in bulk: esptool asks how much has come, and gets it."""

from typing import Any

from serial import SerialException  # type: ignore[import-untyped]
from serial.urlhandler import protocol_socket  # type: ignore[import-untyped]

from host_tools.serial_protocols.inbox import Inbox, InboxPort, connect


class Serial(InboxPort, protocol_socket.Serial):  # type: ignore[misc]
    """A plain TCP connection as a serial port."""

    _socket: Any

    def open(self) -> None:
        """Connect; SerialException."""
        if self._port is None or self.is_open:
            raise SerialException("Port must be configured before, and opened once")
        self.logger = None
        self._socket = connect(self.from_url(self.portstr), self.portstr)
        self._inbox = Inbox(self._socket)
        self.is_open = True

    def close(self) -> None:
        """Disconnect."""
        if self.is_open:
            self.is_open = False
            self._inbox.close()
            self._socket.close()
            self._socket = None

    def write(self, data: bytes) -> int:
        """Send."""
        self._check()
        try:
            self._socket.sendall(bytes(data))
        except OSError as error:
            raise SerialException(f"connection failed: {error}") from None
        return len(data)

    def reset_input_buffer(self) -> None:
        """Forget what has come."""
        self._check()
        self._inbox.waiting()
        self._inbox.data.clear()
