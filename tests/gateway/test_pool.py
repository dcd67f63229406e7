"""The pool limits locks and waits in time, whatever happened to the other side."""

import asyncio
import os
import time
from contextlib import suppress
from signal import SIGCONT, SIGSTOP, SIGTERM, Signals

import pytest

from deploy.local.postgres import SUPERUSER, Postgres
from gateway.store.pool import (
    CHECK_SECONDS,
    MAX_CONNECTIONS,
    Connection,
    DatabaseUnavailable,
    Overloaded,
    Pool,
    fetch_value,
)
from tests.waiting import passed, until

# The product's limit, and a second more for a busy machine.
LOCK_SECONDS = 5.0 + 1.0


async def free(database: Postgres) -> bool:
    """Return whether a lock that the tests take is free."""
    async with await database.connect(SUPERUSER) as connection:
        rows = await connection.execute("select pg_try_advisory_xact_lock(1)")
        return (await rows.fetchall())[0] == (True,)


async def test_a_transaction_that_stands_still_is_ended(pool: Pool, clean_database: Postgres) -> None:
    """A process that is suspended in a transaction loses its locks."""
    began = time.monotonic()

    async def stand_still() -> None:
        async with pool.transaction(60.0) as connection:
            await connection.execute("select pg_advisory_xact_lock(1)")
            await until(lambda: free(clean_database), LOCK_SECONDS)
            await connection.execute("select 1")

    with pytest.raises(DatabaseUnavailable):
        await stand_still()
    assert time.monotonic() - began < LOCK_SECONDS


async def test_a_transaction_that_goes_on_and_on_is_ended(pool: Pool, clean_database: Postgres) -> None:
    """An occasional statement does not keep a lock for longer."""
    began = time.monotonic()

    async def go_on() -> None:
        async with pool.transaction(60.0) as connection:
            await connection.execute("select pg_advisory_xact_lock(1)")
            while time.monotonic() - began < 20.0:
                await until(passed(1.0))
                await connection.execute("select 1")

    with pytest.raises(DatabaseUnavailable):
        await go_on()
    assert time.monotonic() - began < LOCK_SECONDS
    assert await free(clean_database)


async def test_a_wait_for_a_lock_has_an_end(pool: Pool, clean_database: Postgres) -> None:
    """A transaction that waits for a lock gets an error, and leaves the server's queue, too."""
    async with await clean_database.connect(SUPERUSER) as other, other.transaction():
        await other.execute("select pg_advisory_xact_lock(1)")

        async def wait() -> None:
            async with pool.transaction() as connection:
                await connection.execute("select pg_advisory_xact_lock(1)")

        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            await wait()
        assert time.monotonic() - began < LOCK_SECONDS

        async def left() -> bool:
            rows = await other.execute("select 1 from pg_locks where locktype = 'advisory' and not granted")
            return await rows.fetchall() == []

        await until(left, 3.0)


async def test_a_cancelled_wait_ends_at_once(pool: Pool, clean_database: Postgres) -> None:
    """A task that is cancelled in a statement does not ask the server, which may hang; the pool continues."""
    async with await clean_database.connect(SUPERUSER) as other, other.transaction():
        await other.execute("select pg_advisory_xact_lock(1)")

        async def wait() -> None:
            async with pool.transaction() as connection:
                await connection.execute("select pg_advisory_xact_lock(1)")

        tasks = [asyncio.create_task(wait()) for _ in range(16)]

        async def all_wait() -> bool:
            rows = await other.execute("select 1 from pg_locks where locktype = 'advisory' and not granted")
            return len(await rows.fetchall()) == len(tasks)

        await until(all_wait)
        began = time.monotonic()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert time.monotonic() - began < 1.0
    await until(pool.ready)


async def test_a_pool_that_is_full_is_no_database_that_is_lost(pool: Pool) -> None:
    """A client that waits too long for a connection gets an error, at most half a second late."""
    leave = asyncio.Event()

    async def hold() -> None:
        async with pool.transaction(60.0):
            await leave.wait()

    async def ask() -> None:
        async with pool.transaction(1.0) as connection:
            await connection.execute("select 1")

    holding = [asyncio.create_task(hold()) for _ in range(MAX_CONNECTIONS)]
    await until(lambda: full(pool))
    began = time.monotonic()
    ended = await asyncio.gather(*(ask() for _ in range(50)), return_exceptions=True)

    assert time.monotonic() - began < 1.0 + 0.5 + 0.5
    assert {type(each) for each in ended} == {Overloaded}
    assert await pool.ready()
    leave.set()
    await asyncio.wait(holding)
    await ask()


@pytest.mark.parametrize("way", ["single", "transaction"])
@pytest.mark.parametrize("gone", [SIGSTOP, SIGTERM])
async def test_connections_that_are_lost_are_replaced_at_once(pool: Pool, gone: Signals, way: str) -> None:
    """All that are open hang or are closed, and the next use gets another within about a second."""

    async def backend() -> int:
        if way == "single":
            return int(await pool.single(ask))
        async with pool.transaction() as connection:
            return await ask(connection)

    async def ask(connection: Connection) -> int:
        return int(await fetch_value(connection, "select pg_backend_pid()"))

    lost = await all_backends(pool)
    for pid in lost:
        os.kill(pid, gone)
    try:
        began = time.monotonic()
        assert await backend() not in lost
        assert time.monotonic() - began < CHECK_SECONDS + 2.0
        replaced = await all_backends(pool)
        assert len(replaced) == MAX_CONNECTIONS
        assert not lost & replaced
    finally:
        for pid in lost:
            with suppress(ProcessLookupError):
                os.kill(pid, SIGCONT)


async def all_backends(pool: Pool) -> set[int]:
    """Return the processes of every connection, after each was opened."""
    everyone = asyncio.Barrier(MAX_CONNECTIONS)

    async def backend() -> int:
        async with pool.transaction() as connection:
            await everyone.wait()
            return int(await fetch_value(connection, "select pg_backend_pid()"))

    return set(await asyncio.gather(*(backend() for _ in range(MAX_CONNECTIONS))))


async def full(pool: Pool) -> bool:
    """Return whether every connection is in use."""
    stats = pool._pool.get_stats()
    return (stats["pool_size"], stats["pool_available"]) == (MAX_CONNECTIONS, 0)


async def test_a_database_that_is_lost_is_no_pool_that_is_full(clean_database: Postgres) -> None:
    """Without a server, the error is never overloaded."""
    away = Pool("postgresql://butler_gateway@127.0.0.1:1/butler", "none")
    await away.start()

    with pytest.raises(DatabaseUnavailable) as caught:
        async with away.transaction(1.0):
            pass

    await away.stop()
    assert type(caught.value) is DatabaseUnavailable
