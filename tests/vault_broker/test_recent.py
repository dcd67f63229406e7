"""Records that are kept for seconds: fewer requests to the vault, and no signature that it would not give."""

import time
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uuid_utils.compat import uuid7

from contracts.faults import Code, Failure
from contracts.values import Secret
from contracts.wire.envelope import encode
from tests.vault_broker.asking import wrap
from tests.vault_broker.conftest import Callers
from tests.vault_broker.vaults import OwnVault
from tests.waiting import passed, until
from vault_broker.credentials import Credential, Credentials
from vault_broker.handlers import Handlers
from vault_broker.recent import Recent
from vault_broker.schemes.types import HMAC_SHA256
from vault_broker.vault import Vault
from vault_broker.vault_login import Login

SECRET = "22582BD0CFF14C41EDBF1AB98506286D"


class Counted:
    """The credentials as one broker process has them, and the number of the vault's responses to it."""

    def __init__(self, own_vault: OwnVault) -> None:
        self.responses = 0
        self.vault = Vault(own_vault.url, str(own_vault.ca), self._count)
        self.login = Login(self.vault, own_vault.method, time.monotonic)
        self.credentials = Credentials(self.login)

    def _count(self, _seconds: float, _at: float) -> None:
        self.responses += 1

    async def signed(self, credential_id: UUID) -> int:
        """Sign as a request does, and return the number of responses that it took."""
        before = self.responses
        found = await self.credentials.find(credential_id)
        assert found.fields["api_key"].reveal() == "key"
        await self.credentials.sign(credential_id, HMAC_SHA256, [b"message"], found.engine)
        return self.responses - before


@pytest_asyncio.fixture(name="brokers")
async def _brokers(own_vault: OwnVault) -> AsyncIterator[tuple[Counted, Counted]]:
    """Yield two brokers of one vault."""
    brokers = Counted(own_vault), Counted(own_vault)
    for each in brokers:
        await each.login.check()
    yield brokers
    for each in brokers:
        each.vault.close()


async def stored(broker: Counted) -> UUID:
    """Store a credential and return its id."""
    credential_id = uuid7()
    wrapped = wrap(SECRET.encode(), await broker.credentials.wrapping_key())
    fields = {"api_key": Secret("key"), "passphrase": Secret("words")}
    await broker.credentials.store(credential_id, HMAC_SHA256, wrapped, Credential("okx", fields))
    return credential_id


async def test_a_batch_is_one_request_to_the_vault_for_some_seconds(brokers: tuple[Counted, Counted]) -> None:
    """The first batch reads the record and signs; the next ones only sign."""
    broker, _ = brokers
    credential_id = await stored(broker)

    assert [await broker.signed(credential_id) for _ in range(3)] == [2, 1, 1]


async def test_a_destroyed_credential_signs_nothing_at_once(brokers: tuple[Counted, Counted]) -> None:
    """A broker that still keeps the record gets no signature after another one destroyed the credential."""
    broker, other = brokers
    credential_id = await stored(broker)
    await broker.signed(credential_id)
    await other.credentials.destroy(credential_id)

    with pytest.raises(Failure) as refused:
        await broker.signed(credential_id)
    assert refused.value.code == Code.CREDENTIAL_MISSING

    with pytest.raises(Failure):
        await broker.credentials.find(credential_id)  # it has forgotten the record, too


async def test_a_record_that_a_person_changed_is_read_each_time(
    brokers: tuple[Counted, Counted], own_vault: OwnVault
) -> None:
    """Only the first version of a record, which a broker wrote, cannot change."""
    broker, _ = brokers
    credential_id = await stored(broker)
    path = f"secret/data/credentials/{credential_id}"
    record = (await own_vault.root("GET", path))["data"]["data"]
    await own_vault.root("POST", path, {"data": record})

    assert [await broker.signed(credential_id) for _ in range(2)] == [2, 2]


async def test_a_request_without_its_grant_asks_the_vault_nothing(
    callers: Callers, brokers: tuple[Counted, Counted], grant_key: Ed25519PrivateKey
) -> None:
    """The grant is checked before the record is looked up, here or in the vault."""
    broker, _ = brokers
    handlers = Handlers(broker.credentials, grant_key.public_key(), callers.clock)
    mine, other = await stored(broker), await stored(broker)
    await handlers.authorize(encode(callers.worker.request(mine, callers.gateway.grant(mine))))

    before = broker.responses
    for credential_id, grant in ((mine, callers.gateway.grant(other)), (other, callers.gateway.grant(mine))):
        with pytest.raises(Failure) as refused:
            await handlers.authorize(encode(callers.worker.request(credential_id, grant)))
        assert refused.value.code == Code.GRANT_REFUSED
    assert broker.responses == before


async def test_a_record_is_dropped_after_its_time() -> None:
    """It leaves the memory although nothing is signed meanwhile, also if others were kept after it."""
    recent: Recent[str] = Recent(seconds=0.3)
    first, second = uuid7(), uuid7()
    recent.keep(first, "first")
    await until(passed(0.1))
    recent.keep(second, "second")
    assert (recent.find(first), recent.find(second)) == ("first", "second")

    async def empty() -> bool:
        return len(recent) == 0

    await until(empty, 5.0)
    assert recent.find(second) is None


async def test_few_records_are_kept() -> None:
    """The oldest makes room; a record that is kept anew is the newest."""
    recent: Recent[int] = Recent(most=3)
    ids = [uuid7() for _ in range(5)]
    for number, each in enumerate(ids):
        recent.keep(each, number)
        recent.keep(ids[0], 0)

    assert [recent.find(each) for each in ids] == [0, None, None, 3, 4]


def test_a_kept_record_is_masked() -> None:
    """Neither the api key nor the passphrase shows where a record is printed."""
    credential = Credential("okx", {"api_key": Secret("key-canary"), "passphrase": Secret("words-canary")})

    assert "canary" not in repr(credential)
