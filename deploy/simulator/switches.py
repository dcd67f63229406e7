"""The faults that are switched on, with their places, and the admin port that switches them."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple, Protocol, runtime_checkable

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from deploy.local.ports import LOOPBACK
from deploy.simulator.faults import Fault
from deploy.simulator.limits import Addresses
from deploy.simulator.types import Exchange, Request, Upkeep

PLACE = "/faults/{exchange}/{owner}{path:/.+}"
REGION = "/{exchange}/{region}"
UPLOAD = "/uploads/{exchange}/{account}"
MAX_BODY_BYTES = 16 * 1024


@dataclass(slots=True)
class Switched:
    """A fault, the exchange without bursts that it may answer with, and the number of struck calls."""

    fault: Fault
    strict: Exchange
    struck: int = 0


class Pause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A maintenance or a ban from now on; the status of the exchange tells of one that is `announced`."""

    seconds: Annotated[float, msgspec.Meta(gt=0, le=86400)]
    announced: bool = True


class Upload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A public key in PEM that a user gives the exchange; `rights` are given in addition to the account's.

    The same key again changes only its rights.
    """

    public_key: Annotated[str, msgspec.Meta(max_length=2048)]
    rights: dict[str, bool] = {}


@runtime_checkable
class Uploading(Protocol):
    """An exchange to which users upload public keys."""

    def upload(self, account: str, public_key: str, rights: Mapping[str, bool], now: datetime) -> str:
        """Keep a public key of an account, and return its API key; raises ValueError."""


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
        self.calls: Counter[tuple[str, str, str]] = Counter()
        self._switched: dict[Place, Switched] = {}
        self._banned_until: datetime | None = None

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

    def pause(self, exchange: str, region: str, body: bytes) -> None:
        """Begin a maintenance of a region, or without a body end it; raises ValueError or DecodeError."""
        upkeep = None
        if body:
            now, pause = datetime.now(UTC), msgspec.json.decode(body, type=Pause)
            upkeep = Upkeep(now, now + timedelta(seconds=pause.seconds), pause.announced)
        self._region(exchange, region).maintain(region, upkeep)

    def ban(self, body: bytes) -> None:
        """Ban all client addresses; raises ValueError or DecodeError."""
        pause = msgspec.json.decode(body, type=Pause)
        self._banned_until = datetime.now(UTC) + timedelta(seconds=pause.seconds)

    def banned(self, now: datetime) -> float:
        """Return the seconds for which all client addresses are still banned."""
        until = self._banned_until
        return 0.0 if until is None else max(0.0, (until - now).total_seconds())

    def count(self, exchange: Exchange, request: Request) -> None:
        """Count a call, admitted or not."""
        path = request.path if request.path in exchange.paths else ""
        self.calls[exchange.key, request.region, path] += 1

    def called(self, exchange: str, region: str) -> dict[str, int]:
        """Return the calls of a region by path, admitted or not; raises ValueError."""
        self._region(exchange, region)
        return {path: count for (*place, path), count in self.calls.items() if place == [exchange, region]}

    def upload(self, exchange: str, account: str, body: bytes) -> str:
        """Upload a public key as an account's user; return its API key; raises ValueError or DecodeError."""
        found: object = self.exchanges.get(exchange)
        if not isinstance(found, Uploading):
            raise ValueError(f"the simulator serves no exchange {exchange} that takes public keys")
        if account not in self.exchanges[exchange].accounts:
            raise ValueError(f"no account is called {account}")
        upload = msgspec.json.decode(body, type=Upload)
        return found.upload(account, upload.public_key, upload.rights, datetime.now(UTC))

    def _region(self, exchange: str, region: str) -> Exchange:
        found = self.exchanges.get(exchange)
        if found is None or region not in found.regions:
            raise ValueError(f"the simulator does not serve {exchange} in {region}")
        return found

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

    GET `/addresses` counts the calls of all client addresses, and GET `/calls` the calls of a region. PUT
    `/ban` bans all addresses, PUT `/maintenance` begins a maintenance of a region, and DELETE ends it. PUT
    `/uploads` gives an exchange a public key as a user does, and returns its API key.
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

    async def upload(request: web.Request) -> web.Response:
        exchange, account = request.match_info["exchange"], request.match_info["account"]
        return web.json_response({"api_key": switches.upload(exchange, account, await request.read())})

    application = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_explain])
    application.add_routes([web.put(PLACE, put), web.get(PLACE, get), web.delete(PLACE, delete)])
    application.add_routes([web.get("/addresses", addresses), *_pauses(switches), web.put(UPLOAD, upload)])
    return application


def _pauses(switches: Switches) -> list[web.RouteDef]:
    """Return the routes of maintenance, bans and the calls that come meanwhile."""

    async def maintain(request: web.Request) -> web.Response:
        place = request.match_info["exchange"], request.match_info["region"]
        switches.pause(*place, b"" if request.method == "DELETE" else await request.read() or b"null")
        return web.Response(status=204)

    async def ban(request: web.Request) -> web.Response:
        switches.ban(await request.read())
        return web.Response(status=204)

    async def calls(request: web.Request) -> web.Response:
        return web.json_response(
            switches.called(request.match_info["exchange"], request.match_info["region"])
        )

    upkeep = f"/maintenance{REGION}"
    return [
        *(web.put("/ban", ban), web.get(f"/calls{REGION}", calls)),
        *(web.put(upkeep, maintain), web.delete(upkeep, maintain)),
    ]


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
