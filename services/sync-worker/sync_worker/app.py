"""Assemble the sync-worker: bus, exchanges, handlers and health, from start to graceful shutdown."""

import asyncio
from collections.abc import Mapping

import msgspec
import structlog

from chassis.bus.connection import Bus
from chassis.bus.contact import Contact
from chassis.bus.inspection import nats_clock
from chassis.bus.watch import Watch
from chassis.certificates import Certificates
from chassis.clocks import DISAGREES, NATS, Clocks
from chassis.health import Check, Checks, health_application, merged, running
from chassis.metrics import note_key
from chassis.sampling import collect
from chassis.serve import Listener, run_service
from chassis.settings import Environment
from contracts.exchanges import EXCHANGES, PRICED
from contracts.prices import ECB
from contracts.wire.topology import PRICE_WORKER_CONSUMERS, SCHEDULED_CONSUMERS, SYNC_WORKER_CONSUMERS
from sync_worker import exchanges, settings
from sync_worker.broker import Broker
from sync_worker.budgets.governor import Governor
from sync_worker.budgets.leasing import Leasing
from sync_worker.budgets.tables import tables
from sync_worker.closures.gate import Gate
from sync_worker.closures.gated import Gated
from sync_worker.currencies.ecb import Bank
from sync_worker.exchanges import Connect, connectors
from sync_worker.exchanges.http import Https
from sync_worker.exchanges.signed import Parts
from sync_worker.exchanges.types import Connector
from sync_worker.handlers import Handlers
from sync_worker.prices import Prices, ReadPrices
from sync_worker.settings import Settings
from sync_worker.timing import Timing

log = structlog.get_logger()


class Configuration(msgspec.Struct, frozen=True):
    """The general settings, and the functions that make the connectors with their own settings."""

    general: Settings
    connects: tuple[Connect, ...]


def load(environ: Environment) -> Configuration:
    """Read all settings; raises BadSetting."""
    return Configuration(settings.load(environ), exchanges.load(environ))


async def run(configuration: Configuration) -> int:
    """Run until SIGTERM and return the exit code: 1 if the bus is closed for good or a part failed."""
    general = configuration.general
    for words in general.renamed:
        log.warning("setting_renamed", words=words)
    bus = Bus.of("sync-worker", "worker", general.running)
    note_key("nkey", general.running.nkey_made)
    https = Https(general.exchange_ca_file, general.exchange_proxy)
    clocks = Clocks()
    governor = Governor(tables(general.ceilings), lambda: bus.connected)
    reading = Parts(https, Broker(bus), clocks, general, governor)
    server = nats_clock(bus, SYNC_WORKER_CONSUMERS[0])
    timing = Timing(clocks, server)
    gate = Gate(bus, EXCHANGES, general.egress_group, timing.server_time, general.probes)
    gate.declare()
    made = connectors(configuration.connects, reading)
    connected = {key: Gated(connector, gate, clocks.now) for key, connector in made.items()}
    Handlers(bus, connected, timing).declare()
    leasing = Leasing(bus, governor, general.egress_group, timing.server_time)
    leasing.declare()
    Prices(bus, sources(connected, reading), timing).declare()
    stopping = asyncio.Event()
    watch = Watch(bus, [*SYNC_WORKER_CONSUMERS, *SCHEDULED_CONSUMERS])
    contact = Contact(bus, *SYNC_WORKER_CONSUMERS)
    checks = _checks(bus, {"running": running(stopping), DISAGREES: clocks.right, **contact.checks()})
    limiting = {DISAGREES: clocks.agree, **gate.checks(), **governor.checks()}
    checks = Checks(checks.required, merged(checks.degrading, watch.checks(), limiting))
    certificates = Certificates(general.certificates)
    parts = {
        "metrics": collect(checks, watch.sample, governor.sample, gate.sample, certificates.sample),
        "clocks": clocks.keep({NATS: server}),
        "contact": contact.keep(),
        "budgets": leasing.keep(),
        "closures": gate.keep(),
    }
    try:
        operations = Listener(health_application(checks), general.running.operations)
        return await run_service(bus, [operations], parts, stopping)
    finally:
        await https.close()


def _checks(bus: Bus, required: dict[str, Check]) -> Checks:
    """Return the checks of the bus with others that are required.

    Consumers of the schedule and of prices only degrade, because a bus of the version before does not have
    them, and a worker without them syncs.
    """
    further = {consumer.path for consumer in (*SCHEDULED_CONSUMERS, *PRICE_WORKER_CONSUMERS)}
    pulled = bus.checks()
    later = {name: check for name, check in pulled.items() if name in further}
    first = {name: check for name, check in pulled.items() if name not in further}
    return Checks(required | first, later)


def sources(connected: Mapping[str, Connector], reading: Parts) -> dict[str, ReadPrices]:
    """Return the functions that read public prices, of the exchanges that have any and of the bank."""
    found: dict[str, ReadPrices] = {key: connected[key].read_prices for key in PRICED if key in connected}
    if reading.settings.ecb_origin is not None:
        found[ECB] = Bank(reading, reading.settings.ecb_origin).read_prices
    return found
