"""The composition of the gateway: creates, starts and stops its components."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import ModuleType

from litestar import Litestar, Router
from litestar.datastructures import ResponseHeader
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from chassis.bus.connection import Bus
from chassis.bus.consume import consume, hear, listen
from chassis.bus.contact import Contact
from chassis.bus.gate import Gate
from chassis.bus.inspection import nats_clock
from chassis.bus.watch import Watch
from chassis.certificates import Certificates
from chassis.clocks import DISAGREES, NATS, Ask, Clocks
from chassis.health import Checks, Ready, health_application, merged, running
from chassis.metrics import note_key
from chassis.sampling import Sample, collect
from chassis.serve import Listener, run_service
from contracts import subjects
from contracts.faults import Code
from contracts.values import Secret, decode_value
from contracts.wire.topology import (
    ADVISORIES_CONSUMER,
    OUTCOMES_CONSUMER,
    PRICES_CONSUMER,
    SYNCING_CONSUMERS,
)
from gateway import __version__, series
from gateway.accounts.broker import Broker
from gateway.accounts.closing import Closer
from gateway.accounts.delete import Deleting
from gateway.accounts.destroyer import Destroyer
from gateway.accounts.intake import Admission, Intake
from gateway.accounts.offers import Offers
from gateway.accounts.reverify import Reverifier
from gateway.accounts.unsynced import UnsyncedKeys
from gateway.housekeeping import Housekeeper
from gateway.http.answers import EXCEPTION_HANDLERS, SECURITY_HEADERS, only_json, said_once
from gateway.http.authentication import AccessTokens
from gateway.http.entry import Entering
from gateway.http.openapi import TAGS, operation_id
from gateway.http.operating import COMPONENTS, SECURITY, Guarding, operations_application
from gateway.http.rate_limits import Limiting, tell_limits
from gateway.http.schemas import PLUGINS
from gateway.http.shutdown import GRACE_SECONDS, Ending
from gateway.http.traces import Traced
from gateway.identity.passwords import Passwords
from gateway.identity.proof import Proving
from gateway.identity.refresh import Refreshing
from gateway.limits import Limits
from gateway.load import Load
from gateway.operators.access import Access
from gateway.operators.dead_letters import DeadLetters
from gateway.operators.status import Overview
from gateway.outbox.relay import Relay
from gateway.prices.readings import Readings
from gateway.prices.requests import PriceRequests
from gateway.proxies import Proxies
from gateway.routes import (
    accounts,
    assets,
    auth,
    changes,
    currencies,
    documents,
    exchanges,
    history,
    me,
    offers,
    portfolio,
    positions,
    prices,
    syncs,
)
from gateway.routes.admin import dead_letters, status, users
from gateway.routes.admin import exchanges as pauses_of_exchanges
from gateway.settings import Settings
from gateway.store.clock import DATABASE, database_clock
from gateway.store.password_ages import note_passwords
from gateway.store.pool import Pool
from gateway.store.restores import Restores
from gateway.syncs.announce import Announcer
from gateway.syncs.backlog import Backlog
from gateway.syncs.open import Terms
from gateway.syncs.outcomes import Outcomes
from gateway.syncs.progress import Progress
from gateway.syncs.record import Together
from gateway.syncs.recorder import Recorder
from gateway.syncs.requests import Requests
from gateway.syncs.schedule import Scheduler
from gateway.syncs.sweeper import Patience, Sweeper
from gateway.syncs.waiters import Waiters
from gateway.syncs.waiting import ExchangeWaits

BODY_LIMIT = 64 * 1024
OUTCOMES_AT_ONCE = 64
PART_OF_API = (
    *(auth, me, exchanges, accounts, offers, positions, portfolio),
    *(history, changes, syncs, prices, assets, currencies),
)
FOR_OPERATORS = (status, dead_letters, users, pauses_of_exchanges)
# Of both applications: that of users, and that of operators.
_application = partial(
    Litestar,
    exception_handlers=EXCEPTION_HANDLERS,
    plugins=PLUGINS,
    response_headers=[ResponseHeader(name=name, value=value) for name, value in SECURITY_HEADERS.items()],
    request_max_body_size=BODY_LIMIT,
    logging_config=None,
)
_described = partial(
    OpenAPIConfig,
    version=__version__,
    operation_id_creator=operation_id,
    use_handler_docstrings=True,
    # Unused: `routes` serve the documents, because Litestar would answer all paths near them.
    path="/api/litestar",
    render_plugins=[JsonRenderPlugin()],
)


@dataclass(frozen=True)
class Provided:
    """The dependencies of handlers, by name; `egress` are the source addresses of calls to exchanges."""

    pool: Pool
    passwords: Passwords
    proving: Proving
    tokens: AccessTokens
    refreshing: Refreshing
    intake: Intake
    offers: Offers
    deleting: Deleting
    requests: Requests
    waiters: Waiters
    waiting: ExchangeWaits
    readings: Readings
    allowed: Limits
    ready: Ready
    egress: tuple[str, ...]

    def dependencies(self) -> dict[str, Provide]:
        """Return Litestar's providers by parameter name."""
        parts: dict[str, Provide] = {name: _provide(getattr(self, name)) for name in self.__match_args__}
        return parts | {"restored": Provide(Restores(self.pool).last)}


