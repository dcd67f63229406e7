"""A private certificate authority for the servers of the local stack, and its server certificates."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFETIME = timedelta(days=3650)
SERVER_LIFETIME = timedelta(days=365)
# A certificate this close to its end is replaced at the next start: a stack may stay up for weeks.
RENEWED_BEFORE_END = timedelta(days=60)
BACKDATED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its P-256 key, both PEM files; the key is readable by its owner only."""

    certificate_path: Path
    key_path: Path


@dataclass(frozen=True, slots=True)
class Authority(Identity):
    """A certificate authority; its certificate is what clients of its servers must trust."""

    def issue(self, hosts: Sequence[str]) -> Identity:
        """Give the server identity for these host names and IP addresses, kept beside the authority.

        It is made once and used again while it is valid, ours and for the same hosts.
        """
        folder = self.certificate_path.parent
        server = Identity(folder / "server.pem", folder / "server-key.pem")
        issuer, issuer_key = _load(self)
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        if not (_usable(server) and _issued_for(server, issuer, names)):
            key = ec.generate_private_key(ec.SECP256R1())
            builder = _builder(issuer.subject, _name(hosts[0]), key.public_key(), SERVER_LIFETIME)
            issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
            builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            builder = builder.add_extension(_key_usage(authority=False), critical=True)
            builder = builder.add_extension(usage, critical=False).add_extension(names, critical=False)
            builder = builder.add_extension(issuer_id, critical=False)
            _save(server, builder.sign(issuer_key, SHA256()), key)
        return server


def make_authority(directory: Path, name: str) -> Authority:
    """Give the authority of this directory (`ca.pem`, `ca-key.pem`); the first call makes it."""
    directory.mkdir(parents=True, exist_ok=True)
    authority = Authority(directory / "ca.pem", directory / "ca-key.pem")
    if not _usable(authority):
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(name), _name(name), key.public_key(), AUTHORITY_LIFETIME)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_key_usage(authority=True), critical=True)
        _save(authority, builder.sign(key, SHA256()), key)
    return authority


def _builder(
    issuer: x509.Name, subject: x509.Name, public_key: ec.EllipticCurvePublicKey, lifetime: timedelta
) -> x509.CertificateBuilder:
    """Begin a certificate that is valid from now on, with the key identifier that strict checks ask for."""
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _load(identity: Identity) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Read certificate and key; raises TypeError for a key that is not elliptic."""
    certificate = x509.load_pem_x509_certificate(identity.certificate_path.read_bytes())
    key = load_pem_private_key(identity.key_path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{identity.key_path} holds no elliptic key")
    return certificate, key


def _usable(identity: Identity) -> bool:
    """Say whether the files can be read, belong together and do not end soon."""
    try:
        certificate, key = _load(identity)
    except (FileNotFoundError, TypeError, ValueError):
        return False
    lasting = certificate.not_valid_after_utc - datetime.now(UTC) > RENEWED_BEFORE_END
    return lasting and certificate.public_key() == key.public_key()


def _issued_for(server: Identity, issuer: x509.Certificate, names: x509.SubjectAlternativeName) -> bool:
    certificate, _ = _load(server)
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError):
        return False
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value == names


def _save(identity: Identity, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    """Write the key first, so that a crash in between shows as a pair that does not match."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _replace(identity.key_path, pem, mode=0o600)
    _replace(identity.certificate_path, certificate.public_bytes(Encoding.PEM), mode=0o644)


def _replace(path: Path, content: bytes, mode: int) -> None:
    """Put a whole file in place at once, never readable with more rights than its mode."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=mode, exist_ok=False)
    draft.write_bytes(content)
    draft.replace(path)
