"""The vault-broker's client signs, sends secrets under pinned keys only, and raises each refusal."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from uuid_utils.compat import uuid7

from chassis.bus.connection import Bus
from chassis.bus.respond import respond
from contracts import subjects
from contracts.credentials import STORE_SECONDS, Destroy, Destroyed, Keys, Refused, Store, Stored
from contracts.exchanges.okx import OKX
from contracts.faults import Code, Failure
from contracts.wire.envelope import decode
from contracts.wire.grants import GrantRefused, check_request
from contracts.wire.sealing import SealingKey
from deploy.local.nats import Nats
from gateway.accounts.broker import UNANSWERED, Broker
from gateway.errors import VaultNotTrusted
from gateway.store.clock import DatabaseTime
from tests.gateway.accounts.submitting import FIELDS
from tests.vault_broker.conftest import connected
from tests.vault_broker.test_stolen_broker import OTHER, RIGHT, pinned

SEALING = SealingKey.generate()
TRUSTED = Keys(RIGHT.wrapping_key, SEALING.public, SEALING.key_id)


class Vault:
    """Answers for the vault-broker, with one answer to every request that the gateway has signed.

    `parts` are the opened sealed parts of the stores.
    """

    def __init__(self, gateway: Ed25519PublicKey) -> None:
        self.gateway = gateway
        self.keys: Keys | Refused = TRUSTED
        self.refusal: Refused | None = None
        self.asked_for_keys = 0
        self.stores: list[Store] = []
        self.parts: list[dict[str, str]] = []

    def declare(self, bus: Bus) -> None:
        """Declare the answers."""

        async def keys(_: bytes) -> Any:
            self.asked_for_keys += 1
            return self.keys

        async def store(body: bytes) -> Any:
            request: Store = decode(body, Store)
            self.stores.append(request)
            self.parts.append(opened(request))
            return self.refusal or self.check(request) or Stored()

        async def destroy(body: bytes) -> Any:
            return self.refusal or self.check(decode(body, Destroy)) or Destroyed()

        respond(bus, subjects.KEYS, "vault-broker", keys, 1)
        respond(bus, subjects.STORE, "vault-broker", store, 1)
        respond(bus, subjects.DESTROY, "vault-broker", destroy, 1)

    def check(self, request: Store | Destroy) -> Refused | None:
        """Refuse a request without the gateway's signature."""
        try:
            check_request(request, self.gateway)
        except GrantRefused:
            return Refused(Code.GRANT_REFUSED)
        return None


def opened(request: Store) -> dict[str, str]:
    """Open the sealed parts of a store; raises SealBroken."""
    plain = SEALING.open(request.sealed_parts, subjects.STORE, request.credential_id, request.request_id)
    parts: dict[str, str] = decode(plain, dict[str, str])
    return parts


@pytest_asyncio.fixture(name="vault")
async def _vault(nats: Nats, grant_key: Ed25519PrivateKey) -> AsyncIterator[Vault]:
    vault = Vault(grant_key.public_key())
    async with connected(nats, "vault-broker", "broker", vault.declare):
        yield vault


@pytest_asyncio.fixture(name="broker")
async def _broker(nats: Nats, grant_key: Ed25519PrivateKey) -> AsyncIterator[Broker]:
    """Yield a client that trusts one vault."""
    async with connected(nats, "gateway", "gateway") as bus:
        yield Broker(bus, pinned(TRUSTED), grant_key)


async def test_keys_are_asked_for_once(broker: Broker, vault: Vault) -> None:
    """Later stores use the same keys, each with a new request id and deadline."""
    ids = [uuid7(), uuid7()]
    begun = datetime.now(UTC) + timedelta(hours=1)

    for each in ids:
        await broker.store(each, OKX, FIELDS, DatabaseTime.just(begun))

    assert vault.asked_for_keys == 1
    assert [each.credential_id for each in vault.stores] == ids
    assert len({each.request_id for each in vault.stores}) == 2
    for store in vault.stores:  # by the database's clock, not by ours
        assert abs(store.deadline - begun - timedelta(seconds=STORE_SECONDS)) < timedelta(seconds=5)


async def test_the_signing_field_is_not_in_the_sealed_parts(broker: Broker, vault: Vault) -> None:
    """The broker could read it there; the vault alone can open the wrapped one."""
    await broker.store(uuid7(), OKX, FIELDS)

    others = {name: value.reveal() for name, value in FIELDS.items() if name != "api_secret"}
    assert vault.parts == [others]
    assert FIELDS["api_secret"].reveal().encode() not in vault.stores[0].wrapped_secret


async def test_after_a_refusal_the_keys_are_asked_for_again(broker: Broker, vault: Vault) -> None:
    """They may have changed, and the next store uses the new ones."""
    vault.refusal = Refused(Code.KEYS_CHANGED)
    with pytest.raises(Failure) as caught:
        await broker.store(uuid7(), OKX, FIELDS)
    assert caught.value.code == Code.KEYS_CHANGED

    vault.refusal = None
    await broker.store(uuid7(), OKX, FIELDS)

    assert vault.asked_for_keys == 2


async def test_nothing_is_sent_to_a_vault_that_is_not_pinned(broker: Broker, vault: Vault) -> None:
    """The client sends no secret, and asks for the keys again at the next store."""
    vault.keys = OTHER
    with pytest.raises(VaultNotTrusted):
        await broker.store(uuid7(), OKX, FIELDS)
    assert vault.stores == []

    vault.keys = TRUSTED
    await broker.store(uuid7(), OKX, FIELDS)

    assert len(vault.stores) == 1


async def test_keys_that_are_refused_are_a_failure(broker: Broker, vault: Vault) -> None:
    """With the broker's code, and without a store."""
    vault.keys = Refused(Code.VAULT_UNAVAILABLE)

    with pytest.raises(Failure) as caught:
        await broker.store(uuid7(), OKX, FIELDS)

    assert caught.value.code == Code.VAULT_UNAVAILABLE
    assert vault.stores == []


async def test_a_refusal_for_lateness_means_that_clocks_disagree(broker: Broker, vault: Vault) -> None:
    """It arrived before the deadline, so the request was not late."""
    vault.refusal = Refused(Code.DEADLINE_EXCEEDED)

    with pytest.raises(Failure) as caught:
        await broker.store(uuid7(), OKX, FIELDS)

    assert caught.value.code == Code.CLOCK_DISAGREES


async def test_a_destruction_is_certain_or_a_failure(broker: Broker, vault: Vault) -> None:
    """A refusal must not count as destroyed."""
    await broker.destroy(uuid7())
    vault.refusal = Refused(Code.VAULT_UNAVAILABLE)

    with pytest.raises(Failure) as caught:
        await broker.destroy(uuid7())

    assert caught.value.code == Code.VAULT_UNAVAILABLE


async def test_a_broker_that_is_away_is_a_failure(broker: Broker) -> None:
    """For a store and for a destruction, at once."""
    for request in (broker.store(uuid7(), OKX, FIELDS), broker.destroy(uuid7())):
        with pytest.raises(Failure) as caught:
            await request
        assert caught.value.code == UNANSWERED
