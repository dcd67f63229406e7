"""The faults that are switched on, with their places, and the admin port that switches them."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import NamedTuple

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from deploy.local.ports import LOOPBACK
from deploy.simulator.faults import Fault
from deploy.simulator.limits import Addresses
from deploy.simulator.types import Exchange, Request

PLACE = "/faults/{exchange}/{owner}{path:/.+}"
MAX_BODY_BYTES = 16 * 1024


@dataclass(slots=True)
class Switched:
    """A fault, the exchange without bursts that it may answer with, and the number of struck calls."""

    fault: Fault
    strict: Exchange
    struck: int = 0


class Place(NamedTuple):
    """Where a fault strikes: the owner's requests to a path of an exchange."""

    exchange: str
    owner: str
    path: str


class Switches:
    """At most one fault for each exchange, owner and path, and the limit of client addresses, if any.

    The owner is the account of the request, or on a public path, where a request has no key, its region.
    """

    def __init__(self, exchanges: Iterable[Exchange], addresses: Addresses | None = None) -> None:
        self.addresses = addresses
        self.exchanges = {exchange.key: exchange for exchange in exchanges}
        self._switched: dict[Place, Switched] = {}

    def switch(self, place: Place, body: bytes) -> None:
        """Switch a fault on, replacing an earlier one; raises ValueError or msgspec.DecodeError."""
        exchange = self._checked(place)
        fault = msgspec.json.decode(body, type=Fault)
        fault.check(exchange)
        self._switched[place] = Switched(fault, exchange.without_bursts())

    def clear(self, place: Place) -> None:
        """Switch a fault off, if there is one; raises ValueError for a place that is not valid."""
        self._checked(place)
        self._switched.pop(place, None)

    def struck(self, place: Place) -> int:
        """Return the number of calls that the fault has struck; raises ValueError without a fault."""
        self._checked(place)
        if place not in self._switched:
            raise ValueError("no fault is switched on there")
        return self._switched[place].struck

    def strike(self, exchange: Exchange, request: Request) -> Switched | None:
        """Return the fault for this request, if any, and count it."""
        if not self._switched:
            return None
        owner = request.region if request.path in exchange.public else exchange.asker(request)
        switched = self._switched.get(Place(exchange.key, owner or "", request.path))
        if switched is None or switched.struck == switched.fault.times:
            return None
        switched.struck += 1
        return switched

    def _checked(self, place: Place) -> Exchange:
        """Return the exchange of a valid place; raises ValueError."""
        exchange = self.exchanges.get(place.exchange)
        if exchange is None:
            raise ValueError(f"the simulator does not serve the exchange {place.exchange}")
        if place.path not in exchange.paths:
            raise ValueError(f"{place.exchange} does not serve the endpoint {place.path}")
        owners = exchange.regions if place.path in exchange.public else exchange.accounts
        if place.owner not in owners:
            raise ValueError(f"{place.path} is not asked by {place.owner}")
        return exchange


@asynccontextmanager
async def administered(switches: Switches, port: int | None) -> AsyncIterator[str | None]:
    """Serve the admin port over plain HTTP, 0 for a free one, and yield its address; None serves none."""
    if port is None:
        yield None
        return
    runner = web.AppRunner(_application(switches), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, port).start()
        yield f"http://{LOOPBACK}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _application(switches: Switches) -> web.Application:
    """PUT switches a fault on, GET returns the number of struck calls, DELETE switches it off.

    GET `/addresses` counts the calls of all client addresses.
    """

    async def put(request: web.Request) -> web.Response:
        switches.switch(_place(request), await request.read())
        return web.Response(status=204)

    async def get(request: web.Request) -> web.Response:
        return web.json_response({"struck": switches.struck(_place(request))})

    async def delete(request: web.Request) -> web.Response:
        switches.clear(_place(request))
        return web.Response(status=204)

    async def addresses(_request: web.Request) -> web.Response:
        if switches.addresses is None:
            raise ValueError("no limit of addresses is set")
        return web.json_response(asdict(switches.addresses.counts))

    application = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_explain])
    application.add_routes([web.put(PLACE, put), web.get(PLACE, get), web.delete(PLACE, delete)])
    application.add_routes([web.get("/addresses", addresses)])
    return application


def _place(request: web.Request) -> Place:
    return Place(*(request.match_info[part] for part in Place._fields))


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer bad input with the reason, most of it with 400."""
    try:
        return await handler(request)
    except (ValueError, msgspec.DecodeError) as error:
        return web.json_response({"error": str(error)}, status=400)
    except web.HTTPException as error:
        return web.json_response({"error": error.reason}, status=error.status)
