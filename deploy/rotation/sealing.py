"""Rotates the key pair to which gateways seal what they send to brokers (decision 35).

The record says how far a rotation is: an `other_private_key` that is the successor, or the predecessor.
"""

from base64 import b64encode

import httpx

from contracts.wire.pinning import sealing_key_fingerprint
from contracts.wire.sealing import SealingKey
from deploy.rotation.pins import pin
from deploy.rotation.surroundings import RotationFailed, Surroundings
from deploy.vault.calls import Answer, call, now, record
from deploy.vault.provision import (
    FINGERPRINTS,
    MADE,
    OTHER,
    OTHER_IS,
    PREDECESSOR,
    PRIVATE,
    SUCCESSOR,
    pinned_sealing_keys,
)
from vault_broker.paths import EARLIER_SEALING_KEY, SEALING_KEY

PATHS = (SEALING_KEY, EARLIER_SEALING_KEY)


async def rotate_sealing(place: Surroundings) -> None:
    """Replace the sealing key: after it, no message that was sealed to the old one opens."""
    async with place.vault() as client:
        content = await record(client, SEALING_KEY)
        if not content:
            raise RotationFailed("the vault holds no sealing key: provision it first")
        if OTHER in content and content.get(OTHER_IS) not in (SUCCESSOR, PREDECESSOR):
            raise RotationFailed(
                "the vault's record of the sealing key has two keys, and does not say which one is new: "
                "finish the rotation that was begun by hand (remove other_private_key), then repeat this"
            )
        if OTHER_IS not in content:
            content = await _add(client, content)
        if content[OTHER_IS] == SUCCESSOR:
            place.tell("gateways learn the new sealing key")
            await _roll(place, content)
            content = await _swap(client, content)
        place.tell("gateways seal to the new key")
        await _roll(place, content)
        await _remove_old(client, content)
    place.tell("the old sealing key is destroyed: no message that was sealed to it opens any more")


async def _add(client: httpx.AsyncClient, content: Answer) -> Answer:
    successor = b64encode(SealingKey.generate().private_bytes()).decode()
    return await _write(client, {**content, OTHER: successor, OTHER_IS: SUCCESSOR})


async def _swap(client: httpx.AsyncClient, content: Answer) -> Answer:
    swapped = {PRIVATE: content[OTHER], OTHER: content[PRIVATE], OTHER_IS: PREDECESSOR, MADE: now()}
    return await _write(client, swapped)


async def _remove_old(client: httpx.AsyncClient, content: Answer) -> None:
    """Remove the old key, with all earlier versions of the record for good.

    The record says that there was an old key until its versions are destroyed, so that an interrupted
    removal is repeated.
    """
    without = {name: value for name, value in content.items() if name != OTHER}
    await _write(client, without)
    for path in PATHS:
        await _destroy_versions(client, path)
    await _write(client, {name: value for name, value in without.items() if name != OTHER_IS})


async def _destroy_versions(client: httpx.AsyncClient, path: str) -> None:
    """Destroy all versions of a record but the newest."""
    metadata = (await call(client, "GET", path.replace("/data/", "/metadata/")))["data"]
    earlier = [int(version) for version in metadata["versions"] if int(version) < metadata["current_version"]]
    if earlier:
        await call(client, "PUT", path.replace("/data/", "/destroy/"), {"versions": earlier})


async def _write(client: httpx.AsyncClient, content: Answer) -> Answer:
    for path in PATHS:
        await call(client, "POST", path, {"data": content})
    return content


async def _roll(place: Surroundings, content: Answer) -> None:
    """Pin the keys that a record names, and replace the gateways, which then ask for the keys again."""
    keys = pinned_sealing_keys(content)
    pin(place, FINGERPRINTS[1], ",".join(sealing_key_fingerprint(key.public) for key in keys))
    await place.roll("gateway")
