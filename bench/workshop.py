"""The workshop: the firmware compiled as for a board, and MicroPython to run scripts with it.

Owns the folder all sections share, its throw-away CA, and the processes of MicroPython. A script
of on_board/ is a program: a JSON value on stdin, a line of JSON as its answer.
"""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trustme

from host_tools import firmware, roots, virtual_board
from host_tools.errors import CommandError
from host_tools.toolchain import micropython
from host_tools.virtual_board.unix_board import UnixBoard

ON_BOARD = Path(__file__).parent / "on_board"
STAND_INS = Path(virtual_board.__path__[0]) / "stand_ins"
SERVER = "localhost"  # the name in the server's certificate, and in SNI
_LIMIT = 60  # seconds for one script


class Workshop:
    """A folder with the firmware, the bench's own scripts and certificates."""

    def __init__(self, folder: Path) -> None:
        """Compile everything into folder. Raises CommandError."""
        self.folder = folder
        self.lib = folder / "flash" / "lib"
        self._scripts = folder / "on_board"
        firmware.build(folder / "flash", {}, umqtt=True)
        firmware.compile_folder(ON_BOARD, self._scripts)
        self._make_certificates()

    def _make_certificates(self) -> None:
        ca = trustme.CA()
        leaf = ca.issue_cert(SERVER)
        self.ca_pem = self.folder / "ca.pem"
        self.ca_der = self.folder / "ca.der"
        self.certificate = self.folder / "server.pem"
        ca.cert_pem.write_to_path(str(self.ca_pem))
        (der,) = roots.from_file(self.ca_pem).values()
        self.ca_der.write_bytes(der)
        leaf.private_key_and_cert_chain_pem.write_to_path(str(self.certificate))

    @property
    def builds(self) -> tuple[int, ...]:
        """Return the bits of the MicroPythons on this machine."""
        return (64,) if micropython.stands_in(32) else (64, 32)

    def run(self, bits: int, script: str, argument: object, heap: str = "8m") -> dict[str, Any]:
        """Run on_board/{script}.py; return its answer. Raises CommandError."""
        return self._run(bits, script, argument, heap, {"MICROPYPATH": self._path()})

    def run_on_chip(self, bits: int, script: str, argument: object) -> dict[str, Any]:
        """Run a script with the stand-ins of what only a chip has. Raises CommandError."""
        board = UnixBoard(self.folder, bytes(6))
        firmware.compile_folder(STAND_INS, self.folder / "stand_ins")
        environ = board.environment()
        environ["MICROPYPATH"] = f"{self.folder / 'stand_ins'}:{self._path()}"
        return self._run(bits, script, argument, "8m", environ)

    def _path(self) -> str:
        return f"{self._scripts}:{self.lib}:.frozen"

    def _run(
        self, bits: int, script: str, argument: object, heap: str, environ: Mapping[str, str]
    ) -> dict[str, Any]:
        words = [*micropython.interpreter(bits), "-X", f"heapsize={heap}"]
        done = subprocess.run(
            [*words, "-m", script],
            input=json.dumps(argument),  # as an argument it may not be longer than 255 bytes
            cwd=self._scripts,
            env=dict(environ),
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
        )
        if done.returncode:
            raise CommandError(f"on_board/{script}.py, {bits}-bit: {last_line(done.stderr)}")
        return answer(done.stdout)


def answer(output: str) -> dict[str, Any]:
    """Return the JSON object in a script's last line. Raises CommandError."""
    try:
        value = json.loads(last_line(output))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise CommandError(f"a script did not answer with a JSON object: {last_line(output)!r}")
    return value


def last_line(text: str) -> str:
    """Return the last line that is not blank, "" for none."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")
