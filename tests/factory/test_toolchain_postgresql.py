"""The set-up's PostgreSQL: the machine's own first, else unpacked, else the tests go without."""

import shutil

import pytest

from host_tools.errors import CommandError
from host_tools.toolchain import host, postgresql
from host_tools.toolchain.host import Host
from host_tools.toolchain.log import Log
from host_tools.toolchain.postgresql import PostgresqlServer
from host_tools.toolchain.sources import Source

DEBIAN = Host("Linux", "debian", "12", "bookworm", "amd64")


@pytest.fixture
def no_own(monkeypatch, tmp_path):
    """A machine without a PostgreSQL."""
    tools = [shutil.which(name) for name in ("apt-get", "apt-cache", "dpkg")]
    monkeypatch.setattr(postgresql, "_INSTALLED", tmp_path / "none")
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for tool in filter(None, tools):
        (bin_ / tool.rpartition("/")[2]).symlink_to(tool)
    monkeypatch.setenv("PATH", str(bin_))


def test_a_server_on_this_machine_is_taken_as_it_is(monkeypatch, tmp_path):
    for version in ("9", "15"):
        folder = tmp_path / version / "bin"
        folder.mkdir(parents=True)
        for name in ("postgres", "initdb"):
            (folder / name).touch(0o755)
    (tmp_path / "17" / "bin").mkdir(parents=True)  # clients only
    monkeypatch.setattr(postgresql, "_INSTALLED", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert postgresql.installed().folder == tmp_path / "15" / "bin"
    monkeypatch.setenv("PATH", str(tmp_path / "9" / "bin"))
    assert postgresql.installed().folder == tmp_path / "9" / "bin"
    assert not PostgresqlServer(tmp_path / "home", DEBIAN).missing()


def test_where_it_can_not_be_had_the_tests_are_told_why(no_own, tmp_path):
    for machine in (
        Host("Darwin", "", "", "", ""),
        Host("Linux", "debian", "", "forky", "amd64"),
    ):
        assert not PostgresqlServer(tmp_path, machine).missing()
    with pytest.raises(CommandError, match="put postgres and initdb on PATH"):
        postgresql.found(tmp_path)


@pytest.mark.skipif(not host.this().debian(), reason="needs Debian's apt")
def test_a_mirror_that_does_not_answer_stops_nobody(no_own, tmp_path):
    nobody = Source("http://127.0.0.1:1/debian", ("bookworm",), ("main",))
    step = PostgresqlServer(tmp_path / "home", DEBIAN, nobody, retries=0)
    assert step.missing()
    assert "PostgreSQL 15" in step.label
    note = step.make(Log(tmp_path / "log"))
    assert note.startswith("The tests of PostgreSQL will be skipped: Debian's mirror http://127.")
    assert not (tmp_path / "home" / "postgresql").exists()


def test_the_machines_own_c_library_and_what_is_not_needed_stay_out():
    said = "postgresql-15\nlibpq5\n  Depends: libc6\nlibc6\nlibllvm14\n<libfoo>\nlibicu72\nperl\n"
    assert postgresql._wanted(said.splitlines()) == {"libpq5", "libicu72"}


def test_what_does_not_start_is_told(tmp_path):
    for text, why in (("#!/nowhere\n", "does not start"), ("#!/bin/sh\nexit 1\n", "not run here")):
        for name in ("postgres", "initdb"):
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o755)
        with pytest.raises(CommandError, match=why):
            postgresql._try(postgresql.Programs(tmp_path))
