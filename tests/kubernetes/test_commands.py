"""The commands of an operator: secrets are made once, and digests are written or nothing is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.kubernetes.digests import Unknown, pinned
from tests.kubernetes.manifests import Object
from tests.kubernetes.providing import HEX, LOG

SECONDS = 60
WRITTEN = "images:\n  - name: nats\n    newTag: 2.15.1-alpine\n  - name: butler-gateway\n    newTag: 0.1.0\n"
DIGEST = f"sha256:{HEX}"


def secrets(directory: Path) -> dict[str, Object]:
    """Return the objects that the command prints, by kind and name."""
    command = [sys.executable, "-m", "deploy.kubernetes.secrets", "--directory", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in json.loads(done.stdout)["items"]}


def test_secrets_are_made_once_and_grow_with_the_cluster(tmp_path: Path) -> None:
    """A second run prints the same keys; the vault's token and fingerprints come when their files do."""
    first = secrets(tmp_path / "keys")
    (tmp_path / "keys" / "fingerprints.env").write_text(LOG)
    second = secrets(tmp_path / "keys")

    assert second == first | {"ConfigMap/vault-fingerprints": second["ConfigMap/vault-fingerprints"]}
    assert second["ConfigMap/vault-fingerprints"]["data"] == {
        "WRAPPING_KEY_FINGERPRINT": HEX,
        "SEALING_KEY_FINGERPRINT": HEX,
    }
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


def test_each_service_has_a_key_of_its_own(tmp_path: Path) -> None:
    """The ConfigMap has no private key, only public ones."""
    made = secrets(tmp_path)
    seeds = {path.read_text() for path in tmp_path.glob("*.nk")}

    assert len(seeds) == len([*tmp_path.glob("*.nk")])
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
