"""Key offers: open for an hour, claimed by one connect at a time, and gone with their account."""

import asyncio
from hashlib import sha256
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from uuid_utils.compat import uuid7

from contracts.credentials import Refused, Verified
from contracts.exchanges.binance import BINANCE
from contracts.exchanges.okx import OKX
from contracts.faults import Code
from contracts.syncs import KeyFacts
from deploy.local.nats import Nats
from gateway.accounts.broker import Broker
from gateway.accounts.connect import connect
from gateway.accounts.destroyer import Destroyer
from gateway.accounts.intake import Admission
from gateway.accounts.offers import Asking, Offers
from gateway.accounts.replace import replace
from gateway.errors import (
    Faulted,
    InvalidInput,
    NotFound,
    OfferBusy,
    OfferOver,
    RateLimitExceeded,
    TooManyOffers,
    TooSlow,
)
from gateway.limits import MAX_OFFERS
from gateway.rows.offers import Offer
from gateway.store import credentials, keys, offers, users
from gateway.store.pool import Pool
from tests.gateway.accounts.submitting import PUBLIC_KEY, Scene
from tests.gateway.allowing import allowing
from tests.vault_broker.conftest import connected
from tests.vault_broker.test_stolen_broker import RIGHT, pinned
from tests.waiting import until

READS = Verified("1", "1", ("enableReading",), (), KeyFacts(ip_bound=True))
EXTRA = Verified("1", "1", ("enableReading", "enableSpotAndMarginTrading"), ())
OFFERS = "select id, credential_id, ended_at is not null from key_offers order by id"
DOOMED = "select id from credentials where state = 'doomed'"
LATER = "select destroy_at - offer.created_at from key_offers offer join credentials using (id)"


async def offered(scene: Scene) -> Offer:
    """Register the user if need be, and make an offer."""
    asking = Asking(scene.user_id, "203.0.113.7")
    return (await scene.offers.make(asking, BINANCE, "global")).offer


@pytest.fixture(name="born")
async def _born(scene: Scene) -> Offer:
    await scene.registered()
    scene.others.verified = READS
    return await offered(scene)


async def claimed_by(scene: Scene) -> list[UUID | None]:
    """Return which credentials claim the offers."""
    return [each for (each,) in await scene.rows("select claimed_by from key_offers")]


async def swept(scene: Scene) -> None:
    """End the offers that are due."""
    async with scene.intake.pool.transaction() as connection:
        await offers.end_due(connection, 10)


async def test_an_offer_has_the_public_key_and_its_fingerprint(scene: Scene, born: Offer) -> None:
    """The PEM holds the broker's key; the fingerprint is the SHA-256 of its 32 bytes."""
    key = load_pem_public_key((born.public_key or "").encode())
    assert isinstance(key, Ed25519PublicKey)
    assert key.public_bytes_raw() == PUBLIC_KEY
    assert "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" in (born.public_key or "")
    assert born.fingerprint == sha256(PUBLIC_KEY).hexdigest()
    assert (born.expires_at - born.created_at).total_seconds() == 3600
    assert [each.id for each in await scene.offers.list_open(scene.user_id)] == [born.id]
    (request,) = scene.others.offered
    assert (request.offer_id, request.exchange, request.kind) == (born.id, "binance", "born")


async def test_an_account_takes_the_offer(scene: Scene, born: Offer) -> None:
    """The credential names the offer and has no secret; the gateway keeps the facts about the key."""
    account = (await connect(scene.intake, scene.born(born), "main")).account

    (sent,) = scene.others.tried
    assert (sent.kind, sent.offer, sent.wrapped_secret) == ("born", born.id, b"")
    assert await scene.rows(OFFERS) == [(born.id, account.credential_id, False)]
    assert account.ip_bound
    async with scene.intake.pool.transaction() as connection:
        key = (await keys.find(connection, [account.id]))[account.id]
    assert (key.kind, key.fingerprint, key.ip_bound) == ("born", born.fingerprint, True)
    assert await scene.offers.list_open(scene.user_id) == []
    with pytest.raises(OfferOver, match="offer_over") as caught:
        await connect(scene.intake, scene.born(born), "second")
    assert "has the key of this offer already" in caught.value.detail


@pytest.mark.parametrize("said", [Refused(Code.KEY_REJECTED), EXTRA])
async def test_a_refused_key_leaves_the_offer_open(
    scene: Scene, born: Offer, said: Refused | Verified
) -> None:
    """The try is a credential that is destroyed; the next one is another credential of the same offer."""
    scene.others.verified = said
    with pytest.raises(Faulted) as caught:
        await connect(scene.intake, scene.born(born), "main")
    assert "we do not keep this API key. Your key offer stays open until it expires." in caught.value.detail
    assert "POST /accounts and the same `offer`." in caught.value.detail
    assert "delete th" not in caught.value.detail
    assert await claimed_by(scene) == [None]
    scene.others.verified = READS

    account = (await connect(scene.intake, scene.born(born), "main")).account

    tried = [(each.credential_id, each.offer) for each in scene.others.tried]
    assert [offer for _, offer in tried] == [born.id, born.id]
    assert await scene.states() == ["doomed", "live"]
    assert await scene.rows(DOOMED) == [(tried[0][0],)]
    assert tried[1][0] == account.credential_id


