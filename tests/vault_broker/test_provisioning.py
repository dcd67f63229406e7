"""Provisioning may be interrupted and repeated: it ends in one key, one login and no other token."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest
import pytest_asyncio

from contracts.wire.pinning import sealing_key_fingerprint
from deploy.local.openbao import TERMS
from deploy.local.processes import Processes
from deploy.vault.calls import mount, record, token_by
from deploy.vault.provision import FINGERPRINTS, MOUNTS, Handover, pinned_fingerprints, provision
from tests.vault_broker.conftest import logged_in
from tests.vault_broker.vaults import OwnVault
from vault_broker.credentials import Credentials
from vault_broker.paths import EARLIER_SEALING_KEY, ENGINES, SEALING_KEY

METADATA = [path.replace("/data/", "/metadata/") for path in (SEALING_KEY, EARLIER_SEALING_KEY)]
ENOUGH = 60
# So many that some are read before they are ready.
STORES = 24


class CutShort(Exception):
    """The process that provisions has ended."""


@pytest_asyncio.fixture(name="vault", scope="module")
async def _vault(processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OwnVault]:
    vault = OwnVault(processes, tmp_path_factory.mktemp("provisioned"), "provisioned-vault")
    await vault.start()
    yield vault
    await vault.client.aclose()
    await vault.stop()


async def provisioned(vault: OwnVault, requests: int = ENOUGH) -> int:
    """Provision, but end before so many requests are sent, and return how many were."""
    sent = 0

    async def count(_: httpx.Request) -> None:
        nonlocal sent
        if sent == requests:
            raise CutShort
        sent += 1

    vault.client.event_hooks = {"request": [count]}
    files = Handover(vault.role_id_file, vault.secret_id_file, vault.fingerprints_file)
    try:
        with suppress(CutShort):
            await provision(vault.client, files, TERMS)
    finally:
        vault.client.event_hooks = {}
    return sent


async def keys(vault: OwnVault) -> list[str]:
    """Return the private keys at the two paths."""
    answers = [await vault.root("GET", path) for path in (SEALING_KEY, EARLIER_SEALING_KEY)]
    return [answer["data"]["data"]["private_key"] for answer in answers]


async def check(vault: OwnVault) -> None:
    """Fail unless a broker can log in and finds the one key that is pinned."""
    async with logged_in(vault) as login:
        key = (await Credentials(login).sealing_keys()).newest
    pinned = pinned_fingerprints(vault.fingerprints_file)
    assert pinned[FINGERPRINTS[1]] == sealing_key_fingerprint(key.public)
    assert len(set(await keys(vault))) == 1
    logins = await vault.root("LIST", "auth/approle/role/vault-broker/secret-id")
    assert len(logins["data"]["keys"]) == 1


async def test_cut_short_anywhere_it_is_done_by_the_next(vault: OwnVault) -> None:
    """However many requests were sent, to a vault without sealing key, the next one completes."""
    whole = await provisioned(vault)
    assert 10 < whole < ENOUGH
    for requests in range(whole + 1):
        for path in METADATA:
            await vault.root("DELETE", path)
        await provisioned(vault, requests)
        settled = await vault.client.get(SEALING_KEY)
        await provisioned(vault)

        await check(vault)
        if settled.is_success:
            assert (await keys(vault))[0] == settled.json()["data"]["data"]["private_key"]


async def test_the_key_of_an_earlier_broker_stays(vault: OwnVault) -> None:
    """The new path gets the key that brokers of the previous release have made."""
    made = (await keys(vault))[0]
    await vault.root("DELETE", METADATA[0])

    await provisioned(vault)

    assert await keys(vault) == [made, made]


async def test_a_key_made_elsewhere_later_does_not_count(vault: OwnVault) -> None:
    """If the two paths differ the pinned key wins: the earlier path gets it back."""
    pinned = (await keys(vault))[0]
    await vault.root("POST", EARLIER_SEALING_KEY, {"data": {"private_key": "AAAA"}})

    await provisioned(vault)

    assert await keys(vault) == [pinned, pinned]


async def test_what_was_copied_before_is_worth_nothing_after(vault: OwnVault) -> None:
    """A leftover root token, a broker's token and its secret id end with the next provisioning."""
    left = (await vault.root("POST", "auth/token/create", {"no_parent": True}))["auth"]["client_token"]
    copied = {"role_id": vault.role_id_file.read_text(), "secret_id": vault.secret_id_file.read_text()}
    used = (await vault.root("POST", "auth/approle/login", copied))["auth"]["client_token"]

    await provisioned(vault)

    for token, path in ((left, "sys/mounts"), (used, "transit/wrapping_key")):
        answer = await vault.client.get(path, headers={"X-Vault-Token": token})
        assert answer.status_code == httpx.codes.FORBIDDEN
    refused = await vault.client.post("auth/approle/login", json=copied)
    assert refused.status_code == httpx.codes.BAD_REQUEST
    await check(vault)


async def test_a_rotation_that_ends_meanwhile_keeps_its_policy(vault: OwnVault) -> None:
    """Provisioning that read the record before does not let brokers import into the earlier engine again."""
    await provisioned(vault)
    before = (await vault.root("GET", ENGINES))["data"]["data"]
    ended = {**before, "transit": ["transit-2", "transit"], "other": ""}
    await vault.root("POST", ENGINES, {"data": {**ended, "other": "transit"}})

    async def end(request: httpx.Request) -> None:
        if request.url.path.endswith("/sys/policies/acl/vault-broker"):
            vault.client.event_hooks = {"request": []}
            await vault.root("POST", ENGINES, {"data": ended})

    vault.client.event_hooks = {"request": [end]}
    await provision(
        vault.client, Handover(vault.role_id_file, vault.secret_id_file, vault.fingerprints_file), TERMS
    )

    policy = (await vault.root("GET", "sys/policies/acl/vault-broker"))["data"]["policy"]
    assert 'path "transit-2/keys/+/import"' in policy
    assert 'path "transit/keys/+/import"' not in policy
    await vault.root("POST", ENGINES, {"data": before})


async def test_an_unknown_accessor_is_of_a_token_that_has_ended(vault: OwnVault) -> None:
    """For a look-up and for a revocation alike."""
    for act in ("lookup", "revoke"):
        assert await token_by(vault.client, act, "none") == {}


async def test_a_store_can_be_read_as_soon_as_it_is_mounted(vault: OwnVault) -> None:
    """A new one answers 400 for a moment, while it makes itself one of version 2."""

    async def read(number: int) -> object:
        await mount(vault.client, {f"sys/mounts/kv-{number}": MOUNTS["sys/mounts/secret"]})
        return await record(vault.client, f"kv-{number}/data/any")

    assert await asyncio.gather(*map(read, range(STORES))) == [{}] * STORES
