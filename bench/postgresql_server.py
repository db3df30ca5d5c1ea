"""A PostgreSQL server for the bench and for tests: a real one, in a folder that goes with it."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from host_tools.toolchain import postgresql

_NOBODY = 65534  # whom the server runs as where root runs the tests: it refuses root
_SETTINGS = ("max_connections=60", "listen_addresses=", "log_checkpoints=off")
# one user needs a password, which tests of passwords use
_ACCESS = "local all locked scram-sha-256\nlocal all all trust\n"


@dataclass
class Server:
    """A server that listens on a socket in its folder, and can be stopped and started."""

    folder: Path
    programs: postgresql.Programs
    durable: bool = False  # what is committed is to outlive a power cut
    _process: subprocess.Popen[str] | None = None
    _numbers: Iterator[int] = field(default_factory=count)

    def run(self, *words: str) -> subprocess.Popen[str]:
        """Start a program as the server's user."""
        user = _NOBODY if os.geteuid() == 0 else None
        return subprocess.Popen(
            words,
            env={**os.environ, **self.programs.environ, "LC_ALL": "C"},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )

    def init(self) -> None:
        """Make the database cluster."""
        words = [self.programs.path("initdb"), "-D", str(self.folder / "data"), "-U", "keystead"]
        words += ["-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8"]
        out, _ = (done := self.run(*words)).communicate(timeout=60)
        assert done.returncode == 0, out
        (self.folder / "data" / "pg_hba.conf").write_text(_ACCESS)

    def start(self) -> None:
        """Start, and return when connections are accepted."""
        fsync = () if self.durable else ("fsync=off",)
        settings = [word for setting in (*_SETTINGS, *fsync) for word in ("-c", setting)]
        words = ["-D", str(self.folder / "data"), "-k", str(self.folder), *settings]
        self._process = self.run(self.programs.path("postgres"), *words)
        said = ""
        for line in self._process.stdout or ():
            said += line
            if "ready to accept connections" in line:
                return
        raise AssertionError(said)

    def stop(self) -> None:
        """Stop, cutting off whoever is connected."""
        if self._process:
            self._process.send_signal(signal.SIGINT)
            self._process.communicate(timeout=30)
            self._process = None

    def url(self, database: str, user: str = "keystead") -> str:
        """Return a database's URL."""
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def execute(self, *statements: str, database: str = "postgres") -> list[Any]:
        """Run statements as the owner; return the rows of the last one."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def new(self) -> str:
        """Return the URL of a new database."""
        name = f"ledger_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)


@contextmanager
def started(durable: bool = False) -> Iterator[Server]:
    """Run a server until the block ends; CommandError says why there is none."""
    programs = postgresql.found()
    folder = Path(tempfile.mkdtemp(prefix="keystead-pg-"))  # a socket's path is to be short
    if os.geteuid() == 0:
        os.chown(folder, _NOBODY, _NOBODY)
    server = Server(folder, programs, durable)
    try:
        server.init()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def name_of(url: str) -> str:
    """Return the database's name in a URL that Server.url() made."""
    return urlsplit(url).path.removeprefix("/")