def _provide(part: object) -> Provide:
    return Provide(lambda: part, sync_to_thread=False)


async def run(settings: Settings) -> int:
    """Run the gateway until a signal, or until the bus is closed for good; returns the exit code."""
    stopping = asyncio.Event()
    note_keys(settings)
    pool = Pool(settings.database_url, *(each.reveal() for each in settings.database_passwords))
    bus = Bus.of("gateway", "gateway", settings.running, GRACE_SECONDS)
    ending = Ending(stopping)
    provided, parts = composed(settings, pool, bus, stopping)
    parts["ending"] = ending.run()
    await pool.start()
    try:
        return await run_service(bus, listeners(settings, provided, ending, bus), parts, stopping)
    finally:
        await pool.stop()
        provided.passwords.close()


def listeners(settings: Settings, provided: Provided, ending: Ending, bus: Bus) -> list[Listener]:
    """Return the listeners of the API and of the operations port."""
    admin = Entering(operating(provided, ending, bus), Proxies(()))
    return [
        Listener(
            Traced(Entering(application(provided, ending), Proxies(settings.trusted_proxies))),
            settings.address,
        ),
        Listener(
            operations_application(health_application(provided.ready.checks), admin),
            settings.running.operations,
        ),
    ]


def _recorder(settings: Settings, pool: Pool, relay: Relay, readings: Readings) -> Recorder:
    patience = timedelta(seconds=settings.loss_confirmation_seconds)
    how = Together(patience, tolerance=settings.drift_tolerance, memory=readings.memory)
    return Recorder(pool, relay, how)


