"""The HTTPS servers of the simulator: one listening port for each origin, all in one process."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from math import ceil

from aiohttp import web

from deploy.local.certificates import Identity
from deploy.local.ports import LOOPBACK
from deploy.simulator.faults import FAULTS, Call, plain
from deploy.simulator.switches import Switches
from deploy.simulator.types import Origin, Request

# Names that clients may use for the loopback address; the server's certificate is valid for all of them.
HOSTS = (LOOPBACK, "::1", "localhost")
SHUTDOWN_SECONDS = 2.0


@asynccontextmanager
async def listening(
    switches: Switches, identity: Identity, ports: Mapping[Origin, int], host: str = LOOPBACK
) -> AsyncIterator[dict[Origin, int]]:
    """Serve each origin on its port, 0 for a free one, and yield the ports; raises OSError for one in use."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(identity.certificate_path, identity.key_path)
    async with AsyncExitStack() as stack:
        bound = {}
        for origin, port in ports.items():
            runner = web.ServerRunner(web.Server(_handler(switches, origin), access_log=None))
            stack.push_async_callback(runner.cleanup)
            await runner.setup()
            site = web.TCPSite(runner, host, port, ssl_context=context, shutdown_timeout=SHUTDOWN_SECONDS)
            await site.start()
            bound[origin] = runner.addresses[0][1]
        yield bound


def _handler(
    switches: Switches, origin: Origin
) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    """Return the handler of an origin; it has no routes, because signatures cover the raw target."""
    exchange = switches.exchanges[origin.exchange]

    async def handle(http: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in http.headers.items()}
        body, now = await http.read(), datetime.now(UTC)
        request = Request(
            origin.region, http.method, http.raw_path, headers, body, http.remote or "", now, origin.host
        )
        switches.count(exchange, request)
        if (seconds := _refused(switches, request)) is not None:
            return _too_many(seconds)
        if switched := switches.strike(exchange, request):
            call = Call(http, request, switched.fault, exchange, switched.strict)
            return await FAULTS[switched.fault.fault](call)
        return plain(exchange.answer(request))

    return handle


def _refused(switches: Switches, request: Request) -> float | None:
    """Return the seconds for which a client address must wait; None for an admitted call."""
    if banned := switches.banned(request.received_at):
        return banned
    if switches.addresses is None:
        return None
    return switches.addresses.refuses(request.address, request.received_at)


def _too_many(seconds: float) -> web.StreamResponse:
    """Refuse as a server in front of an exchange does: without the exchange's error code."""
    headers = {"Retry-After": str(ceil(seconds))}
    return web.Response(status=429, text="<html>Too Many Requests</html>", headers=headers)
