"""The sweeper and a bus that was restored from a backup, is away, or has the rights of an older version."""

import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from signal import SIGHUP

import pytest_asyncio

from chassis import metrics
from deploy.local.postgres import Postgres
from gateway.store.pool import Pool
from tests.chaos.parts import Part, start_nats
from tests.gateway.syncs.sweeping.conftest import sweeping_on
from tests.waiting import until

NEW_RIGHTS = (
    "$JS.API.STREAM.INFO.SYNC_REQUESTS",
    "$JS.API.STREAM.INFO.SYNC_OUTCOMES",
    "$JS.API.CONSUMER.INFO.SYNC_REQUESTS.sync-worker-okx",
)


@pytest_asyncio.fixture(name="server")
async def _server(tmp_path: Path) -> AsyncIterator[Part]:
    """Yield a server that the test may stop, with its data in the test's folder."""
    part = Part(tmp_path, "nats")
    yield part
    await part.close()


async def test_a_stream_from_an_older_backup_is_missed_at_once(
    tmp_path: Path, server: Part, clean_database: Postgres, pool: Pool
) -> None:
    """Requests beyond the stream's last sequence number are lost, whatever the stream's age."""
    data, backup = tmp_path / "nats" / "jetstream", tmp_path / "backup"
    async with sweeping_on(clean_database, pool, await start_nats(server, tmp_path)) as sweeping:
        await server.end()
        shutil.copytree(data, backup)
        await start_nats(server, tmp_path)
        await until(sweeping.bus.ready)
        await sweeping.published(3)
        await server.end()
        shutil.rmtree(data)
        shutil.copytree(backup, data)
        await start_nats(server, tmp_path)
        await until(sweeping.bus.ready)

        await sweeping.sweeper().sweep()
        await until(sweeping.relayed)

        assert await sweeping.publications() == [2] * 3
        assert await sweeping.state("SYNC_REQUESTS") == (3, 3)


async def test_while_the_bus_is_away_nothing_is_published_again(
    tmp_path: Path, server: Part, clean_database: Postgres, pool: Pool
) -> None:
    """Requests do not pile up for its return, and those that the stream still holds stay there."""
    async with sweeping_on(clean_database, pool, await start_nats(server, tmp_path)) as sweeping:
        await sweeping.published(3)
        await server.end()
        sweeper = sweeping.sweeper()

        await sweeper.sweep()
        assert await sweeping.publications() == [1] * 3

        await start_nats(server, tmp_path)
        await until(sweeping.bus.ready)
        await sweeper.sweep()
        assert await sweeping.publications() == [1] * 3


async def test_a_server_with_the_rights_of_before_costs_the_feature_only(
    tmp_path: Path, server: Part, clean_database: Postgres, pool: Pool
) -> None:
    """A silent request is published again after three quarters, once; the denial occurs once a minute."""
    async with sweeping_on(clean_database, pool, await start_nats(server, tmp_path)) as sweeping:
        configuration = tmp_path / "nats" / "conf" / "nats.conf"
        rights = configuration.read_text()
        for right in NEW_RIGHTS:
            assert f'"{right}", ' in rights or f', "{right}"' in rights
            rights = rights.replace(f', "{right}"', "")
        configuration.write_text(rights)
        server.process.send_signal(SIGHUP)
        (late,) = await sweeping.published()
        (over,) = await sweeping.opened(seconds=-7)
        sweeper, began = sweeping.sweeper(), time.monotonic()

        async def published_again() -> bool:
            await sweeper.sweep()
            return await sweeping.rows("select publications from syncs where id = %s", late) == [(2,)]

        await until(published_again)
        assert time.monotonic() - began < 5
        errors = metrics.BUS_ERRORS.labels("Error")._value.get()
        again = time.monotonic()
        await sweeper.sweep()
        assert time.monotonic() - again < 0.5
        assert metrics.BUS_ERRORS.labels("Error")._value.get() == errors
        assert await sweeping.rows("select sync_id from sync_settlements") == [(over,)]
