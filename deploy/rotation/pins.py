"""The fingerprints that gateways pin, changed one at a time."""

from deploy.rotation.surroundings import RotationFailed, Surroundings
from deploy.vault.provision import pinned_fingerprints, write_pinned


def pin(place: Surroundings, name: str, value: str) -> None:
    """Replace one of the two settings in the file; raises RotationFailed without a valid file."""
    try:
        pinned = pinned_fingerprints(place.fingerprints_file)
    except (OSError, ValueError) as error:
        raise RotationFailed(f"the fingerprints can not be read: provision the vault ({error})") from None
    write_pinned(place.fingerprints_file, {**pinned, name: value})
