"""Rotates the key with which gateways wrap secrets for the vault: a new transit engine with its own key.

Keys that were imported stay where they are, and go on signing (decision 40). Brokers of the release before
know one engine only: all brokers must have this release before the first rotation.
"""

import re
from dataclasses import replace

import httpx

from deploy.rotation.pins import pin
from deploy.rotation.surroundings import RotationFailed, Surroundings
from deploy.vault.calls import call, mount, names, record
from deploy.vault.engines import KIND, WRAPPING, Engines, admit, fingerprints, write
from deploy.vault.provision import FINGERPRINTS
from vault_broker.paths import ENGINES, TRANSIT

# A broker answers within less, and reads the record at each request.
IMPORT_SECONDS = 5.0


async def rotate_wrapping(place: Surroundings) -> None:
    """Replace the wrapping key: after it, no import that was wrapped with the old one is accepted."""
    async with place.vault() as client:
        found = await record(client, ENGINES)
        if not found:
            raise RotationFailed("the vault has no record of its engines: provision it first")
        engines = Engines.of(found)
        if not engines.other:
            engines = await _mount_next(place, client, await _without_empty(place, client, engines))
        if engines.other not in engines.live:
            place.tell(f"gateways learn the wrapping key of {engines.other}")
            await _roll(place, client, engines)
            engines = await _switch(client, engines)
        place.tell(f"brokers import into {engines.live[0]}")
        await place.wait(IMPORT_SECONDS, "imports into the old engine end")
        await _roll(place, client, engines)
        engines = replace(engines, other="")
        await admit(client, engines)
        await write(client, engines)
    place.tell("no broker may import into an earlier engine any more: recorded imports are worth nothing")


async def _mount_next(place: Surroundings, client: httpx.AsyncClient, engines: Engines) -> Engines:
    """Mount the successor, and let brokers import into it before any does."""
    numbers = (re.fullmatch(rf"{TRANSIT}-(\d+)", name) for name in engines.live)
    number = max((int(found[1]) for found in numbers if found), default=1) + 1
    engines = replace(engines, other=f"{TRANSIT}-{number}")
    place.tell(f"mounting {engines.other}")
    await mount(client, {f"sys/mounts/{engines.other}": KIND})
    await admit(client, engines)
    await write(client, engines)
    return engines


async def _switch(client: httpx.AsyncClient, engines: Engines) -> Engines:
    """Make the successor the engine into which brokers import, from their next request on."""
    live = (engines.other, *engines.live)
    switched = replace(engines, live=live, other=engines.live[0]).made(WRAPPING)
    await write(client, switched)
    return switched


async def _without_empty(place: Surroundings, client: httpx.AsyncClient, engines: Engines) -> Engines:
    """Unmount earlier engines that hold no key any more."""
    earlier = engines.live[1:]
    for name in earlier:
        # Beside keys stands the folder `import/` of the wrapping key.
        if not [key for key in await names(client, f"{name}/keys") if not key.endswith("/")]:
            place.tell(f"unmounting {name}, which holds no key any more")
            await call(client, "DELETE", f"sys/mounts/{name}")
            engines = replace(engines, live=tuple(each for each in engines.live if each != name))
            await write(client, engines)
    await admit(client, engines)
    return engines


async def _roll(place: Surroundings, client: httpx.AsyncClient, engines: Engines) -> None:
    """Pin the wrapping keys of this step, and replace the gateways, which then ask for the keys again."""
    pin(place, FINGERPRINTS[0], await fingerprints(client, engines))
    await place.roll("gateway")