async def test_one_connect_at_a_time_uses_an_offer(scene: Scene, born: Offer) -> None:
    """While one is verified, a second one and giving up are refused; the first ends as it would."""
    scene.others.free.clear()
    first = asyncio.create_task(connect(scene.intake, scene.born(born), "main"))

    async def asked() -> bool:
        return bool(scene.others.asked)

    await until(asked)
    async with scene.intake.pool.transaction() as connection:
        assert not await offers.claim(connection, born.id, uuid7())
    with pytest.raises(OfferBusy):
        await scene.offers.give_up(scene.user_id, born.id)
    with pytest.raises(OfferBusy):
        async with scene.intake.verified(scene.born(born)):
            pytest.fail("a second connect uses the offer")
    scene.others.free.set()

    assert (await first).account.exchange == "binance"
    assert len(scene.others.tried) == 1


async def test_the_claim_of_a_dead_gateway_ends_by_itself(scene: Scene, born: Offer) -> None:
    """After its time another connect gets the offer; the first one, if it lives, connects nothing."""
    scene.others.free.clear()
    first = asyncio.create_task(connect(scene.intake, scene.born(born), "main"))

    async def asked() -> bool:
        return bool(scene.others.asked)

    await until(asked)
    await scene.rows("update key_offers set claimed_until = now() returning id")
    async with scene.intake.pool.transaction() as connection:
        assert await offers.claim(connection, born.id, uuid7())
    scene.others.free.set()

    with pytest.raises(TooSlow):
        await first
    assert await scene.rows("select id from accounts") == []
    assert await scene.states() == ["doomed"]


async def test_another_user_has_no_such_offer(scene: Scene, born: Offer) -> None:
    """It is not found, and can neither be given up nor used."""
    with pytest.raises(NotFound):
        await scene.offers.find(uuid4(), born.id)
    with pytest.raises(NotFound):
        await scene.offers.give_up(uuid4(), born.id)
    with pytest.raises(NotFound):
        await scene.offers.find(scene.user_id, uuid4())
    assert await scene.rows(OFFERS) == [(born.id, None, False)]


async def test_an_expired_offer_says_what_to_do_and_its_key_is_destroyed(scene: Scene, born: Offer) -> None:
    """It is over at once; the sweep dooms its key, but not under a connect that claimed it in time."""
    await scene.rows("update key_offers set expires_at = now() returning id")
    with pytest.raises(OfferOver) as caught:
        await connect(scene.intake, scene.born(born), "main")
    assert "make a new offer with POST /api/v1/key-offers" in caught.value.detail
    await scene.rows(
        "update key_offers set claimed_by = id, claimed_until = now() + interval '1 m' returning id"
    )
    await swept(scene)
    assert await scene.rows(OFFERS) == [(born.id, None, False)]
    await scene.rows("update key_offers set claimed_until = now() returning id")

    await swept(scene)

    assert await scene.rows(OFFERS) == [(born.id, None, True)]
    assert await scene.rows(DOOMED) == [(born.id,)]
    assert (await scene.rows(LATER))[0][0].total_seconds() >= 33
    with pytest.raises(OfferOver):
        await scene.offers.find(scene.user_id, born.id)


async def test_an_offer_that_is_given_up_is_destroyed(scene: Scene, born: Offer) -> None:
    """It is found no more; its key is destroyed when no request for it can be under way."""
    await scene.offers.give_up(scene.user_id, born.id)

    with pytest.raises(NotFound):
        await scene.offers.find(scene.user_id, born.id)
    assert await scene.offers.list_open(scene.user_id) == []
    assert await scene.rows(DOOMED) == [(born.id,)]


async def test_at_most_ten_offers_are_open(scene: Scene, born: Offer) -> None:
    """The eleventh is refused before the vault is asked; an ended one makes room."""
    await scene.rows(
        """insert into key_offers (id, user_id, exchange, region, kind, public_key, expires_at)
           select gen_random_uuid(), %s, 'binance', 'global', 'born', 'x', now() + interval '1 hour'
           from generate_series(2, %s) returning id""",
        scene.user_id,
        MAX_OFFERS,
    )
    with pytest.raises(TooManyOffers):
        await offered(scene)
    assert len(scene.others.offered) == 1
    await scene.offers.give_up(scene.user_id, born.id)

    await offered(scene)


async def test_offers_count_as_submissions(scene: Scene, born: Offer) -> None:
    """Five a minute are allowed to this user; the sixth is refused."""
    for _ in range(4):
        await scene.offers.give_up(scene.user_id, (await offered(scene)).id)
    with pytest.raises(RateLimitExceeded):
        await offered(scene)
    assert (await scene.offers.find(scene.user_id, born.id)).id == born.id


