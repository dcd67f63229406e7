"""A verification ends a pause, keeps it, or deletes the secret, the last only for confirmed extra rights."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from contracts.credentials import Verified, VerifiedRights
from contracts.faults import Code, failure, fault_of
from contracts.syncs import KeyFacts, Rights
from deploy.local.postgres import SUPERUSER, Postgres
from gateway.accounts.look import find_keys
from gateway.accounts.pause import FIRST_VERIFY_SECONDS
from gateway.accounts.reverify import (
    AT_ONCE,
    CLAIM_SECONDS,
    HOURLY_SECONDS,
    RETRY_SECONDS,
    retry_seconds,
    settle,
)
from gateway.accounts.verify import VERIFY_SECONDS
from gateway.http.account_views import paused_view
from gateway.rows.accounts import Account
from gateway.rows.pauses import Due
from gateway.store import accounts, pauses
from gateway.store.pool import TRANSACTION_SECONDS, Connection, Pool
from tests.gateway.accounts.test_pause import TRADING, events, paused, replaced, rows, synced
from tests.gateway.syncs.test_recorder import another

pytestmark = pytest.mark.usefixtures("unpublished")
UNKNOWN = Rights("1", ("lend",))
OTHER = Rights("2", ("read_only",))
STATES = "select state from credentials order by created_at"


def said(uid: str, *permissions: str) -> Verified:
    """Return a worker's response to a verification."""
    return Verified(uid, uid, permissions, ())


async def settled(pool: Pool, account: Account, *answers: Verified | VerifiedRights) -> None:
    """Settle verifications of the account's key, one after the other."""
    assert account.credential_id is not None
    due = Due(account.id, account.credential_id, "okx", "global", datetime.now(UTC))
    for verified in answers:
        async with pool.transaction() as connection:
            await settle(connection, due, verified)


async def actions(database: Postgres) -> list[str]:
    """Return the audited pauses and deletions of secrets, in order."""
    query = "select action from audit where action like 'account_%' or action like 'secret_%' order by id"
    return [action for (action,) in await rows(database, query)]


async def wait_until_due(database: Postgres) -> float:
    """Return the seconds until the pause's next verification."""
    query = "select extract(epoch from next_verify_at - now())::float8 from account_pauses"
    ((seconds,),) = await rows(database, query)
    return float(seconds)


async def make_due(database: Postgres) -> None:
    """Make every pause due."""
    async with await database.connect(SUPERUSER) as connection:
        await connection.execute("update account_pauses set next_verify_at = now()")


async def test_a_verification_keeps_what_it_is_told_of_the_key(pool: Pool, account: Account) -> None:
    """Also one that ends no pause; another account's key and a worker of the release before tell nothing."""
    await synced(pool, account, TRADING)
    for uid, rights, facts, kept in (
        ("2", ("read_only",), KeyFacts(ip_bound=True), []),
        ("1", ("read_only", "trade"), KeyFacts(ip_bound=True), [True]),
        ("1", ("read_only",), KeyFacts(), [True]),
    ):
        await settled(pool, account, VerifiedRights(uid, rights, facts))
        assert [each.ip_bound for each in (await find_keys(pool, [account.id])).values()] == kept
    assert await paused(pool, account) is None


@pytest.mark.parametrize("rights", [TRADING, UNKNOWN, OTHER])
async def test_the_known_uid_with_reading_only_ends_the_pause(
    pool: Pool, account: Account, database: Postgres, rights: Rights
) -> None:
    """The key is the right one: syncs resume, event and audit record it, and the secret was never at risk."""
    await synced(pool, account, rights)

    await settled(pool, account, said("1", "read_only"))

    assert await paused(pool, account) is None
    async with pool.transaction() as connection:
        found = await accounts.find_account(connection, account.user_id, account.id)
    assert found is not None
    assert found.last_error_code is None
    (event,) = await events(database, "resumed")
    assert event["account_id"] == str(account.id)
    assert await actions(database) == ["account_paused", "account_resumed"]
    assert await rows(database, STATES) == [("live",)]


