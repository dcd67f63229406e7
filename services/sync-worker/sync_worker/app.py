"""The sync-worker put together: bus, exchanges, handlers and health, from start to graceful stop."""

import asyncio
from datetime import UTC, datetime

from contracts.bus.connect import Bus
from contracts.bus.topology import SYNC_WORKER_CONSUMERS
from contracts.bus.watching import Watch
from contracts.operations.collecting import collect
from contracts.operations.health import Checks, health_application, running
from contracts.operations.serve import run_service
from sync_worker.broker import Broker
from sync_worker.exchanges.http import Https
from sync_worker.exchanges.okx import Okx
from sync_worker.handlers import Handlers
from sync_worker.settings import Settings


def utc_now() -> datetime:
    """Give the time of this machine."""
    return datetime.now(UTC)


async def run(settings: Settings) -> int:
    """Run until SIGTERM and give the exit code: 1 when the bus is closed for good or a part failed."""
    bus = Bus("sync-worker", "worker", settings.running.nats_url, settings.running.nats_seed)
    https = Https(settings.exchange_ca_file)
    okx = Okx(https, Broker(bus), settings, utc_now)
    Handlers(bus, {okx.catalogue.key: okx}, utc_now).declare()
    stopping = asyncio.Event()
    watch = Watch(bus, SYNC_WORKER_CONSUMERS)
    checks = Checks({"running": running(stopping), **bus.checks()}, watch.checks())
    parts = {"metrics": collect(checks, watch.sample)}
    try:
        return await run_service(bus, health_application(checks), settings.running.address, parts, stopping)
    finally:
        await https.close()
