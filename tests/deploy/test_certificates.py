"""Certificates of the local stack: kept while valid, renewed before they end."""

import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.x509 import load_pem_x509_certificate
from trustme import CA

from chassis.tls import tls_context
from deploy.local.certificates import A_YEAR, RENEWED, Validity, make_authority
from tests.deploy.verifying import verified

ROOT = Path(__file__).parents[2]
HOSTS = ("127.0.0.1", "localhost")
# The last commit whose stack made its certificates with its own code.
EARLIER = "5936b85d166561078726e9a1a8886d4fe30a7456"
MADE = """
import sys
from pathlib import Path
from certificates import make_authority
make_authority(Path(sys.argv[1]), "Earlier CA").issue(sys.argv[2:])
"""


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_keys_are_private_and_certificates_can_be_read(tmp_path: Path) -> None:
    """A key is 0600, a certificate 0644, whatever the umask is."""
    make_authority(tmp_path, "Test CA").issue(HOSTS)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}

    assert modes == {"ca.pem": 0o644, "ca-key.pem": 0o600, "server.pem": 0o644, "server-key.pem": 0o600}


def test_a_server_is_valid_for_a_year_from_an_hour_ago(tmp_path: Path) -> None:
    """A client whose clock is a little behind accepts it, too."""
    server = make_authority(tmp_path, "Test CA").issue(HOSTS)
    certificate = load_pem_x509_certificate(server.certificate_path.read_bytes())
    now = datetime.now(UTC)

    assert abs(now - timedelta(hours=1) - certificate.not_valid_before_utc) < timedelta(minutes=1)
    assert abs(now + timedelta(days=365) - certificate.not_valid_after_utc) < timedelta(minutes=1)


SOON = [
    (A_YEAR, -1, False),
    (A_YEAR, 59, False),
    (A_YEAR, 61, True),
    (RENEWED, 29, False),
    (RENEWED, 31, True),
]


@pytest.mark.parametrize(("validity", "days", "kept"), SOON)
def test_a_certificate_that_ends_soon_is_made_anew(
    tmp_path: Path,
    validity: Validity,
    days: int,
    kept: bool,  # noqa: FBT001
) -> None:
    """It is reused only while it has more than two months, or one where the stack renews it."""
    authority = make_authority(tmp_path, "Test CA", validity)
    issuer = CA.from_pem(authority.certificate_path.read_bytes(), authority.key_path.read_bytes())
    end = datetime.now(UTC) + timedelta(days=days)
    old = issuer.issue_cert(*HOSTS, not_before=end - timedelta(days=365), not_after=end)
    old.private_key_pem.write_to_path(tmp_path / "server-key.pem")
    old.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")

    server = authority.issue(HOSTS)

    assert (server.certificate_path.read_bytes() == old.cert_chain_pems[0].bytes()) is kept
    assert verified(authority, server)


def test_a_client_has_one_file_that_is_replaced_at_once(tmp_path: Path) -> None:
    """Certificate and key in it always match; the file is private, reused, and replaced for another name."""
    authority = make_authority(tmp_path, "Test CA", RENEWED)
    path = authority.issue_file(["gateway"], tmp_path / "gateway.pem")
    first = path.read_bytes()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    tls_context(str(authority.certificate_path), str(path), str(path))
    assert authority.issue_file(["gateway"], path).read_bytes() == first
    assert authority.issue_file(["another"], path).read_bytes() != first


def test_certificates_of_earlier_commits_are_used_on(tmp_path: Path) -> None:
    """A client's trusted authority does not change, and issues for other hosts."""
    source = subprocess.run(
        ["git", "show", f"{EARLIER}:deploy/local/certificates.py"], cwd=ROOT, capture_output=True, check=False
    )
    if source.returncode:
        pytest.skip("this checkout has no history")
    (tmp_path / "certificates.py").write_bytes(source.stdout)
    tls = tmp_path / "tls"
    subprocess.run([sys.executable, "-c", MADE, tls, *HOSTS], cwd=tmp_path, check=True)
    made = contents(tls)

    authority = make_authority(tls, "Test CA")
    server = authority.issue(HOSTS)

    assert contents(tls) == made
    assert verified(authority, server)
    other = authority.issue(["localhost"])
    assert verified(authority, other)
    assert contents(tls)["ca.pem"] == made["ca.pem"]
