"""TLS in memory: our server's end joined with OpenSSL's client, and the certificates of both."""

import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256

from host_tools.emulator.serve.certificates import NAMES, Certificates
from host_tools.emulator.serve.tls import TlsError, TlsServer
from host_tools.errors import CommandError

HUB = "hub.elsewhere.example"


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def certificates(directory):
    return Certificates(directory)


@pytest.fixture(scope="module")
def server_context(certificates):
    return certificates.context([HUB])


class Ends:
    """A client and a server, and the bytes between them."""

    def __init__(self, context, trusted, name="localhost"):
        self.server = TlsServer(context)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = ssl.create_default_context(cadata=trusted)
        self.client = client.wrap_bio(self._in, self._out, server_hostname=name)

    def carry(self):
        """Carry bytes both ways once; return what the server understood."""
        read = self.server.receive(self._out.read())
        self._in.write(self.server.take())
        return read

    def shake_hands(self):
        for _ in range(5):
            try:
                self.client.do_handshake()
            except ssl.SSLWantReadError:
                self.carry()
        self.carry()
        assert self.server.established


@pytest.fixture
def ends(server_context, certificates):
    ends = Ends(server_context, certificates.ca_der)
    ends.shake_hands()
    return ends


def test_bytes_go_both_ways(ends):
    ends.client.write(b"question")
    assert ends.carry() == b"question"
    ends.server.send(b"answer")
    ends.carry()
    assert ends.client.read(100) == b"answer"


def test_many_records_are_read_at_once_and_a_cut_one_later(ends):
    sent = bytes(range(256)) * 400
    view = memoryview(sent)
    while view:
        view = view[ends.client.write(view) :]
    data = ends._out.read()
    first, second = ends.server.receive(data[:50_000]), ends.server.receive(data[50_000:])
    assert first + second == sent
    assert first
    assert second


def test_more_than_a_record_is_sent(ends):
    sent = bytes(100_000)
    ends.server.send(sent)
    ends.carry()
    received = b""
    while len(received) < len(sent):
        received += ends.client.read(100_000)
    assert received == sent


def test_the_end_is_told_with_what_came_before_it(ends):
    ends.client.write(b"goodbye")
    with pytest.raises(ssl.SSLWantReadError):
        ends.client.unwrap()
    assert ends.carry() == b"goodbye"
    assert ends.server.ended


def test_our_end_is_told(ends):
    ends.server.end()
    ends.carry()
    assert ends.client.read(1) == b""


@pytest.mark.parametrize("noise", [b"GET / HTTP/1.1\r\n\r\n", b"\x10\x00\x00\x00\x00", bytes(100)])
def test_what_is_not_tls_is_refused(server_context, noise):
    with pytest.raises(TlsError):
        TlsServer(server_context).receive(noise)


def test_a_damaged_record_is_refused(ends):
    ends.client.write(b"question")
    data = bytearray(ends._out.read())
    data[-1] ^= 1
    with pytest.raises(TlsError):
        ends.server.receive(bytes(data))
    ends.server.end()


@pytest.mark.parametrize(
    "name", ["localhost", "127.0.0.1", "::1", "a.azure-devices.net", HUB,
             "global.azure-devices-provisioning.net"],
)  # fmt: skip
def test_the_certificate_is_for_all_names(server_context, certificates, name):
    Ends(server_context, certificates.ca_der, name).shake_hands()


def test_the_certificate_is_for_no_other_name(server_context, certificates):
    with pytest.raises(ssl.SSLCertVerificationError, match="name"):
        Ends(server_context, certificates.ca_der, "example.org").shake_hands()


def test_both_certificates_are_rsa_with_sha256(directory, server_context, certificates):
    chain = (directory / "server.pem").read_bytes() + certificates.ca_pem
    for certificate in x509.load_pem_x509_certificates(chain):
        assert isinstance(certificate.public_key(), rsa.RSAPublicKey)
        assert isinstance(certificate.signature_hash_algorithm, SHA256)


def test_the_ca_is_the_same_as_pem_and_der(certificates):
    assert ssl.DER_cert_to_PEM_cert(certificates.ca_der).encode() == certificates.ca_pem


def test_ca_and_certificate_are_kept_and_a_new_name_gets_a_new_certificate(
    directory, server_context, certificates
):
    before = (directory / "server.pem").read_bytes()
    again = Certificates(directory)
    assert again.ca_pem == certificates.ca_pem
    again.context([HUB])
    assert (directory / "server.pem").read_bytes() == before
    again.context([HUB, "new.example"])
    assert (directory / "server.pem").read_bytes() != before


def test_a_lost_ca_key_makes_all_anew(tmp_path):
    Certificates(tmp_path).context(NAMES)
    (tmp_path / "ca-key.pem").unlink()
    certificates = Certificates(tmp_path)
    ends = Ends(certificates.context(NAMES), certificates.ca_der)
    ends.shake_hands()


@pytest.mark.parametrize(
    "damage",
    [
        lambda pem, other: pem[: len(pem) // 4],
        lambda pem, other: pem[: len(pem) // 2],
        lambda pem, other: pem[pem.index(b"-----BEGIN CERTIFICATE") :],
        lambda pem, other: pem[: pem.index(b"-----BEGIN CERTIFICATE")],
        lambda pem, other: other,
        lambda pem, other: b"",
    ],
)
def test_a_damaged_server_certificate_is_made_anew(tmp_path, damage):
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
        Certificates(tmp_path / name).context(NAMES)
    file, other = tmp_path / "ours" / "server.pem", tmp_path / "theirs" / "server.pem"
    file.write_bytes(damage(file.read_bytes(), other.read_bytes()))
    certificates = Certificates(tmp_path / "ours")
    Ends(certificates.context(NAMES), certificates.ca_der).shake_hands()


@pytest.mark.parametrize("name", ["server.pem", "ca.pem", "ca-key.pem"])
def test_what_can_not_be_written_is_named(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "file").write_text("")
    with pytest.raises(CommandError, match=f"can not .*{name}: Is a directory"):
        Certificates(tmp_path).context(NAMES)
    assert not list(tmp_path.glob("*.new"))


def test_one_ticket_goes_with_the_hand_shake(server_context):
    assert server_context.num_tickets == 1


def test_a_damaged_ca_is_named(tmp_path):
    Certificates(tmp_path)
    (tmp_path / "ca-key.pem").write_text("not a key")
    with pytest.raises(CommandError, match=r"ca-key\.pem can not be read"):
        Certificates(tmp_path)
