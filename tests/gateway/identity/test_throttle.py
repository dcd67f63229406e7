"""All gateways share each limit's count, and a refusal changes no row."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.local.postgres import GATEWAY, Postgres
from gateway.errors import GatewayError, RateLimitExceeded
from gateway.limits import LOGIN_DELAYS, LONGEST_DELAY, Allowance, Policy
from gateway.store import limits, logins
from gateway.store.expiry import delete_expired
from gateway.store.pool import Pool
from tests.system.test_sweeper import run

FIVE = Policy("five", 5)
EMAIL = "me@example.com"


@pytest_asyncio.fixture(name="other_pool")
async def _other_pool(clean_database: Postgres) -> AsyncIterator[Pool]:
    """Yield the pool of another gateway."""
    pool = Pool(clean_database.url(GATEWAY), clean_database.password_file(GATEWAY).read_text())
    await pool.start()
    yield pool
    await pool.stop()


async def taken(pool: Pool, subject: str) -> Allowance:
    """Count one request; raises RateLimitExceeded."""
    async with pool.transaction() as connection:
        allowance = await limits.take(connection, FIVE, subject)
        if allowance.exceeded:
            raise RateLimitExceeded(allowance)
    return allowance


async def tried(pool: Pool, email: str = EMAIL) -> float:
    """Begin a login that is never marked as successful, and return the seconds to wait."""
    async with pool.transaction() as connection:
        return await logins.begin(connection, email)


async def unblocked(database: Postgres) -> None:
    """End the delay after a failed login."""
    await run(database, "update login_failures set blocked_until = now()")


async def test_many_at_once_get_what_is_left_and_no_more(pool: Pool, other_pool: Pool) -> None:
    """Of two hundred requests at two gateways exactly the quota passes, each with another number left."""
    answers = await asyncio.gather(
        *(taken(each, "me") for each in (pool, other_pool) * 100), return_exceptions=True
    )

    passed = [answer.left for answer in answers if isinstance(answer, Allowance)]
    assert sorted(passed) == [0, 1, 2, 3, 4]
    refused = [answer for answer in answers if isinstance(answer, GatewayError)]
    assert all(isinstance(answer, RateLimitExceeded) for answer in refused)


async def test_a_refusal_is_not_counted(pool: Pool, database: Postgres) -> None:
    """A refused request uses up none of the limit, and the end of the window does not move."""
    for _ in range(5):
        await taken(pool, "me")
    before = await run(database, "select used, ends_at from rate_limits")

    with pytest.raises(RateLimitExceeded):
        await taken(pool, "me")

    assert await run(database, "select used, ends_at from rate_limits") == before


async def test_everybody_and_every_policy_has_a_count_of_its_own(pool: Pool) -> None:
    """One client's use leaves the others' limits unchanged."""
    for _ in range(5):
        await taken(pool, "me")

    assert (await taken(pool, "you")).left == 4
    async with pool.transaction() as connection:
        assert (await limits.take(connection, Policy("other", 5), "me")).left == 4
        assert (await limits.look(connection, FIVE, "me")).left == 0


async def test_after_its_end_a_window_begins_anew(pool: Pool, database: Postgres) -> None:
    """A window ends a minute after its first request, and the next one has the whole quota."""
    assert 50 < (await taken(pool, "me")).seconds <= 60
    await run(database, "update rate_limits set ends_at = ends_at - interval '30 seconds'")
    for _ in range(4):
        assert 20 < (await taken(pool, "me")).seconds <= 30
    await run(database, "update rate_limits set ends_at = now()")

    async with pool.transaction() as connection:
        assert (await limits.look(connection, FIVE, "me")).left == 5
    again = await taken(pool, "me")

    assert again.left == 4
    assert 50 < again.seconds <= 60


async def test_counts_that_are_over_are_swept(pool: Pool, database: Postgres) -> None:
    """Windows go at their end, few failures after an hour, many after a day; active ones stay."""
    for subject in ("over", "running"):
        await taken(pool, subject)
    await run(database, "update rate_limits set ends_at = now() - interval '1 s' where subject = 'over'")
    for failures, hours in [(4, 2), (5, 2), (5, 25), (4, 0)]:
        await run(
            database,
            """insert into login_failures
               values (sha256(%s::bytea), %s, now() - make_interval(hours => %s), now())""",
            f"{failures} {hours}",
            failures,
            hours,
        )

    async with pool.transaction() as connection:
        await delete_expired(connection, 100, "rate_limits")
        await delete_expired(connection, 100, "login_failures")

    assert await run(database, "select subject from rate_limits") == [("running",)]
    kept = await run(database, "select failures, attempted_at > now() - interval '1 h' from login_failures")
    assert sorted(kept) == [(4, True), (5, False)]


async def test_many_logins_at_once_are_no_more_than_five(pool: Pool, other_pool: Pool) -> None:
    """Guessing in parallel, at two gateways, gets no more tries than sequential guessing.

    On a busy machine the first delay of a second may pass meanwhile, which allows one more.
    """
    began = time.monotonic()
    waits = await asyncio.gather(*(tried(each) for each in (pool, other_pool) * 50))
    passed = int(time.monotonic() - began)

    assert 5 <= waits.count(0.0) <= 5 + passed
    assert max(waits) <= 2**passed


async def test_each_failure_after_the_fifth_doubles_the_delay(pool: Pool, database: Postgres) -> None:
    """The delays are those of the rule, up to 15 minutes and never longer."""
    for delay in [*LOGIN_DELAYS, LONGEST_DELAY, LONGEST_DELAY]:
        await unblocked(database)
        assert await tried(pool) == 0
        rows = await run(
            database, "select extract(epoch from blocked_until - attempted_at)::int from login_failures"
        )
        assert rows == [(delay,)]


async def test_a_try_during_a_delay_does_not_make_it_longer(pool: Pool, database: Postgres) -> None:
    """An attacker who keeps trying cannot lock the owner out."""
    for _ in range(5):
        await tried(pool)
    before = await run(database, "select * from login_failures")

    assert 0 < await tried(pool) <= 1

    assert await run(database, "select * from login_failures") == before


async def test_a_success_forgets_the_failures(pool: Pool, database: Postgres) -> None:
    """After a successful login the next four failures cause no delay again."""
    for _ in range(5):
        await tried(pool)

    async with pool.transaction() as connection:
        await logins.forget(connection, EMAIL)

    assert [await tried(pool) for _ in range(5)] == [0] * 5


async def test_a_password_that_was_not_checked_does_not_count(pool: Pool) -> None:
    """A gateway that is too busy to check a password undoes the count and the delay."""
    for _ in range(5):
        await tried(pool)

    async with pool.transaction() as connection:
        await logins.forgive(connection, EMAIL)

    assert await tried(pool) == 0
    assert await tried(pool) > 0


async def test_addresses_of_failed_logins_are_not_kept(pool: Pool, database: Postgres) -> None:
    """The database has only the hash of the address that was typed."""
    await tried(pool, "stranger@example.com")

    ((row,),) = await run(database, "select login_failures::text from login_failures")
    assert "stranger" not in row
    assert b"stranger".hex() not in row
