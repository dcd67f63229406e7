"""The authorities of the bus's and the vault's certificates, and with them all that they issued.

All learn the new authority, it issues every certificate, then the old one goes; the file of the authority
says which step comes next. Certificates alone are replaced without a command, before they end.
"""

from pathlib import Path

from deploy.local.certificates import Succession
from deploy.rotation.surroundings import SERVICES, RotationFailed, Surroundings


async def rotate_certificates(place: Surroundings) -> None:
    """Replace the authorities and certificates of the local stack; raises RotationFailed."""
    successions = [Succession(folder) for folder in _folders(place.keys)]
    try:
        for each in successions:
            each.announce()
        place.tell("certificates: all learn the new authorities")
        await place.reload_bus()
        await place.roll(*SERVICES)
        for each in successions:
            each.take_over()
        place.tell("certificates: the new authorities issue them")
        await place.reload_bus()
        await place.restart_vault()
        for each in successions:
            each.forget()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a file is damaged"
        raise RotationFailed(f"the authorities can not be changed: {reason}") from None
    await place.roll(*SERVICES)
    await place.reload_bus()
    place.tell("certificates: the earlier authorities count no more")


def _folders(keys: Path) -> list[Path]:
    """Return the folders of the local authorities; raises RotationFailed elsewhere."""
    folders = [keys / "nats", keys.parent / "openbao" / "tls"]
    if not all((folder / "ca-key.pem").exists() for folder in folders):
        raise RotationFailed("cert-manager replaces the certificates of a cluster: see docs/operations.md")
    return folders
