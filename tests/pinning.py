"""What a gateway of the tests pins: the keys of the vault that the test runs."""

from pathlib import Path

from contracts.wire.pinning import read_fingerprints
from deploy.vault.provision import FINGERPRINTS, pinned_fingerprints
from gateway.accounts.credentials import Pinned


def pinned_in(fingerprints_file: Path) -> Pinned:
    """Return the fingerprints that provisioning wrote into a file."""
    written = pinned_fingerprints(fingerprints_file)
    return Pinned(*(read_fingerprints(written[name]) for name in FINGERPRINTS))
