"""Assemble the sync-worker: bus, exchanges, handlers and health, from start to graceful shutdown."""

import asyncio

import structlog

from chassis.bus.connection import Bus
from chassis.bus.inspection import nats_clock
from chassis.bus.watch import Watch
from chassis.clocks import DISAGREES, NATS, Clocks
from chassis.health import Checks, health_application, merged, running
from chassis.sampling import collect
from chassis.serve import Listener, run_service
from contracts.wire.topology import SYNC_WORKER_CONSUMERS
from sync_worker.broker import Broker
from sync_worker.exchanges import connectors
from sync_worker.exchanges.http import Https
from sync_worker.exchanges.signed import Parts
from sync_worker.handlers import Handlers
from sync_worker.settings import Settings
from sync_worker.timing import Timing

log = structlog.get_logger()


async def run(settings: Settings) -> int:
    """Run until SIGTERM and return the exit code: 1 if the bus is closed for good or a part failed."""
    for words in settings.renamed:
        log.warning("setting_renamed", words=words)
    bus = Bus.of("sync-worker", "worker", settings.running)
    https = Https(settings.exchange_ca_file, settings.exchange_proxy)
    clocks = Clocks()
    exchanges = connectors(Parts(https, Broker(bus), clocks, settings))
    server = nats_clock(bus, SYNC_WORKER_CONSUMERS[0])
    Handlers(bus, exchanges, Timing(clocks, server)).declare()
    stopping = asyncio.Event()
    watch = Watch(bus, SYNC_WORKER_CONSUMERS)
    required = {"running": running(stopping), DISAGREES: clocks.right, **bus.checks()}
    checks = Checks(required, merged(watch.checks(), {DISAGREES: clocks.agree}))
    parts = {"metrics": collect(checks, watch.sample), "clocks": clocks.keep({NATS: server})}
    try:
        operations = Listener(health_application(checks), settings.running.operations)
        return await run_service(bus, [operations], parts, stopping)
    finally:
        await https.close()
