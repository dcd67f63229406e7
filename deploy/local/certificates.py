"""A private certificate authority of the local stack, and the certificates of its servers and their clients.

trustme makes both. They are kept in files, so that clients that trust the authority still do after a restart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from trustme import CA, Blob

from deploy.private_files import locked, write_private

BACKDATED = timedelta(hours=1)
AUTHORITY_RENEWED_BEFORE_END = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Validity:
    """How long a certificate is valid from now on, and how long it has left when it is replaced."""

    lifetime: timedelta
    renewed_before_end: timedelta


# Of a server whose certificate is replaced only at a start, because it may run for months.
A_YEAR = Validity(timedelta(days=365), timedelta(days=60))
# Of certificates that the running stack replaces.
RENEWED = Validity(timedelta(days=90), timedelta(days=30))


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its P-256 key, both PEM files; the key is readable by its owner only.

    Both paths may be those of one file, whose replacement changes both at once.
    """

    certificate_path: Path
    key_path: Path


@dataclass(frozen=True, slots=True)
class Authority(Identity):
    """A certificate authority; clients of its servers must trust its certificate.

    While another replaces it, the file has the certificates of both, and the key says which one issues.
    """

    validity: Validity = A_YEAR

    def issue(self, hosts: Sequence[str], folder: Path | None = None) -> Identity:
        """Return the server identity for these host names and IP addresses.

        It is stored in a folder, by default beside the authority, and reused while it is valid, issued by
        this authority and for the same hosts.
        """
        folder = folder or self.certificate_path.parent
        return self._issued(Identity(folder / "server.pem", folder / "server-key.pem"), hosts)

    def issue_file(self, hosts: Sequence[str], path: Path) -> Path:
        """Return a private file with the certificate for these names and its key, reused alike."""
        return self._issued(Identity(path, path), hosts).certificate_path

    def _issued(self, identity: Identity, hosts: Sequence[str]) -> Identity:
        left = self.validity.renewed_before_end
        if not (_usable(identity, left) and _issued_for(identity, self, hosts)):
            authority = CA.from_pem(_certificate(self).public_bytes(Encoding.PEM), self.key_path.read_bytes())
            start, end = datetime.now(UTC) - BACKDATED, datetime.now(UTC) + self.validity.lifetime
            issued = authority.issue_cert(*hosts, common_name=hosts[0], not_before=start, not_after=end)
            _save(identity, issued.cert_chain_pems[0], issued.private_key_pem)
        return identity


@dataclass(frozen=True, slots=True)
class Succession:
    """The replacement of the authority of a folder, in three steps that each may be repeated.

    Each step writes one file that counts, so that the certificates and the key belong together at any time.
    """

    folder: Path

    def announce(self) -> None:
        """Make an authority that follows, and have both trusted, unless both are; raises OSError."""
        with locked(self.folder):
            self._announce(self.folder / "ca.pem", self.folder / "ca-key.pem")

    def _announce(self, trusted: Path, key: Path) -> None:
        if len(x509.load_pem_x509_certificates(trusted.read_bytes())) > 1:
            return
        issuing = _certificate(Identity(trusted, key))
        (name,) = issuing.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)
        made = CA(path_length=0, organization_unit_name=str(name.value))
        write_private(self._next, made.private_key_pem.bytes())
        write_private(trusted, issuing.public_bytes(Encoding.PEM) + made.cert_pem.bytes(), mode=0o644)

    def take_over(self) -> None:
        """Let the new authority issue; raises OSError."""
        with locked(self.folder):
            if self._next.exists():
                self._next.replace(self.folder / "ca-key.pem")

    def forget(self) -> None:
        """Have only the authority trusted that issues; raises OSError."""
        trusted = self.folder / "ca.pem"
        with locked(self.folder):
            issuing = _certificate(Identity(trusted, self.folder / "ca-key.pem"))
            write_private(trusted, issuing.public_bytes(Encoding.PEM), mode=0o644)

    @property
    def _next(self) -> Path:
        return self.folder / "ca-key.next.pem"


def make_authority(directory: Path, name: str, validity: Validity = A_YEAR) -> Authority:
    """Return the authority of this directory (`ca.pem`, `ca-key.pem`); the first call creates it."""
    directory.mkdir(parents=True, exist_ok=True)
    authority = Authority(directory / "ca.pem", directory / "ca-key.pem", validity)
    with locked(directory):  # while another half replaces it, its pair would look unusable
        if not _usable(authority, AUTHORITY_RENEWED_BEFORE_END):
            made = CA(path_length=0, organization_unit_name=name)
            _save(authority, made.cert_pem, made.private_key_pem)
    return authority


def _certificate(identity: Identity) -> x509.Certificate:
    """Return the certificate that belongs to the key, or the first one."""
    found = x509.load_pem_x509_certificates(identity.certificate_path.read_bytes())
    if len(found) == 1:
        return found[0]
    public = load_pem_private_key(identity.key_path.read_bytes(), password=None).public_key()
    return next((each for each in found if each.public_key() == public), found[0])


def _usable(identity: Identity, left: timedelta) -> bool:
    """Return whether the files are readable, match and have more than this time left."""
    try:
        certificate = _certificate(identity)
        key = load_pem_private_key(identity.key_path.read_bytes(), password=None)
    except (FileNotFoundError, TypeError, ValueError):
        return False
    lasting = certificate.not_valid_after_utc - datetime.now(UTC) > left
    return lasting and certificate.public_key() == key.public_key()


def _issued_for(server: Identity, issuer: Identity, hosts: Sequence[str]) -> bool:
    certificate = _certificate(server)
    try:
        certificate.verify_directly_issued_by(_certificate(issuer))
    except (InvalidSignature, ValueError):
        return False
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return list(names) == [_general_name(host) for host in hosts]


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _save(identity: Identity, certificate: Blob, key: Blob) -> None:
    """Write the key first, so that a crash in between leaves a pair that does not match."""
    if identity.key_path == identity.certificate_path:
        write_private(identity.key_path, key.bytes() + certificate.bytes())
        return
    write_private(identity.key_path, key.bytes())
    write_private(identity.certificate_path, certificate.bytes(), mode=0o644)
