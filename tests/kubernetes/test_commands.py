"""The commands of an operator: secrets are made once, and digests are written or nothing is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.kubernetes.digests import Unknown, pinned
from deploy.private_files import private_folder, write_private
from tests.kubernetes.manifests import Object
from tests.kubernetes.providing import HEX, LOG

SECONDS = 60
WRITTEN = "images:\n  - name: nats\n    newTag: 2.15.1-alpine\n  - name: butler-gateway\n    newTag: 0.1.0\n"
DIGEST = f"sha256:{HEX}"


def ran(directory: Path) -> subprocess.CompletedProcess[str]:
    """Run the command for secrets."""
    command = [sys.executable, "-m", "deploy.kubernetes.secrets", "--directory", str(directory)]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)


def secrets(directory: Path) -> dict[str, Object]:
    """Return the objects that the command prints, by kind and name."""
    done = ran(directory)
    assert done.returncode == 0, done.stderr
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in json.loads(done.stdout)["items"]}


def test_secrets_are_made_once_and_grow_with_the_cluster(tmp_path: Path) -> None:
    """A second run prints the same keys; the vault's token and fingerprints come when their files do."""
    first = secrets(tmp_path / "keys")
    write_private(tmp_path / "keys" / "fingerprints.env", LOG.encode())
    second = secrets(tmp_path / "keys")

    assert second == first | {"ConfigMap/vault-fingerprints": second["ConfigMap/vault-fingerprints"]}
    assert second["ConfigMap/vault-fingerprints"]["data"] == {
        "WRAPPING_KEY_FINGERPRINT": HEX,
        "SEALING_KEY_FINGERPRINT": HEX,
    }
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("", "WRAPPING_KEY_FINGERPRINT"),
        (LOG.partition("SEALING")[0], "SEALING_KEY_FINGERPRINT"),
        (LOG.replace(HEX, HEX[1:]), "WRAPPING_KEY_FINGERPRINT"),
    ],
)
def test_a_missing_fingerprint_removes_no_pin(tmp_path: Path, text: str, missing: str) -> None:
    """The command prints no object, and says which fingerprint is missing or not valid."""
    write_private(tmp_path / "fingerprints.env", text.encode())
    done = ran(tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert f"fingerprints.env has no valid {missing}" in done.stderr
    assert done.stderr.count("\n") == 1


def test_fingerprints_are_read_as_the_gateway_reads_them(tmp_path: Path) -> None:
    """Also two of a rotation, and in the form of openssl."""
    colons = ":".join(["AB"] * 32)
    write_private(tmp_path / "fingerprints.env", LOG.replace(HEX, f"{HEX}, {colons}").encode())

    assert secrets(tmp_path)["ConfigMap/vault-fingerprints"]["data"] == {
        "WRAPPING_KEY_FINGERPRINT": f"{HEX}, {colons}",
        "SEALING_KEY_FINGERPRINT": f"{HEX}, {colons}",
    }


@pytest.mark.parametrize("path", ["keys", "keys/vault.token"])
def test_keys_that_others_can_read_are_refused(tmp_path: Path, path: str) -> None:
    """A folder of mode 0755 or a file of a redirection is named, with the command that closes it."""
    write_private(private_folder(tmp_path / "keys") / "vault.token", b"a token")
    (tmp_path / path).chmod(0o755)
    done = ran(tmp_path / "keys")

    assert (done.returncode, done.stdout) == (1, "")
    assert f"{tmp_path / path}: run `chmod -R go= {tmp_path / 'keys'}`" in done.stderr
    subprocess.run(["chmod", "-R", "go=", tmp_path / "keys"], check=True)
    assert secrets(tmp_path / "keys")


def test_each_service_has_a_key_of_its_own(tmp_path: Path) -> None:
    """The ConfigMap has no private key, only public ones."""
    made = secrets(tmp_path / "keys")
    seeds = {path.read_text() for path in (tmp_path / "keys").glob("*.nk")}

    assert len(seeds) == len([*(tmp_path / "keys").glob("*.nk")])
    assert not [seed for seed in seeds if seed in json.dumps(made["ConfigMap/nats-accounts"])]


def test_a_digest_replaces_the_tag_which_stays_as_a_comment() -> None:
    """A second one replaces the first, and other images stay as they are."""
    once = pinned(WRITTEN, [f"nats registry.example.org/nats {DIGEST}"])
    again = pinned(once, ["", f"nats registry.example.org/bus {DIGEST.replace('0', '1')}"])

    assert again == WRITTEN.replace(
        "    newTag: 2.15.1-alpine\n",
        "    # tag 2.15.1-alpine\n    newName: registry.example.org/bus\n"
        f"    digest: {DIGEST.replace('0', '1')}\n",
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nats registry.example.org/nats sha256:0123", "not a valid line"),
        (f"gateway registry.example.org/gateway {DIGEST}", "no image of this name: gateway"),
    ],
)
def test_what_can_not_be_pinned_is_told(line: str, words: str) -> None:
    """A misspelt name would leave an image by its tag."""
    with pytest.raises(Unknown, match=words):
        pinned(WRITTEN, [f"nats registry.example.org/nats {DIGEST}", line])
