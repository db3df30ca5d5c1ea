"""The set-up's log: every command it runs, with the whole output."""

import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from host_tools.errors import CommandError

# how pip, apt-get and unearth say that nobody answers
_UNREACHABLE = re.compile(
    r"could not (connect|resolve)|unable to connect|failure (in name resolution|resolving)"
    r"|connection (broken|refused|timed out|failed)|connect(ion)?error|connect ?timeout"
    r"|network is unreachable|name or service not known|no address associated|proxyerror"
    r"|read timed out|max retries exceeded",
    re.IGNORECASE,
)

_UNTRUSTED = re.compile(
    r"certificate.verify.failed|confirming the ssl certificate|certificate is not trusted",
    re.IGNORECASE,
)
_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)

_CREDENTIALS = re.compile(r"//[^/\s@']+@")


class CommandFailed(Exception):
    """A command of the set-up ended badly; `output` is what it printed."""

    def __init__(self, words: Sequence[str], output: str) -> None:
        super().__init__(shlex.join(words))
        self.output = output

    def unreachable(self) -> bool:
        """Tell whether the network, rather than what was asked for, is the trouble."""
        return _UNREACHABLE.search(self.output) is not None

    def common(self, folder: Path) -> str | None:
        """Return the sentence for what can befall any command, None if it is something else."""
        if _FULL.search(self.output):
            return f"no room on the disk of {folder}: the set-up needs about 300 MB"
        if _UNTRUSTED.search(self.output):
            return (
                "a server's certificate is not trusted on this machine: is there a proxy that "
                "opens TLS? Name its CA with `pip config set global.cert FILE`, or have it "
                "installed for apt"
            )
        return None

    def reason(self, *marks: str) -> str:
        """Return the last line that begins with one of the marks, else the last line."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        lines = [line for line in lines if not line.endswith("subprocess-exited-with-error")]
        marked = [line for line in lines if line.startswith(marks)] if marks else []
        return (marked or lines or ["it printed nothing"])[-1]


class Log:
    """One set-up's log file, begun anew."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")

    def run(
        self,
        words: Sequence[str],
        folder: Path | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> str:
        """Run a command and return its output; raise CommandFailed when it ends badly."""
        self._write(f"$ {shlex.join(words)}\n")
        environ = {**environ, "LC_ALL": "C.UTF-8", "LANGUAGE": ""}
        try:
            done = subprocess.run(
                words,
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                close_fds=False,  # the lock goes along: see lock.py
                check=False,
            )
        except OSError as error:
            raise CommandFailed(words, f"{words[0]}: {error.strerror}") from None
        self._write(done.stdout)
        if done.returncode:
            raise CommandFailed(words, done.stdout)
        return done.stdout

    def error(self, sentence: str) -> CommandError:
        """Return the one-line error that also names this log."""
        return CommandError(masked(f"{sentence} (whole output: {_short(self.path)})"))

    def _write(self, text: str) -> None:
        with self.path.open("a") as file:
            file.write(masked(text))


def masked(text: str) -> str:
    """Return the text without the passwords that addresses may carry."""
    return _CREDENTIALS.sub("//***@", text)


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
