"""Rotates the key that unseals the vault; the server itself encrypts its root key anew.

OpenBao does so when it is unsealed with both keys (tested with 2.7.2). `seal.json` says how far it is.
"""

from datetime import UTC, datetime

from deploy.rotation.surroundings import RotationFailed, Surroundings
from deploy.vault.calls import record
from deploy.vault.engines import SEAL, Engines, write
from vault_broker.paths import ENGINES


async def rotate_seal(place: Surroundings) -> None:
    """Replace the seal's key: after it, the old one unseals only snapshots that are older.

    The vault starts twice, because its second start proves that the new key alone unseals it. Raises
    RotationFailed.
    """
    try:
        await _rotate(place)
    except (OSError, ValueError) as error:
        raise RotationFailed(f"the keys of the seal can not be changed: {error}") from None


async def _rotate(place: Surroundings) -> None:
    seal = place.seal
    if not seal.keys().turning:
        await _check_vault(place)
        seal.begin(f"{datetime.now(UTC):%Y%m%dT%H%M%S}")
        place.tell("the vault starts with both keys, and encrypts its own under the new one")
    if seal.keys().previous is not None:
        await place.restart_vault()
        seal.finish()
        place.tell("the vault starts with the new key alone")
    if not seal.keys().started:
        await place.restart_vault()
        seal.note_start()
    async with place.vault() as client:
        engines = Engines.of(found) if (found := await record(client, ENGINES)) else Engines()
        await write(client, engines.made(SEAL))
    former = ", ".join(seal.forget()) or "no file"
    place.tell(f"deleted {former}: earlier snapshots need it, so keep it in your backup of the keys")


async def _check_vault(place: Surroundings) -> None:
    """Read the record that the last step writes, so that a missing token stops the first step."""
    async with place.vault() as client:
        await record(client, ENGINES)
