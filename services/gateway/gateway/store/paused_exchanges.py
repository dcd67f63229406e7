"""Exchanges that an operator has paused."""

from datetime import datetime

import msgspec

from gateway.store.pool import Connection, execute, fetch_all


class PausedExchange(msgspec.Struct, frozen=True):
    """An exchange for which the gateways refuse new syncs and keys."""

    exchange: str
    paused_at: datetime


async def pause(connection: Connection, exchange: str) -> None:
    """Pause an exchange; the time of an earlier pause stays."""
    await execute(
        connection,
        "insert into paused_exchanges (exchange) values (%(exchange)s) on conflict do nothing",
        exchange=exchange,
    )


async def resume(connection: Connection, exchange: str) -> None:
    """End the pause of an exchange."""
    await execute(connection, "delete from paused_exchanges where exchange = %(exchange)s", exchange=exchange)


async def find(connection: Connection) -> dict[str, datetime]:
    """Return the paused exchanges, and since when each is."""
    found = await fetch_all(connection, PausedExchange, "select exchange, paused_at from paused_exchanges")
    return {each.exchange: each.paused_at for each in found}
