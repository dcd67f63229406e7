"""A private certificate authority for the servers of the local stack, and its server certificates.

trustme makes both. They are kept in files, so that clients that trust the authority still do after a restart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from trustme import CA, Blob

from deploy.private_files import write_private

SERVER_LIFETIME = timedelta(days=365)
# A certificate that expires within this time is replaced at the start, because a stack may run for weeks.
RENEWED_BEFORE_END = timedelta(days=60)
BACKDATED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its P-256 key, both PEM files; the key is readable by its owner only."""

    certificate_path: Path
    key_path: Path


@dataclass(frozen=True, slots=True)
class Authority(Identity):
    """A certificate authority; clients of its servers must trust its certificate."""

    def issue(self, hosts: Sequence[str], folder: Path | None = None) -> Identity:
        """Return the server identity for these host names and IP addresses.

        It is stored in a folder, by default beside the authority, and reused while it is valid, issued by
        this authority and for the same hosts.
        """
        folder = folder or self.certificate_path.parent
        server = Identity(folder / "server.pem", folder / "server-key.pem")
        if not (_usable(server) and _issued_for(server, self, hosts)):
            authority = CA.from_pem(self.certificate_path.read_bytes(), self.key_path.read_bytes())
            now = datetime.now(UTC)
            issued = authority.issue_cert(
                *hosts, common_name=hosts[0], not_before=now - BACKDATED, not_after=now + SERVER_LIFETIME
            )
            _save(server, issued.cert_chain_pems[0], issued.private_key_pem)
        return server


def make_authority(directory: Path, name: str) -> Authority:
    """Return the authority of this directory (`ca.pem`, `ca-key.pem`); the first call creates it."""
    directory.mkdir(parents=True, exist_ok=True)
    authority = Authority(directory / "ca.pem", directory / "ca-key.pem")
    if not _usable(authority):
        made = CA(path_length=0, organization_unit_name=name)
        _save(authority, made.cert_pem, made.private_key_pem)
    return authority


def _certificate(identity: Identity) -> x509.Certificate:
    return x509.load_pem_x509_certificate(identity.certificate_path.read_bytes())


def _usable(identity: Identity) -> bool:
    """Return whether the files are readable, match and do not expire soon."""
    try:
        certificate = _certificate(identity)
        key = load_pem_private_key(identity.key_path.read_bytes(), password=None)
    except (FileNotFoundError, TypeError, ValueError):
        return False
    lasting = certificate.not_valid_after_utc - datetime.now(UTC) > RENEWED_BEFORE_END
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
    write_private(identity.key_path, key.bytes())
    write_private(identity.certificate_path, certificate.bytes()).chmod(0o644)
