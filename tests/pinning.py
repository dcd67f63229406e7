"""The pins of a gateway of the tests: the keys of the tests' vault."""

from pathlib import Path

from contracts.wire.pinning import read_fingerprints
from deploy.vault.provision import FINGERPRINTS, pinned_fingerprints
from gateway.accounts.credentials import Pinned


def pinned_in(fingerprints_file: Path) -> Pinned:
    """Return the fingerprints that provisioning wrote into a file."""
    written = pinned_fingerprints(fingerprints_file)
    return Pinned(*(read_fingerprints(written[name]) for name in FINGERPRINTS))
