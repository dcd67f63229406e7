"""Rotations of the vault's keys: recorded messages die, and stored credentials sign on."""

from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio

from contracts.credentials import Destroyed, Keys, Stored
from contracts.faults import Code
from contracts.wire.pinning import read_fingerprints, sealing_key_fingerprint, wrapping_key_fingerprint
from deploy.backup.destroyed import ID
from deploy.local.processes import Processes
from deploy.rotation.sealing import PATHS, rotate_sealing
from deploy.rotation.surroundings import RotationFailed, Surroundings
from deploy.rotation.wrapping import rotate_wrapping
from deploy.vault.provision import FINGERPRINTS, pinned_fingerprints
from tests.vault_broker.asking import code
from tests.vault_broker.conftest import Callers
from tests.vault_broker.rotating import CutShort, Place, provisioned
from tests.vault_broker.vaults import OwnVault
from vault_broker.credentials import Credentials
from vault_broker.paths import ENGINES, SEALING_KEY
from vault_broker.vault_login import Login

SECRET = "22582BD0CFF14C41EDBF1AB98506286D"


@pytest_asyncio.fixture(name="own_vault", scope="module")
async def _own_vault(
    processes: Processes, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[OwnVault]:
    """Yield a vault of this file: others name its first engine."""
    own_vault = OwnVault(processes, tmp_path_factory.mktemp("rotated-vault"), "rotated-vault")
    await own_vault.start()
    yield own_vault
    await own_vault.client.aclose()
    await own_vault.stop()


async def told(callers: Callers) -> Keys:
    """Return the keys that a broker tells."""
    keys = await callers.gateway.keys()
    assert isinstance(keys, Keys)
    return keys


def pins(own: OwnVault) -> list[frozenset[str]]:
    """Return the pinned fingerprints of the wrapping and of the sealing key."""
    pinned = pinned_fingerprints(own.fingerprints_file)
    return [read_fingerprints(pinned[name]) for name in FINGERPRINTS]


def gateways(callers: Callers, own: OwnVault) -> Callable[[tuple[str, ...]], Awaitable[None]]:
    """Return what gateways do at each roll: both the earlier and the new ones store a key.

    Provisioning runs before, too, and changes nothing.
    """
    fetched: list[Keys] = []

    async def store(_: tuple[str, ...]) -> None:
        before = pins(own)
        fetched.append(await told(callers))
        await provisioned(own)
        assert pins(own) == before
        for keys in fetched[-2:]:
            assert wrapping_key_fingerprint(keys.wrapping_key) in before[0] or keys is not fetched[-1]
            reply = await callers.gateway.store(callers.gateway.store_request(keys, SECRET.encode()))
            if keys is fetched[-1]:
                assert isinstance(reply, Stored), reply
            else:  # it asks for the keys again, and stores under another id
                assert isinstance(reply, Stored) or code(reply) == Code.KEYS_CHANGED

    return store


async def test_what_was_sealed_before_opens_no_more(
    callers: Callers, own_vault: OwnVault, tmp_path: Path
) -> None:
    """No version of the record has the old private key, and the new key alone is pinned, with its time."""
    before = await told(callers)
    recorded = callers.gateway.store_request(before, SECRET.encode())
    place = Place(own_vault, tmp_path, gateways(callers, own_vault))

    await rotate_sealing(place)

    after = await told(callers)
    assert after.sealing_key_id != before.sealing_key_id
    assert pins(own_vault)[1] == {sealing_key_fingerprint(after.sealing_key)}
    assert code(await callers.gateway.store(recorded)) == Code.KEYS_CHANGED
    for path in PATHS:
        metadata = (await own_vault.root("GET", path.replace("/data/", "/metadata/")))["data"]
        last = metadata["current_version"]
        earlier = [each for number, each in metadata["versions"].items() if int(number) < last - 1]
        assert len(earlier) > 1
        assert all(each["destroyed"] for each in earlier)
        kept = [number for number, each in metadata["versions"].items() if not each["destroyed"]]
        records = [(await own_vault.root("GET", f"{path}?version={each}"))["data"]["data"] for each in kept]
        assert {record["private_key"] for record in records} == {records[-1]["private_key"]}
        assert not any("other_private_key" in record for record in records)
        assert set((await own_vault.root("GET", path))["data"]["data"]) == {"private_key", "created"}


async def test_after_a_new_engine_recorded_imports_die_and_stored_keys_live(
    callers: Callers, own_vault: OwnVault, login: Login, tmp_path: Path
) -> None:
    """Keys sign and are destroyed in their engine; the next rotation unmounts an empty one."""
    old = await callers.gateway.stored(SECRET, "key", "words")
    recorded = callers.gateway.store_request(await told(callers), SECRET.encode())
    await rotate_wrapping(Place(own_vault, tmp_path, gateways(callers, own_vault)))

    keys = await told(callers)
    assert pins(own_vault)[0] == {wrapping_key_fingerprint(keys.wrapping_key)}
    assert code(await callers.gateway.store(recorded)) == Code.KEYS_CHANGED
    await is_not_imported(login, recorded.wrapped_secret)
    new = await callers.gateway.stored(SECRET, "key", "words")
    assert await own_vault.status("GET", f"transit-2/keys/{new}") == 200
    for credential in (old, new):
        grant = callers.gateway.grant(credential)
        assert len((await callers.worker.signed(callers.worker.request(credential, grant))).reads) == 4
    for name in (await own_vault.root("LIST", "transit/keys"))["data"]["keys"]:
        if ID.fullmatch(name):  # not the folder of the wrapping key
            assert isinstance(await callers.gateway.destroy(UUID(name)), Destroyed)
    assert await own_vault.status("GET", f"transit/keys/{old}") == 404

    await rotate_wrapping(Place(own_vault, tmp_path))

    assert (await Credentials(login).engines()).transit == ("transit-3", "transit-2")
    assert "transit/" not in (await own_vault.root("GET", "sys/mounts"))["data"]
    await provisioned(own_vault)
    assert "transit/" not in (await own_vault.root("GET", "sys/mounts"))["data"]
    assert isinstance(await callers.gateway.destroy(new), Destroyed)
    assert await own_vault.status("GET", f"transit-2/keys/{new}") == 404


async def is_not_imported(login: Login, wrapped: bytes) -> None:
    """Fail if a stolen broker can import a recorded secret anywhere, under an id of its own."""
    body = {
        "type": "hmac",
        "hash_function": "SHA256",
        "exportable": False,
        "ciphertext": b64encode(wrapped).decode(),
    }
    for engine in ("transit", "transit-2"):
        with pytest.raises(Exception, match=r"does not allow|rejects"):
            await login.request("POST", f"{engine}/keys/stolen/import", body)


@pytest.mark.parametrize("rotate", [rotate_sealing, rotate_wrapping])
@pytest.mark.parametrize("rolls", [0, 1])
async def test_a_rotation_that_was_cut_short_goes_on(
    callers: Callers,
    own_vault: OwnVault,
    tmp_path: Path,
    rotate: Callable[[Surroundings], Awaitable[None]],
    rolls: int,
) -> None:
    """Its repetition ends with one new key, also when the vault was provisioned meanwhile."""
    before = await told(callers)
    place = Place(own_vault, tmp_path)

    async def cut(_: tuple[str, ...]) -> None:
        if len(place.rolled) > rolls:
            raise CutShort

    place.on_roll = cut
    with pytest.raises(CutShort):
        await rotate(place)
    await provisioned(own_vault)
    again = Place(own_vault, tmp_path)
    await rotate(again)

    after = await told(callers)
    changed = (after.sealing_key != before.sealing_key, after.wrapping_key != before.wrapping_key)
    assert changed == ((True, False) if rotate is rotate_sealing else (False, True))
    assert [len(each) for each in pins(own_vault)] == [1, 1]
    assert len(again.rolled) == 2 - rolls


async def test_a_rotation_by_hand_is_not_guessed(own_vault: OwnVault, tmp_path: Path) -> None:
    """Of two keys without a word which one is new, neither is thrown away."""
    kept = (await own_vault.root("GET", SEALING_KEY))["data"]["data"]
    await own_vault.root("POST", SEALING_KEY, {"data": {**kept, "other_private_key": kept["private_key"]}})
    with pytest.raises(RotationFailed, match="by hand"):
        await rotate_sealing(Place(own_vault, tmp_path))
    await own_vault.root("POST", SEALING_KEY, {"data": kept})
    assert (await own_vault.root("GET", ENGINES))["data"]["data"]["other"] == ""