async def test_extra_rights_that_are_confirmed_cost_the_secret(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """The credential is doomed, the account stays paused, and says that it needs another key."""
    await synced(pool, account, TRADING)

    await settled(pool, account, said("1", "read_only", "withdraw"))

    view = paused_view(await paused(pool, account), "okx")
    assert view is not None
    assert (view.reason, view.secret_destroyed) == (Code.OVER_PRIVILEGED_KEY, True)
    assert view.rights == ("withdraw",)
    assert "PUT /credentials" in view.next_action
    assert await actions(database) == ["account_paused", "secret_given_up"]
    assert await rows(database, STATES) == [("doomed",), ("live",)]
    async with pool.transaction() as connection:
        found = await accounts.find_account(connection, account.user_id, account.id)
        due = await pauses.claim_due(connection, ["okx"], RETRY_SECONDS, AT_ONCE)
    assert found is not None
    assert found.credential_id not in {account.credential_id, None}
    assert due == []


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (OTHER, [said("2", "read_only")] * 3),
        (OTHER, [said("2", "read_only", "trade")] * 3),
        (TRADING, [said("2", "read_only", "trade")] * 3),
        (UNKNOWN, [said("1", "lend")] * 3),
        (TRADING, [said("1", "lend"), said("1", "trade"), said("1", "lend"), said("1", "trade")]),
        (UNKNOWN, [said("1", "trade")]),
        (OTHER, [said("1", "trade")]),
    ],
)
async def test_nothing_else_destroys_anything(
    pool: Pool, account: Account, database: Postgres, first: Rights, then: list[Verified]
) -> None:
    """Another uid, an unknown right, and known extra rights that were seen only once in a row."""
    await synced(pool, account, first)

    await settled(pool, account, *then)

    assert await rows(database, STATES) == [("live",)]
    pause = await paused(pool, account)
    assert pause is not None
    assert (pause.credential_id, pause.destroyed_at) == (account.credential_id, None)


@pytest.mark.parametrize("rights", [TRADING, UNKNOWN, OTHER])
async def test_a_key_that_may_not_even_read_stays_paused(
    pool: Pool, account: Account, database: Postgres, rights: Rights
) -> None:
    """Only the right to read ends a pause; a key without rights is reported, not deleted or confirmed."""
    await synced(pool, account, rights)

    await settled(pool, account, said("1"))

    pause = await paused(pool, account)
    assert pause is not None
    assert (pause.reason, pause.rights, pause.destroyed_at) == (Code.PERMISSION_MISSING, (), None)
    assert HOURLY_SECONDS - 60 < await wait_until_due(database) <= HOURLY_SECONDS
    assert await events(database, "resumed") == []

    await settled(pool, account, said("1", "trade"))

    assert await rows(database, STATES) == [("live",)]
    await settled(pool, account, said("1", "read_only"))
    assert await paused(pool, account) is None


@pytest.mark.parametrize("code", [*Code, "a_code_of_tomorrow"])
def test_a_verification_that_fails_for_a_moment_is_soon_tried_again(code: str) -> None:
    """Every 15 s in the first minutes of the pause; a permanent fault waits for the hourly try."""
    fault = failure(code)

    waits = [retry_seconds(fault, age) for age in (30.0, 60.0, 170.0, 7200.0)]

    passing = fault_of(code).retryable
    assert waits == ([15.0, 15.0, 15.0, RETRY_SECONDS] if passing else [HOURLY_SECONDS] * 4)


def test_no_verification_is_tried_before_the_exchange_wants_it() -> None:
    """The exchange said how long it is busy."""
    assert retry_seconds(failure(Code.RATE_LIMITED, retry_after=120), 30.0) == 120


def test_a_claim_outlasts_its_verification() -> None:
    """Two gateways that verify one key at once could count one sighting as a confirmation."""
    assert CLAIM_SECONDS > VERIFY_SECONDS + TRANSACTION_SECONDS