def composed(
    settings: Settings, pool: Pool, bus: Bus, stopping: asyncio.Event
) -> tuple[Provided, dict[str, Coroutine[None, None, None]]]:
    """Create the dependencies of the routes, and the background tasks by name."""
    key, allowed = settings.grant_keys.current, settings.limits
    relay, broker = Relay(pool, bus), Broker(bus, settings.pinned, key)
    destroyer, clocks = Destroyer(pool, broker, settings.credential_grace_seconds), Clocks()
    waiters, gate = Waiters(pool, stopping, settings.waits_at_once), Gate("database", pool.ready)
    announcer, passwords = Announcer(bus, waiters), Passwords(settings.passwords_at_once)
    readings, pricing = priced(settings, pool, bus, gate)
    recorder = _recorder(settings, pool, relay, readings)
    declare_subscribers(bus, Outcomes(pool, announcer, relay, recorder, settings.grant_keys), waiters, gate)
    admission, patience = Admission(allowed, settings.submissions_at_once), _patience(settings, clocks)
    checks, observing = observation(settings, pool, bus, clocks, stopping, readings.sample)
    provided = Provided(
        pool=pool,
        passwords=passwords,
        proving=Proving(pool, passwords),
        tokens=AccessTokens(settings.jwt_keys, pool),
        refreshing=Refreshing(pool, settings.jwt_keys, allowed),
        intake=Intake(pool, bus, broker, destroyer, key, admission=admission),
        offers=Offers(pool, broker, destroyer, admission),
        deleting=Deleting(pool, relay, destroyer, key),
        requests=Requests(pool, relay, announcer, terms_of(settings), allowed),
        waiters=waiters,
        waiting=heard_waits(bus),
        readings=readings,
        allowed=allowed,
        ready=Ready(checks),
        egress=settings.egress,
    )
    return provided, {
        "relay": relay.run(),
        "sweeper": Sweeper(pool, relay, key, patience, Progress(bus)).run(),
        **unasked(settings, pool, bus, relay, destroyer),
        "deleting": provided.deleting.run(),
        "waiters": waiters.poll(),
        "gate": gate.watch(),
        **(observing | pricing),
    }


def _patience(settings: Settings, clocks: Clocks) -> Patience:
    return Patience(settings.sync_deadline_seconds, why=partial(_why_over, clocks))


def heard_waits(bus: Bus) -> ExchangeWaits:
    """Create what knows the syncs that wait for their exchange."""
    waits = ExchangeWaits()
    hear(bus, subjects.SYNC_WAITING_ALL, waits.on_waiting)
    return waits


def terms_of(settings: Settings) -> Terms:
    """Return the terms on which syncs are opened."""
    key, deadline = settings.grant_keys.current, settings.sync_deadline_seconds
    return Terms(key, deadline, settings.sync_cache_seconds)


def unasked(
    settings: Settings, pool: Pool, bus: Bus, relay: Relay, destroyer: Destroyer
) -> dict[str, Coroutine[None, None, None]]:
    """Return the background tasks that need no request: due syncs, checks of keys, and housekeeping."""
    terms = terms_of(settings)
    return {
        "destroyer": destroyer.run(),
        "reverifier": Reverifier(pool, bus, relay, destroyer, terms.key).run(),
        "scheduler": Scheduler(pool, bus, relay, terms, settings.scheduled_waiting).run(),
        "unsynced_keys": UnsyncedKeys(pool, bus, relay, terms.key).run(),
        "housekeeper": Housekeeper(pool).run(),
        "closer": Closer(pool).run(),
    }


def priced(
    settings: Settings, pool: Pool, bus: Bus, gate: Gate
) -> tuple[Readings, dict[str, Coroutine[None, None, None]]]:
    """Create what records public prices, and the background task that requests them."""
    readings = Readings(pool)
    consume(bus, PRICES_CONSUMER, gate.guard(readings.on_prices_read), 1, lasting=False)
    requests = PriceRequests(pool, bus, settings.price_seconds, settings.rates_seconds)
    return readings, {"prices": requests.run()}


def note_keys(settings: Settings) -> None:
    """Show the ages of the keys of the gateway's files."""
    note_key("nkey", settings.running.nkey_made)
    for name, keys in (("jwt", settings.jwt_keys), ("grant", settings.grant_keys)):
        note_key(name, keys.made, len(keys.all))


def _others_clocks(pool: Pool, bus: Bus) -> dict[str, Ask]:
    return {NATS: nats_clock(bus, OUTCOMES_CONSUMER), DATABASE: partial(database_clock, pool)}


def _why_over(clocks: Clocks) -> Code:
    """Return the code for an overdue sync: `clock_disagrees` if only the database's clock differs."""
    return Code.CLOCK_DISAGREES if clocks.disagreeing() == (DATABASE,) else Code.DEADLINE_EXCEEDED


