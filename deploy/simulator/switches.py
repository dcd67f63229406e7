"""Which faults are switched on, for whom and where, and the admin port that switches them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from deploy.local.ports import LOOPBACK
from deploy.simulator.accounts import Region
from deploy.simulator.checks import KEY, Request
from deploy.simulator.endpoints import PATHS, PUBLIC
from deploy.simulator.exchange import Exchange
from deploy.simulator.faults import Fault
from deploy.simulator.limits import Limiter

ROOT = "/api/v5/"
PLACE = "/faults/{owner}/{endpoint:.+}"
MAX_BODY_BYTES = 16 * 1024
PUBLIC_PATHS = {path for _, path in PUBLIC}


@dataclass(slots=True)
class Switched:
    """A fault, the exchange without bursts that it may answer by, and how many calls it has struck."""

    fault: Fault
    strict: Exchange
    struck: int = 0


class Switches:
    """At most one fault for each owner and endpoint.

    The owner is the account that asks, or at a public endpoint, where nobody says who asks, the region that
    is asked.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._accounts = exchange.accounts
        self._switched: dict[tuple[str, str], Switched] = {}

    def switch(self, owner: str, endpoint: str, body: bytes) -> None:
        """Switch a fault on, in place of another; raises ValueError or msgspec.DecodeError."""
        path = self._checked(owner, endpoint)
        fault = msgspec.json.decode(body, type=Fault)
        if fault.account not in {None, *self._names()}:
            raise ValueError(f"no account is called {fault.account}")
        strict = Exchange(self._accounts, Limiter(strict=True))
        self._switched[owner, path] = Switched(fault, strict)

    def clear(self, owner: str, endpoint: str) -> None:
        """Switch a fault off, if there is one; raises ValueError for an owner or endpoint that is none."""
        self._switched.pop((owner, self._checked(owner, endpoint)), None)

    def struck(self, owner: str, endpoint: str) -> int:
        """Count the calls that the fault has struck; raises ValueError where there is none."""
        switched = self._switched.get((owner, self._checked(owner, endpoint)))
        if switched is None:
            raise ValueError("no fault is switched on there")
        return switched.struck

    def strike(self, request: Request) -> Switched | None:
        """Give the fault that this request meets, if any, and count it."""
        if not self._switched:
            return None
        switched = self._switched.get((self._owner(request), request.path))
        if switched is None or switched.struck == switched.fault.times:
            return None
        switched.struck += 1
        return switched

    def _owner(self, request: Request) -> str:
        if request.path in PUBLIC_PATHS:
            return request.region.value
        account = self._accounts.find(request.region, request.headers.get(KEY, ""))
        return account.name if account else ""

    def _checked(self, owner: str, endpoint: str) -> str:
        """Give the path of an endpoint that this owner can ask."""
        path = ROOT + endpoint
        if path not in PATHS:
            raise ValueError(f"there is no endpoint {path}")
        owners = set(Region) if path in PUBLIC_PATHS else self._names()
        if owner not in owners:
            raise ValueError(f"{path} is not asked by {owner}")
        return path

    def _names(self) -> set[str]:
        return {account.name for account in self._accounts.accounts}


@asynccontextmanager
async def administered(switches: Switches, port: int | None) -> AsyncIterator[str | None]:
    """Serve the admin port over plain HTTP, 0 for a free one, and give its address; None: not at all."""
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
    """PUT switches a fault on, GET says how many calls it struck, DELETE switches it off."""

    async def put(request: web.Request) -> web.Response:
        switches.switch(*_place(request), await request.read())
        return web.Response(status=204)

    async def get(request: web.Request) -> web.Response:
        return web.json_response({"struck": switches.struck(*_place(request))})

    async def delete(request: web.Request) -> web.Response:
        switches.clear(*_place(request))
        return web.Response(status=204)

    application = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_explain])
    application.add_routes([web.put(PLACE, put), web.get(PLACE, get), web.delete(PLACE, delete)])
    return application


def _place(request: web.Request) -> tuple[str, str]:
    return request.match_info["owner"], request.match_info["endpoint"]


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer bad input with the reason, most of it with 400."""
    try:
        return await handler(request)
    except (ValueError, msgspec.DecodeError) as error:
        return web.json_response({"error": str(error)}, status=400)
    except web.HTTPException as error:
        return web.json_response({"error": error.reason}, status=error.status)
