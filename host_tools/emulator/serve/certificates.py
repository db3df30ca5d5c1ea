"""Certificates: a private CA and the server's certificate, kept in the state directory.

Owns the names that devices may dial, and the TLS versions; also, on demand, certificates with
one thing wrong, which are not kept. The leaf is RSA with SHA-256, as
Azure's own, so that a small board meets here what it will meet there.
"""

import ssl
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from host_tools import whole_file
from host_tools.emulator.faults.action import CERTIFICATES, Kind
from host_tools.errors import CommandError

CA_FILE = "ca.pem"
_CA_KEY_FILE = "ca-key.pem"
_SERVER_FILE = "server.pem"
# what every device may dial, wherever the cloud listens; a wild card stands for one label
NAMES = (
    "localhost",
    "*.azure-devices.net",
    "*.azure-devices-provisioning.net",
    "global.azure-devices-provisioning.net",
    "127.0.0.1",
    "::1",
)
_NOBODY = "wrong-name.invalid"
_DAY = timedelta(days=1)


class Certificates:
    """One CA; its key never leaves the state directory."""

    def __init__(self, directory: Path) -> None:
        """Read the CA in directory, or make one there."""
        self._directory = directory
        self._ca = self._load_or_make()
        self.ca_pem: bytes = self._ca.cert_pem.bytes()

    @property
    def ca_der(self) -> bytes:
        """Return the CA's certificate as boards like it."""
        return ssl.PEM_cert_to_DER_cert(self.ca_pem.decode())

    def context(self, names: Iterable[str]) -> ssl.SSLContext:
        """Return a server's context for NAMES and these names and addresses."""
        context = _context()
        context.load_cert_chain(self._server([*NAMES, *names]))
        return context

    def faulty_context(self, names: Iterable[str], flaw: Kind) -> ssl.SSLContext:
        """Return the same with one thing wrong."""
        if flaw not in CERTIFICATES:
            context = self.context(names)
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            return context
        context = _context()
        leaf = self._flawed(sorted({*NAMES, *names}), flaw)
        try:
            with leaf.private_key_and_cert_chain_pem.tempfile(str(self._directory)) as path:
                context.load_cert_chain(path)
        except OSError as error:
            why = f"can not write into {self._directory}: {error.strerror}"
            raise CommandError(why) from None
        return context

    def _flawed(self, names: list[str], flaw: Kind) -> trustme.LeafCert:
        now, ca, begin, end = datetime.now(UTC), self._ca, None, None
        if flaw is Kind.WRONG_NAME:
            names = [_NOBODY]
        elif flaw is Kind.UNKNOWN_CA:
            ca = trustme.CA(organization_unit_name="nobody's CA", key_type=trustme.KeyType.RSA)
        elif flaw is Kind.EXPIRED_CERTIFICATE:
            begin, end = now - 365 * _DAY, now - _DAY
        elif flaw is Kind.EARLY_CERTIFICATE:
            begin, end = now + _DAY, now + 365 * _DAY
        rsa = trustme.KeyType.RSA
        return ca.issue_cert(*names, key_type=rsa, not_before=begin, not_after=end)

    def _load_or_make(self) -> trustme.CA:
        certificate, key = self._directory / CA_FILE, self._directory / _CA_KEY_FILE
        try:
            if key.exists() and certificate.exists():
                return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
        except (OSError, ValueError) as error:
            raise CommandError(f"{certificate} or {key} can not be read: {error}") from None
        ca = trustme.CA(organization_unit_name="bench CA", key_type=trustme.KeyType.RSA)
        try:  # a certificate is never beside another one's key
            certificate.unlink(missing_ok=True)
        except OSError as error:
            raise CommandError(f"can not remove {certificate}: {error.strerror}") from None
        whole_file.write(key, ca.private_key_pem.bytes(), 0o600)
        whole_file.write(certificate, ca.cert_pem.bytes(), 0o666)
        return ca

    def _server(self, names: list[str]) -> Path:
        path = self._directory / _SERVER_FILE
        wanted = sorted(dict.fromkeys(names))
        if not _serves(path, wanted, self.ca_pem):
            try:
                leaf = self._ca.issue_cert(*wanted, key_type=trustme.KeyType.RSA)
            except ValueError as error:
                raise CommandError(f"no certificate can be for {names}: {error}") from None
            whole_file.write(path, leaf.private_key_and_cert_chain_pem.bytes(), 0o600)
        return path


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    # nobody resumes, but one ticket is worth its record: with none, a client that leaves
    # Nagle's algorithm on holds CONNECT back until our delayed ACK, 40 ms later
    context.num_tickets = 1
    return context


# the file is but a cache: whatever is wrong with it, it is made anew
def _serves(path: Path, names: list[str], ca_pem: bytes) -> bool:
    try:
        pem = path.read_bytes()
        leaf = x509.load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERTIFICATE") :])
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(ca_pem))
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, password="none")
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return sorted(str(name.value) for name in found) == names
