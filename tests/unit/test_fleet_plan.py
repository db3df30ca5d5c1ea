"""Who the devices of a fleet are, where they go, and how many there can be."""

import os
import resource
import socket
import ssl
import subprocess
import sys
from contextlib import ExitStack, suppress

import pytest

from host_tools import open_files
from host_tools.emulator.config import Config
from host_tools.emulator.dps.enrollment import EnrollmentGroup
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.serve.certificates import Certificates
from host_tools.emulator.serve.tls import TlsError, TlsServer
from host_tools.errors import CommandError
from host_tools.fleet import plan as plans
from host_tools.fleet import tls
from host_tools.fleet.place import resolved, unreachable
from host_tools.keys import derive_device_key
from keystead.failure import Failure

HUB = "test-docs-hub.azure-devices.net"
KEY = bytes(range(64))
GROUP = EnrollmentGroup("mylegacydevices", HUB, KeyPair(KEY, KEY))
CONFIG = Config(groups=(EnrollmentGroup("keyless", HUB), GROUP))


def test_devices_have_numbers_and_derived_keys():
    first, second = plans.members(GROUP, 2, "rig-", 41)
    assert [first.name, second.name] == ["rig-41", "rig-42"]
    assert first.key == derive_device_key(KEY, "rig-41")


def test_a_prefix_that_makes_no_names_is_refused():
    with pytest.raises(CommandError, match="--prefix"):
        list(plans.members(GROUP, 2, "a/b", 1))


def test_a_group_is_found_by_name():
    assert plans.choose_group(CONFIG, "mylegacydevices", "cloud.toml") == GROUP


def test_a_group_without_a_key_in_the_file_is_refused():
    with pytest.raises(CommandError, match=r"'keyless' in cloud\.toml has no primary_key"):
        plans.choose_group(CONFIG, "", "cloud.toml")


def test_a_group_that_is_not_there_is_refused():
    with pytest.raises(CommandError, match="no enrollment group 'other'"):
        plans.choose_group(CONFIG, "other", "cloud.toml")
    with pytest.raises(CommandError, match=r"no \[\[enrollment_group\]\]"):
        plans.choose_group(Config(groups=()), "", "cloud.toml")


def test_devices_that_ask_no_dps_go_to_their_groups_hub():
    assert plans.home(CONFIG, GROUP) == HUB


@pytest.mark.parametrize("size", [0, 1, 11, 12, 13, 61, 1000])
def test_a_body_has_the_size_that_is_asked_for(size):
    assert len(plans.body(size)) == size


def test_an_address_is_a_place():
    assert resolved("127.0.0.1:8883", "--cloud") == ("127.0.0.1", 8883)
    assert resolved("[::1]:8883", "--cloud") == ("::1", 8883)


def test_of_a_names_addresses_the_one_that_answers_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as held:
        port = server.getsockname()[1]
        with suppress(OSError):  # where there is no IPv6; else nobody answers at ::1
            held.enter_context(socket.socket(socket.AF_INET6)).bind(("::1", port))
        assert resolved(f"localhost:{port}", "--cloud") == ("127.0.0.1", port)


@pytest.mark.parametrize("text", ["", "8883", "host", "host:", ":8883", "host:0", "host:65536",
                                  "a b:1", "host:8883x", "x" * 300 + ":1"])  # fmt: skip
def test_what_is_no_place_is_refused(text):
    with pytest.raises(CommandError, match="--cloud"):
        resolved(text, "--cloud")


def test_a_connection_that_does_not_come_about_has_a_reason():
    assert unreachable(TimeoutError()).reason == "no-answer"
    refused = unreachable(ConnectionRefusedError(111, "Connect call failed"))
    assert (refused.reason, refused.detail) == ("unreachable", os.strerror(111))
    assert "ulimit" in unreachable(OSError(24, "Too many open files")).detail
    assert "docs/scale.md" in unreachable(OSError(99, "Cannot assign")).detail


# in a process of its own: a hard limit can not be raised again
def limited(soft, hard, connections):
    code = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "from host_tools import open_files, errors\n"
        f"try: open_files.allow({connections})\n"
        "except errors.CommandError as error: print(error)\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
    )
    words = [sys.executable, "-c", code]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split("\n")


def test_the_limit_of_open_files_is_raised_as_far_as_is_needed():
    assert limited(100, 400, 200)[0] == "264"


def test_a_limit_that_is_too_low_is_told_with_the_number_that_is_needed():
    complaint, soft, _ = limited(100, 200, 200)
    assert complaint.startswith("200 connections need 264 open files, and this user may have 200")
    assert soft == "200"


def test_a_server_takes_all_that_it_may_have():
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 400))\n"
        "from host_tools import open_files; open_files.allow_all()\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    words = [sys.executable, "-c", code]
    result = subprocess.run(words, capture_output=True, text=True, check=True)
    assert result.stdout == "(400, 400)\n"


def test_a_limit_that_is_high_enough_is_left_alone():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_files.allow(1)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


def shaken(client, server, said=b"", asked=b""):
    """Carry bytes both ways until both are silent; return what each understood."""
    heard, told, to_server = b"", b"", client.begin()
    for _ in range(4):
        told += server.receive(to_server)
        if server.established and asked:
            server.send(asked)
            asked = b""
        heard += client.receive(server.take())
        if client.established and said:
            client.send(said)
            said = b""
        to_server = client.take()
    return heard, told


def test_the_clients_end_of_tls_carries_words(certificates):
    context = ssl.create_default_context(cadata=certificates.ca_pem.decode())
    client, server = tls.TlsClient(context, HUB), TlsServer(certificates.context([]))
    assert shaken(client, server, b"hello", b"welcome") == (b"welcome", b"hello")


def test_either_end_hears_that_nothing_more_comes(certificates):
    context = ssl.create_default_context(cadata=certificates.ca_pem.decode())
    for ends_first in ("client", "server"):
        client, server = tls.TlsClient(context, HUB), TlsServer(certificates.context([]))
        shaken(client, server)
        if ends_first == "client":
            client.end()
            server.receive(client.take())
            assert server.ended
        else:
            server.end()
            client.receive(server.take())
            assert client.ended


@pytest.mark.parametrize(
    ("trusted", "name", "reason"),
    [(True, "elsewhere.example", "tls-wrong-name"), (True, "10.0.0.1", "tls-wrong-name"),
     (False, HUB, "tls-untrusted")],
)  # fmt: skip
def test_a_bad_certificate_is_named_as_boards_name_it(
    certificates, tmp_path, trusted, name, reason
):
    ca = certificates.ca_pem if trusted else Certificates(tmp_path).ca_pem
    context = ssl.create_default_context(cadata=ca.decode())
    client, server = tls.TlsClient(context, name), TlsServer(certificates.context([]))
    with pytest.raises(Failure) as caught:
        shaken(client, server)
    assert caught.value.reason == reason
    with pytest.raises(TlsError):
        server.receive(client.take())


def test_who_does_not_speak_tls_is_a_failure(certificates):
    context = ssl.create_default_context(cadata=certificates.ca_pem.decode())
    client = tls.TlsClient(context, HUB)
    client.begin()
    with pytest.raises(Failure, match="tls-failed"):
        client.receive(b"HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_a_ca_that_is_none_is_told(tmp_path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CommandError, match="--ca"):
        tls.trusting(path)