async def test_a_failed_verification_puts_off_its_own_key_only(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """A replacement key keeps its own due time; so does a key that a sync has made due earlier."""
    await synced(pool, account, TRADING)
    assert account.credential_id is not None
    ((claimed,),) = await rows(database, "select next_verify_at from account_pauses")
    due = Due(account.id, account.credential_id, "okx", "global", claimed)
    async with pool.transaction() as connection:
        await pauses.postpone(connection, due, 15.0)
    assert await wait_until_due(database) <= 15
    async with pool.transaction() as connection:  # another transaction set the time meanwhile
        await pauses.postpone(connection, due, HOURLY_SECONDS)
    assert await wait_until_due(database) <= 15

    new = await replaced(pool, account)
    await synced(pool, account, TRADING, made_with=new)
    async with pool.transaction() as connection:
        await pauses.postpone(connection, due, HOURLY_SECONDS)

    assert await wait_until_due(database) <= FIRST_VERIFY_SECONDS


async def test_another_reason_is_told_and_what_is_to_be_confirmed_comes_soon(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """A key of another account that may trade as well is verified again within a minute."""
    await synced(pool, account, OTHER)
    await settled(pool, account, said("2", "read_only"))
    assert HOURLY_SECONDS - 60 < await wait_until_due(database) <= HOURLY_SECONDS

    await settled(pool, account, said("1", "trade"))

    assert [event["reason"] for event in await events(database, "paused")] == [
        Code.OTHER_ACCOUNT,
        Code.OVER_PRIVILEGED_KEY,
    ]
    assert await wait_until_due(database) <= 30


@pytest.mark.parametrize("answer", [said("1", "read_only"), said("1", "trade")])
async def test_what_is_found_of_a_replaced_key_changes_nothing(
    pool: Pool, account: Account, database: Postgres, answer: Verified
) -> None:
    """The old key's rights neither resume nor destroy the new one."""
    await synced(pool, account, TRADING)
    new = await replaced(pool, account)
    await synced(pool, account, TRADING, made_with=new)

    await settled(pool, account, answer)

    pause = await paused(pool, account)
    assert pause is not None
    assert pause.credential_id == new
    assert {state for (state,) in await rows(database, STATES)} == {"live"}


@pytest.mark.parametrize("answer", [said("1", "read_only"), said("1", "trade")])
async def test_what_is_found_of_a_deleted_account_changes_nothing(
    pool: Pool, account: Account, database: Postgres, answer: Verified
) -> None:
    """The account was deleted while its key was verified."""
    await synced(pool, account, TRADING)
    async with pool.transaction() as connection:
        await accounts.delete_account(connection, account.id)

    await settled(pool, account, answer)

    assert await events(database, "resumed") == []
    assert await actions(database) == ["account_paused"]


async def test_one_secret_a_minute_is_given_up(pool: Pool, account: Account, database: Postgres) -> None:
    """A lying worker costs one secret a minute: the others stay, and are verified again."""
    many: list[Account] = [account, *[await another(pool, account, number) for number in range(4)]]
    for each in many:
        await synced(pool, each, Rights(each.exchange_uid, ("trade",)))

    for each in many:
        await settled(pool, each, said(each.exchange_uid, "trade"))

    assert [state for (state,) in await rows(database, STATES)].count("doomed") == 1
    assert {(await paused(pool, each)) is not None for each in many} == {True}


async def test_each_due_pause_is_claimed_by_one_gateway(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """Gateways that poll simultaneously share the pauses, in batches, and a claim postpones the next try."""
    many = [account, *[await another(pool, account, number) for number in range(2 * AT_ONCE)]]
    for each in many:
        await synced(pool, each, Rights(each.exchange_uid, ("lend",)))
    await make_due(database)

    async def claimed(connection: Connection) -> list[UUID]:
        due = await pauses.claim_due(connection, ["okx"], RETRY_SECONDS, AT_ONCE)
        return [each.account_id for each in due]

    async with pool.transaction() as first, pool.transaction() as second:
        got = [await claimed(first), await claimed(second)]
    assert list(map(len, got)) == [AT_ONCE, AT_ONCE]
    async with pool.transaction() as connection:
        got += [await claimed(connection) for _ in range(2)]

    assert sorted(each for batch in got for each in batch) == sorted(each.id for each in many)


async def test_a_pause_of_a_key_that_a_gateway_of_before_replaced_ends_and_is_told(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """An older gateway knows no pauses; a later one publishes that the account syncs again."""
    await synced(pool, account, TRADING)
    await replaced(pool, account)

    async with pool.transaction() as connection:
        ended = await pauses.end_replaced(connection, AT_ONCE)
        again = await pauses.end_replaced(connection, AT_ONCE)

    assert [(each.account_id, each.deleted_at) for each in ended] == [(account.id, None)]
    assert again == []