def observation(
    settings: Settings,
    pool: Pool,
    bus: Bus,
    clocks: Clocks,
    stopping: asyncio.Event,
    *samples: Sample,
) -> tuple[Checks, dict[str, Coroutine[None, None, None]]]:
    """Return the health checks of the gateway, and the tasks that update its metrics and watch the bus."""
    series.begin()
    watch, load = Watch(bus, SYNCING_CONSUMERS), Load(pool)
    scheduling = settings.scheduled_waiting > 0
    backlog = Backlog(pool, settings.sync_deadline_seconds, scheduling=scheduling)
    certificates = Certificates(settings.certificates)
    contact = Contact(bus, OUTCOMES_CONSUMER, ADVISORIES_CONSUMER)
    required = {"database": pool.ready, "running": running(stopping), DISAGREES: clocks.right}
    # Only degrading, because balances can be read without the bus.
    told = (bus.checks(), contact.checks(), watch.checks(), backlog.checks(), {DISAGREES: clocks.agree})
    checks = Checks(required, merged(*told))
    password_ages = partial(note_passwords, pool)
    bus_samples = (watch.sample, watch.sample_dead_letters)
    own_samples: tuple[Sample, ...] = (
        backlog.sample,
        load.sample,
        certificates.sample,
        password_ages,
        *samples,
    )
    sampling = collect(checks, *bus_samples, *own_samples)
    told_time = clocks.keep(_others_clocks(pool, bus))
    return checks, {"metrics": sampling, "contact": contact.keep(), "clocks": told_time}


def application(provided: Provided, ending: Ending) -> Litestar:
    """Return the HTTP application."""
    return _application(
        route_handlers=[
            Router("/api/v1", route_handlers=[route for noun in PART_OF_API for route in _routes(noun)]),
            *_routes(documents),
        ],
        dependencies=provided.dependencies(),
        on_app_init=[provided.tokens.auth.on_app_init],
        guards=[Limiting(provided.pool, provided.allowed).guard, only_json, said_once],
        before_send=[tell_limits],
        middleware=[ending],
        type_decoders=[(lambda kind: kind is Secret, decode_value)],
        openapi_config=_described(title="Crypto Pocket Butler", tags=TAGS),
    )


def operating(provided: Provided, ending: Ending, bus: Bus) -> Litestar:
    """Return the HTTP application of operators, which shares only the database and the bus with users'."""
    pool, limits = provided.pool, provided.allowed
    parts = {
        "pool": pool,
        "letters": DeadLetters(pool, bus),
        "overview": Overview(pool, bus, provided.ready.checks, limits),
    }
    return _application(
        route_handlers=[route for noun in FOR_OPERATORS for route in _routes(noun)],
        dependencies={name: _provide(part) for name, part in parts.items()},
        guards=[Guarding(Access(pool, limits.login)).guard, only_json, said_once],
        middleware=[ending],
        openapi_config=_described(
            title="Crypto Pocket Butler: operators", components=COMPONENTS, security=SECURITY
        ),
    )


def _routes(module: ModuleType) -> list[HTTPRouteHandler]:
    """Return the handlers that a module defines."""
    return [each for each in vars(module).values() if isinstance(each, HTTPRouteHandler)]


def declare_subscribers(bus: Bus, outcomes: Outcomes, waiters: Waiters, gate: Gate) -> None:
    """Declare the gateway's consumers; they pause while the database is unavailable."""

    async def on_recorded(subject: str) -> None:
        sync_id = subjects.recorded_sync(subject)
        if sync_id is not None:
            waiters.wake(sync_id)

    bus.gates.append(gate.is_open)
    recording, burying = gate.guard(outcomes.on_sync_outcome), gate.guard(outcomes.on_buried)
    consume(bus, OUTCOMES_CONSUMER, recording, OUTCOMES_AT_ONCE, burying)
    consume(bus, ADVISORIES_CONSUMER, gate.guard(outcomes.on_advisory), 1)
    listen(bus, subjects.RECORDED_ALL, on_recorded)
