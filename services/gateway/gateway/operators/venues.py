"""Pausing and resuming exchanges, for all gateways at once."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import msgspec

from contracts.exchanges import EXCHANGES
from gateway.errors import ExchangePaused, NotFound
from gateway.rows.accounts import Account
from gateway.store import operators, paused_exchanges
from gateway.store.operators import Act, Acting
from gateway.store.pool import Connection, Pool

Change = Callable[[Connection, str], Awaitable[None]]


class ExchangeState(msgspec.Struct, frozen=True):
    """An exchange, and since when it is paused; null for one that takes syncs and keys."""

    key: str
    paused_at: datetime | None


async def pause(pool: Pool, acting: Acting, exchange: str) -> ExchangeState:
    """Pause an exchange: open syncs end as they would, new ones and keys are refused; raises NotFound."""
    return await _change(pool, acting, exchange, paused_exchanges.pause, Act.EXCHANGE_PAUSED)


async def resume(pool: Pool, acting: Acting, exchange: str) -> ExchangeState:
    """End the pause of an exchange; raises NotFound."""
    return await _change(pool, acting, exchange, paused_exchanges.resume, Act.EXCHANGE_RESUMED)


async def show_all(connection: Connection) -> tuple[ExchangeState, ...]:
    """Show every exchange of the catalogue."""
    paused = await paused_exchanges.find(connection)
    return tuple(ExchangeState(key, paused.get(key)) for key in EXCHANGES)


async def paused_since(pool: Pool) -> dict[str, datetime]:
    """Return the paused exchanges, and since when each is; raises DatabaseUnavailable."""
    async with pool.transaction() as connection:
        return await paused_exchanges.find(connection)


async def require_running(connection: Connection, exchange: str) -> None:
    """Raise ExchangePaused if an exchange is paused."""
    if exchange in await paused_exchanges.find(connection):
        raise _paused(exchange)


async def running(connection: Connection, listed: Sequence[Account]) -> list[Account]:
    """Return the accounts of exchanges that are not paused; raises ExchangePaused if that leaves none."""
    paused = await paused_exchanges.find(connection)
    left = [account for account in listed if account.exchange not in paused]
    if listed and not left:
        raise _paused(listed[0].exchange)
    return left


def _paused(exchange: str) -> ExchangePaused:
    return ExchangePaused(EXCHANGES[exchange].name if exchange in EXCHANGES else exchange)


async def _change(pool: Pool, acting: Acting, exchange: str, change: Change, act: Act) -> ExchangeState:
    if exchange not in EXCHANGES:
        raise NotFound("There is no such exchange: GET /exchanges lists them.")
    async with pool.transaction() as connection:
        await change(connection, exchange)
        await operators.record(connection, acting, act, exchange)
        return ExchangeState(exchange, (await paused_exchanges.find(connection)).get(exchange))
