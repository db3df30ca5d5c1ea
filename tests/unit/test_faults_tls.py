"""Certificates with one thing wrong, and whom a ClientHello is for."""

import shutil
import ssl
from datetime import UTC, datetime

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from host_tools.emulator.faults.action import CERTIFICATES, Kind
from host_tools.emulator.serve.certificates import Certificates
from host_tools.emulator.serve.tls import TlsServer, server_name
from host_tools.errors import CommandError


def hello(name, version=None):
    """A ClientHello for name, None for nobody."""
    context = ssl.create_default_context()
    context.check_hostname = name is not None
    if version:
        context.minimum_version = context.maximum_version = version
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_hello_says_whom_it_is_for(version):
    data = hello("hub.azure-devices.net", version)
    assert server_name(data) == "hub.azure-devices.net"
    assert server_name(data[:-1]) is None
    assert server_name(b"") is None


def test_a_hello_to_an_address_is_for_nobody():
    assert server_name(hello("127.0.0.1")) == server_name(hello(None)) == ""


@given(st.binary(max_size=60))
def test_any_bytes_are_for_nobody_or_not_whole(data):
    assert server_name(data) in ("", None)


def test_the_context_is_chosen_when_the_hello_is_whole(certificates):
    names = []
    context = certificates.context([])
    server = TlsServer(context, lambda name: names.append(name) or context)
    data = hello("localhost")
    assert server.receive(data[:100]) == server.receive(b"") == b""
    assert (names, server.take()) == ([], b"")
    server.receive(data[100:])
    assert names == ["localhost"]
    assert server.take()[:1] == b"\x16"


def test_who_is_given_no_context_never_hears_a_word(certificates):
    server = TlsServer(certificates.context([]), lambda name: None)
    for data in (hello("localhost"), hello("localhost"), b"\xff" * 100):
        assert server.receive(data) == b""
    assert server.take() == b""
    assert not server.established


def served(certificates, kind):
    """The certificate that a server has with this flaw."""
    context = certificates.faulty_context(["bench.example"], kind)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    client = trusting.wrap_bio(incoming, outgoing)
    server = TlsServer(context)
    for _ in range(3):
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            server.receive(outgoing.read())
            incoming.write(server.take())
    return x509.load_der_x509_certificate(client.getpeercert(binary_form=True))


@pytest.mark.parametrize("kind", sorted(CERTIFICATES | {Kind.TLS_1_3_ONLY}))
def test_one_thing_is_wrong_and_no_other(certificates, kind):
    leaf, now = served(certificates, kind), datetime.now(UTC)
    ca = x509.load_pem_x509_certificate(certificates.ca_pem)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    wrong = {
        Kind.WRONG_NAME: "bench.example" not in names.get_values_for_type(x509.DNSName),
        Kind.EXPIRED_CERTIFICATE: leaf.not_valid_after_utc < now,
        Kind.EARLY_CERTIFICATE: leaf.not_valid_before_utc > now,
        Kind.UNKNOWN_CA: leaf.issuer != ca.subject,
    }
    assert {one for one, is_so in wrong.items() if is_so} == {kind} - {Kind.TLS_1_3_ONLY}
    assert not list(certificates._directory.glob("tmp*")), "no key is left behind"


def test_a_directory_that_takes_nothing_is_named(tmp_path):
    (tmp_path / "gone").mkdir()
    certificates = Certificates(tmp_path / "gone")
    shutil.rmtree(tmp_path / "gone")
    with pytest.raises(CommandError, match=r"can not write into .*gone: No such file"):
        certificates.faulty_context([], Kind.WRONG_NAME)