async def test_an_exchange_without_a_born_kind_offers_nothing(scene: Scene) -> None:
    """The words name the way to connect it, and the exchanges that take such keys."""
    with pytest.raises(InvalidInput) as caught:
        await scene.offers.make(Asking(scene.user_id, None), OKX, "global")
    assert "with POST /api/v1/accounts" in caught.value.detail
    assert "binance" in caught.value.detail


@pytest.mark.parametrize("code", [Code.VAULT_UNAVAILABLE, Code.SIGNING_UNAVAILABLE, Code.INVALID_REQUEST])
async def test_an_offer_that_the_vault_does_not_make_leaves_nothing(scene: Scene, code: Code) -> None:
    """It is ended at once, its key is destroyed later in case it was made, and no place is taken."""
    await scene.registered()
    scene.others.offers = [Refused(code)]

    with pytest.raises(Faulted) as caught:
        await offered(scene)

    assert caught.value.code == code
    assert await scene.offers.list_open(scene.user_id) == []
    ((offer_id,),) = await scene.rows(DOOMED)
    assert await scene.rows(OFFERS) == [(offer_id, None, True)]
    assert (await scene.rows(LATER))[0][0].total_seconds() >= 33


async def test_without_a_broker_that_offers_keys_nothing_is_half_done(pool: Pool, nats: Nats) -> None:
    """A broker of the release before does not answer: the words say so, and no offer is open."""
    user_id, key = uuid7(), Ed25519PrivateKey.generate()
    async with pool.transaction() as connection:
        await users.insert_user(connection, user_id, "alone@example.com", "hash")
    async with connected(nats, "gateway", "gateway") as bus:
        broker = Broker(bus, pinned(RIGHT), key)
        alone = Offers(pool, broker, Destroyer(pool, broker, 600), Admission(allowing(submissions=5), 8))
        with pytest.raises(Faulted) as caught:
            await alone.make(Asking(user_id, None), BINANCE, "global")

        assert caught.value.code == Code.SIGNING_UNAVAILABLE
        assert await alone.list_open(user_id) == []


async def test_an_offer_whose_gateway_died_ends(scene: Scene) -> None:
    """Its row stood before the broker was asked; a minute later the sweep dooms a key in the vault."""
    await scene.registered()
    row = uuid7()
    async with scene.intake.pool.transaction() as connection:
        await offers.insert(connection, row, scene.user_id, exchange="binance", region="global", kind="born")
    await swept(scene)
    assert await scene.rows(DOOMED) == []
    await scene.rows("update key_offers set created_at = now() - interval '61 s' returning id")

    await swept(scene)

    assert await scene.rows(DOOMED) == [(row,)]


@pytest.mark.parametrize("when", ["now()", "now() + interval '1 hour'"])
async def test_the_key_of_an_offer_goes_with_its_account_s_credential(
    scene: Scene, born: Offer, when: str
) -> None:
    """However that is doomed, also by a gateway of the release before: the offer's key is doomed for then."""
    await connect(scene.intake, scene.born(born), "main")

    await scene.rows(f"update credentials set state = 'doomed', destroy_at = {when} returning id")  # noqa: S608

    assert born.id in {each for (each,) in await scene.rows(DOOMED)}
    assert await scene.rows(OFFERS) == []
    rows = await scene.rows("select destroy_at from credentials order by destroy_at")
    assert rows[0] <= rows[1]
    assert rows[0] == rows[1] or when == "now()"


async def test_a_new_key_replaces_the_offer_of_the_old_one(scene: Scene, born: Offer) -> None:
    """PUT /credentials with another offer: the account has the new offer, and the old one's key is doomed."""
    account = (await connect(scene.intake, scene.born(born), "main")).account
    second = await offered(scene)

    replaced = (await replace(scene.intake, scene.born(second, account.id), account)).account

    assert await scene.rows(OFFERS) == [(second.id, replaced.credential_id, False)]
    assert {each for (each,) in await scene.rows(DOOMED)} == {account.credential_id, born.id}


async def test_a_deleted_user_keeps_no_offer(scene: Scene, born: Offer) -> None:
    """All offers end, also one that a connect in progress has claimed, which then connects nothing."""
    await connect(scene.intake, scene.born(born), "main")
    second = await offered(scene)
    async with scene.intake.pool.transaction() as connection:
        assert await offers.claim(connection, second.id, uuid7())
        await offers.end_all_of(connection, scene.user_id)
        assert not await offers.take(connection, second.id, uuid7())

    assert await scene.rows(DOOMED) == [(second.id,)]


async def test_a_pending_credential_that_is_abandoned_leaves_the_offer(scene: Scene, born: Offer) -> None:
    """Only the credential of an account takes its offer with it."""
    pending = uuid7()
    async with scene.intake.pool.transaction() as connection:
        await offers.claim(connection, born.id, pending)
        await credentials.insert_pending(connection, pending, scene.user_id, "binance")
    async with scene.intake.pool.transaction() as connection:
        await credentials.doom_pending_of(connection, scene.user_id)

    assert await scene.rows(DOOMED) == [(pending,)]
    assert await scene.rows(OFFERS) == [(born.id, None, False)]
