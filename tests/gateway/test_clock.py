"""The database's clock sets and checks deadlines; this machine's clock does neither."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uuid_utils.compat import uuid7

from contracts.credentials import Refused
from contracts.faults import Code
from contracts.wire.envelope import SECONDS_LEFT_HEADER
from deploy.local.postgres import SUPERUSER, Postgres
from gateway.accounts.broker import in_time
from gateway.rows.accounts import Account
from gateway.rows.outbox import Outgoing
from gateway.store import outbox, users
from gateway.store.clock import DatabaseTime, database_clock
from gateway.store.pool import Connection, Pool
from gateway.store.users import Times, User
from gateway.syncs.messages import sync_request
from tests.gateway.conftest import opened

DEADLINE = timedelta(seconds=120)


async def test_a_sync_has_its_time_from_the_database(pool: Pool, account: Account) -> None:
    """The deadline is that much after the database's own time of the request, to the microsecond."""
    sync = await opened(pool, account)

    assert sync.deadline - sync.requested_at == DEADLINE


async def test_a_message_says_what_is_left_when_it_is_published(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """A message that waited a minute in the outbox has a minute less; without a deadline it has no time."""
    sync = await opened(pool, account)
    request = sync_request(sync, account, Ed25519PrivateKey.generate())
    assert request is not None
    async with await database.connect(SUPERUSER) as connection:
        shifted = (sync.deadline - timedelta(seconds=60)).isoformat()
        headers = {**request.headers, "butler-deadline": shifted}
        other = Outgoing(str(uuid7()), "butler.account.synced.x", "ACCOUNT_EVENTS", {}, b"{}")
        for message in (
            request,
            Outgoing("waited", request.subject, request.stream, headers, b"{}"),
            other,
        ):
            await outbox.put(connection, message)

    async with pool.transaction() as connection:
        told = {each.message_id: each.stamped() for each in await outbox.claim(connection, {}, 10, 30.0)}

    left = {name: headers.get(SECONDS_LEFT_HEADER) for name, headers in told.items()}
    assert float(left[request.message_id] or 0) == pytest.approx(120, abs=5)
    assert float(left["waited"] or 0) == pytest.approx(60, abs=5)
    assert left[other.message_id] is None


def test_the_time_is_carried_on_from_what_the_database_said() -> None:
    """Whatever year this machine's clock shows."""
    said = datetime(1999, 12, 31, tzinfo=UTC)

    assert said + timedelta(seconds=8) <= DatabaseTime.just(said).after(8.0) < said + timedelta(seconds=9)


async def test_the_database_tells_its_time(pool: Pool) -> None:
    """As seconds since the epoch, like the other clocks."""
    assert await database_clock(pool) == pytest.approx(datetime.now(UTC).timestamp(), abs=5)


def test_a_refusal_that_is_heard_in_time_is_not_for_being_late() -> None:
    """A wrong clock is not reported as deadline_exceeded; other refusals keep their code."""
    late, other = Refused(Code.DEADLINE_EXCEEDED, "late"), Refused(Code.KEY_REJECTED, "The list is empty.")

    assert in_time(late).code == Code.CLOCK_DISAGREES
    assert in_time(other) == other


async def test_a_token_is_judged_by_the_database(pool: Pool) -> None:
    """It expires at its end; one that an older gateway issued slightly ahead of time is accepted."""
    user_id, family_id = uuid7(), uuid7()
    async with pool.transaction() as connection:
        await users.insert_user(connection, user_id, "me@example.com", "hash")
        await users.insert_family(connection, family_id, user_id, timedelta(days=30))

        async def found(issued: float, expires: float) -> User | None:
            return await _found(connection, user_id, family_id, issued, expires)

        assert await found(-1, 60) is not None
        assert await found(90, 990) is not None
        assert await found(-900, -1) is None
        assert await found(86400, 87300) is None


async def _found(
    connection: Connection, user_id: UUID, family_id: UUID, issued: float, expires: float
) -> User | None:
    now = datetime.fromtimestamp(await _time(connection), UTC)
    times = Times(now + timedelta(seconds=issued), now + timedelta(seconds=expires))
    return await users.find_signed_in(connection, user_id, family_id, times)


async def _time(connection: Connection) -> float:
    row = await (await connection.execute("select extract(epoch from now())::float8")).fetchone()
    assert row is not None
    return float(row[0])
