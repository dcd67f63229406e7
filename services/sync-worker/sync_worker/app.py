"""The sync-worker put together: bus, exchanges, handlers and health, from start to graceful stop."""

import asyncio
from datetime import UTC, datetime

import structlog

from contracts.bus.connect import Bus
from contracts.operations.health import health_application
from contracts.operations.serve import serve
from sync_worker.broker import Broker
from sync_worker.exchanges.http import Https
from sync_worker.exchanges.okx import Okx
from sync_worker.handlers import Handlers
from sync_worker.settings import Settings

log = structlog.get_logger()


def utc_now() -> datetime:
    """Give the time of this machine."""
    return datetime.now(UTC)


async def run(settings: Settings) -> int:
    """Run until SIGTERM and give the exit code: 1 when the bus is closed for good or a part failed."""
    bus = Bus("sync-worker", "worker", settings.nats_url, settings.nats_seed.reveal())
    https = Https(settings.exchange_ca_file)
    okx = Okx(https, Broker(bus), settings.okx_origins, settings.egress_addresses, utc_now)
    Handlers(bus, {okx.catalogue.key: okx}, utc_now).declare()
    stopping = asyncio.Event()
    health = health_application({"nats": bus.ready})
    serving = asyncio.create_task(serve(health, settings.listen_host, settings.port, stopping), name="health")
    connected = asyncio.create_task(_stay_connected(bus), name="nats")
    ended, _ = await asyncio.wait({serving, connected}, return_when=asyncio.FIRST_COMPLETED)
    lost = [part for part in ended if part is connected or part.exception()]
    for part in lost:
        log.error("part_lost", part=part.get_name(), exc_info=part.exception())
    stopping.set()
    connected.cancel()
    await bus.stop()
    await asyncio.wait({serving, connected})
    await https.close()
    return 1 if lost else 0


async def _stay_connected(bus: Bus) -> None:
    """Connect, and wait for the connection to be over for good; raises BusUnavailable then."""
    await bus.start()
    await bus.run()
