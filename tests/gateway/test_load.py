"""Metrics of the database as a gateway sees it."""

import math
from functools import partial

from chassis import metrics
from deploy.local.ports import free_ports
from deploy.local.postgres import GATEWAY, SUPERUSER, Postgres
from gateway.load import Load
from gateway.store.pool import Pool
from tests.waiting import until


class Seconds:
    """A monotonic clock that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


def sampled(name: str, **labels: str) -> float:
    """Return a metric."""
    found = metrics.REGISTRY.get_sample_value(name, labels)
    assert found is not None
    return found


async def test_the_oldest_open_transaction_shows(pool: Pool, database: Postgres) -> None:
    """Also one of another role, which the statistics hide from the gateway, once a later one has ended."""
    clock = Seconds()
    load = Load(pool, clock)
    async with await database.connect(SUPERUSER) as connection, connection.transaction():
        await connection.execute("select pg_current_xact_id()")
        async with pool.transaction() as later:
            await later.execute("select pg_current_xact_id()")

        async def seen() -> bool:
            await load.sample()
            clock.now += 100
            return sampled("butler_transaction_oldest_seconds") == 300

        await until(seen)
    clock.now += 1000

    async def over() -> bool:
        await load.sample()
        return sampled("butler_transaction_oldest_seconds") == 0

    await until(over)


async def test_the_pool_shows_used_idle_and_waiting(pool: Pool) -> None:
    """A transaction uses a connection until it ends."""
    load = Load(pool)

    async def used(number: int) -> bool:
        await load.sample()
        assert sampled("butler_database_waiting") == 0
        return sampled("butler_database_connections", state="used") == number

    async with pool.transaction():
        await until(partial(used, 1))
    await until(partial(used, 0))
    assert sampled("butler_database_connections", state="idle") >= 1


async def test_the_oldest_transaction_of_a_lost_database_is_no_number(clean_database: Postgres) -> None:
    """It is NaN and not the previous one."""
    (port,) = free_ports(1)
    url = clean_database.url(GATEWAY).replace(str(clean_database.port), str(port))
    pool = Pool(url, "")
    await pool.start()
    await Load(pool).sample()
    await pool.stop()

    assert math.isnan(sampled("butler_transaction_oldest_seconds"))
