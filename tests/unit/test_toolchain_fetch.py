"""Fetching from outside: where to look, and one sentence when nobody answers."""

import io
import os
import shutil
import sys
import tarfile

import pytest

from host_tools.errors import CommandError
from host_tools.toolchain import umqtt_simple
from host_tools.toolchain.host import Host
from host_tools.toolchain.log import CommandFailed
from host_tools.toolchain.setup import set_up
from host_tools.toolchain.sources import Source
from host_tools.toolchain.umqtt_simple import UmqttSimple
from host_tools.toolchain.unix_port import UnixPort
from tests.ports import unheard

LISTING = """\
:env:.index-url='https://env.example/simple'
:env:.cert='/etc/ca.pem'
download.no-index='false'
global.extra-index-url='file:///a\\nfile:///b'
global.index-url='https://file.example/simple'
install.index-url='https://other.example/simple'
"""
DEBIAN = Host("Linux", "debian", "12", "bookworm", "amd64")


@pytest.fixture
def nobody():
    """An address on loopback where nothing listens."""
    with unheard() as port:
        yield f"http://127.0.0.1:{port}"


def pip_of_a_new_machine(index):
    """Return an environment with this one pip setting."""
    return {
        "PATH": os.environ["PATH"],
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": f"{index}/simple",
    }


def failure(step, home):
    """Return the sentence a step fails with, and what was on the screen."""
    screen = io.StringIO()
    with pytest.raises(CommandError) as caught:
        set_up([step], home, screen)
    return str(caught.value), screen.getvalue()


def left(home):
    """Return what a later run could take for finished."""
    return {str(path.relative_to(home)) for path in home.rglob("*")} - {"lock", "setup.log"}


def test_pips_settings_are_read_in_pips_order_of_precedence():
    found = umqtt_simple.settings_of(LISTING)
    assert found["index-url"] == ["https://env.example/simple"]
    assert found["extra-index-url"] == ["file:///a", "file:///b"]
    assert umqtt_simple.certificates(found) == {"SSL_CERT_FILE": "/etc/ca.pem"}


def test_a_configured_index_is_the_only_place_to_look():
    settings = {"index-url": ["https://one.example/"], "extra-index-url": ["file:///a"]}
    (place,) = umqtt_simple.places_to_look(settings)
    assert place == ["--index-url", "https://one.example/", "--index-url", "file:///a"]


def test_extra_places_come_before_the_default_index():
    places = umqtt_simple.places_to_look({"find-links": ["/wheels"]})
    assert places == [["--find-link", "/wheels"], []]


def test_without_settings_the_default_index_is_the_place():
    assert umqtt_simple.places_to_look({}) == [[]]


def test_an_index_that_does_not_answer_is_one_sentence(tmp_path, nobody):
    step = UmqttSimple(tmp_path, sys.executable, pip_of_a_new_machine(nobody))
    sentence, screen = failure(step, tmp_path)
    assert "the package index does not answer" in sentence
    assert str(tmp_path / "setup.log") in sentence
    assert "\n" not in sentence
    assert screen.endswith("... failed\n")
    assert left(tmp_path) <= {"umqtt"}
    assert step.missing()


def test_another_file_under_the_same_name_is_refused(tmp_path):
    index = tmp_path / "index"
    index.mkdir()
    sdist = index / "micropython-umqtt.simple-1.3.4.tar.gz"
    with tarfile.open(sdist, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("micropython-umqtt.simple-1.3.4/umqtt/simple.py"))
    environ = {**pip_of_a_new_machine("file:///dev/null"), "PIP_FIND_LINKS": str(index)}
    home = tmp_path / "home"
    sentence, _ = failure(UmqttSimple(home, sys.executable, environ), home)
    assert "is not the file it should be" in sentence
    assert left(home) <= {"umqtt"}


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs Debian's apt-get")
def test_a_mirror_that_does_not_answer_is_one_sentence(tmp_path, nobody):
    mirror = Source(f"{nobody}/debian", ("bookworm",), ("main",))
    step = UnixPort(tmp_path, DEBIAN, mirror, retries=0)
    sentence, screen = failure(step, tmp_path)
    assert f"Debian's mirror {nobody}/debian can not be reached" in sentence
    assert "\n" not in sentence
    assert screen.endswith("... failed\n")
    assert left(tmp_path) == set()
    assert step.missing()


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        # as apt and pip were seen to say it, each with a misleading line behind it
        ("E: Write error - write (28: No space left on device)\nE: 404  Not Found", "no room on"),
        ("OSError: [Errno 28] No space left on device\nConnection broken", "no room on"),
        ("SSLError(CERTIFICATE_VERIFY_FAILED)\nMax retries exceeded", "is not trusted"),
        ("problem confirming the ssl certificate: self-signed", "is not trusted"),
        ("E: Could not connect to mirror", None),
    ],
)
def test_what_befalls_any_command_is_told_before_what_it_looks_like(output, sentence, tmp_path):
    told = CommandFailed(["pip"], output).common(tmp_path)
    assert told is None if sentence is None else sentence in told
