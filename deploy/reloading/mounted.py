"""The certificate in the files of a pod, which the kubelet replaces after a renewal."""

import ssl
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

CERTIFICATE, KEY, AUTHORITY = "tls.crt", "tls.key", "ca.crt"


@dataclass(frozen=True, slots=True)
class Mounted:
    """The certificate of the server itself (DER), and a hash that changes with each of the files."""

    certificate: bytes
    hash: str


def read(folder: Path) -> Mounted:
    """Read the files of cert-manager; a folder may lack the key. Raises OSError, ValueError."""
    found = [folder / name for name in (CERTIFICATE, AUTHORITY, KEY)]
    contents = [path.read_bytes() for path in found if path.name != KEY or path.exists()]
    leaf, end, _ = contents[0].decode().partition(ssl.PEM_FOOTER)
    hashes = (sha256(content).digest() for content in contents)
    return Mounted(ssl.PEM_cert_to_DER_cert(f"{leaf.strip()}{end}"), sha256(b"".join(hashes)).hexdigest())
