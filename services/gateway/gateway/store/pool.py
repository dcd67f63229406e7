"""The connection pool and how rows become structs."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, LiteralString, TypeVar

import msgspec
import psycopg
from psycopg.errors import (
    IdleInTransactionSessionTimeout,
    InsufficientPrivilege,
    TransactionTimeout,
    UndefinedColumn,
    UndefinedFunction,
    UndefinedObject,
    UndefinedTable,
)
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

Connection = psycopg.AsyncConnection[Any]
Row = TypeVar("Row")

MAX_CONNECTIONS = 16
CHECK_SECONDS = 1.0
# With waiting for a connection and for locks; a client has its answer within five seconds.
TRANSACTION_SECONDS = 4.0
READY_SECONDS = 1.5
# Of a pool that gave no connection in time, it is asked for so long whether the database answers.
FULL_SECONDS = 0.5
CLOSE_SECONDS = 0.5
# What the server holds every session to, so that a process that was stopped keeps no lock for longer.
SESSION = {
    "statement_timeout": "4s",
    "idle_in_transaction_session_timeout": "3s",
    "transaction_timeout": "5s",
    "client_connection_check_interval": "1s",
}
# A connection whose other end is gone is given up in seconds, not when TCP gives up.
ALIVE = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 6000}


AWAY = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    # It is read-only, has an error of its own, or a prepared statement that a migration has made useless.
    psycopg.InternalError,
    psycopg.NotSupportedError,
    IdleInTransactionSessionTimeout,
    TransactionTimeout,
    PoolTimeout,
    PoolClosed,
    TooManyRequests,
    TimeoutError,
)


# A table, a column, a function or a right that the database does not have, or not yet.
NOT_MIGRATED = (UndefinedTable, UndefinedColumn, UndefinedFunction, UndefinedObject, InsufficientPrivilege)


class DatabaseUnavailable(Exception):
    """PostgreSQL can not be reached or does not answer in time."""

    code = "database_unavailable"


class Overloaded(DatabaseUnavailable):
    """PostgreSQL answers, but every connection of the pool is in use, and stayed so."""

    code = "overloaded"


class NotStorable(Exception):
    """A value that the database does not take; the text is the kind of error, never the value."""


class _Connection(psycopg.AsyncConnection[Any]):
    """A connection that is closed when a statement is cancelled.

    psycopg would ask the server to cancel it and wait for its answer: ten seconds when the server hangs. The
    server notices the end of the connection within a second and rolls back.
    """

    async def cancel_safe(self, *, timeout: float = 0.0) -> None:  # noqa: ARG002, ASYNC109 - psycopg's signature
        self.pgconn.finish()


class Pool:
    """A bounded pool of connections that are checked before use."""

    def __init__(self, url: str, password: str) -> None:
        self._pool = _pool(url, password, 2, MAX_CONNECTIONS)
        self._probe = _pool(url, password, 1, 1)
        self._probing: asyncio.Task[bool] | None = None

    async def start(self) -> None:
        """Open the pool without waiting for the database."""
        await self._pool.open(wait=False)
        await self._probe.open(wait=False)

    async def stop(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(pool.close(timeout=CLOSE_SECONDS) for pool in (self._pool, self._probe)))

    @asynccontextmanager
    async def transaction(
        self, seconds: float = TRANSACTION_SECONDS, *, snapshot: bool = False
    ) -> AsyncIterator[Connection]:
        """Give a connection in a transaction that is committed at the end; a snapshot sees one moment only.

        Raises DatabaseUnavailable, also when all takes longer than this, Overloaded where the time went by
        before there was a connection, and NotStorable.
        """
        asked = time.monotonic()
        waited = None
        try:
            async with asyncio.timeout(seconds), self._pool.connection(seconds) as connection:
                waited = time.monotonic() - asked
                if snapshot:
                    await connection.execute("set transaction isolation level repeatable read, read only")
                try:
                    yield connection
                except (asyncio.CancelledError, psycopg.NotSupportedError):
                    await connection.close()  # to roll back may hang, and what is prepared may be useless
                    raise
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            raise NotStorable(type(error).__name__) from None
        except (*NOT_MIGRATED, *AWAY) as error:
            late = isinstance(error, PoolTimeout | TooManyRequests | TimeoutError)
            if late and (waited is None or waited > seconds / 2) and await self._answers():
                raise Overloaded("every connection is in use") from error
            raise DatabaseUnavailable(type(error).__name__) from error

    async def _answers(self) -> bool:
        """Tell whether the database answers at once; all who ask at the same moment share one question."""
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._probed())
        return await asyncio.shield(self._probing)

    async def _probed(self) -> bool:
        try:
            async with asyncio.timeout(FULL_SECONDS):
                return await self.ready()
        except (psycopg.Error, *AWAY):
            return False

    async def ready(self) -> bool:
        """Tell whether the database answers and can be written to.

        It is asked on a connection of its own: a pool that is busy is no database that is lost.
        """
        async with asyncio.timeout(READY_SECONDS), self._probe.connection(READY_SECONDS) as connection:
            rows = await connection.execute("select current_setting('transaction_read_only')")
            return await rows.fetchone() == ("off",)


def _pool(url: str, password: str, least: int, most: int) -> AsyncConnectionPool[Connection]:
    return AsyncConnectionPool(
        url,
        connection_class=_Connection,
        kwargs={
            **ALIVE,
            "password": password,
            "options": " ".join(f"-c {name}={value}" for name, value in SESSION.items()),
            "connect_timeout": 3,
            "application_name": "gateway",
        },
        min_size=least,
        max_size=most,
        timeout=TRANSACTION_SECONDS,
        max_waiting=1024,
        reconnect_timeout=2.0,
        check=_check,
        open=False,
    )


async def _check(connection: Connection) -> None:
    """Let the next connection be taken when this one does not answer at once; raises TimeoutError."""
    async with asyncio.timeout(CHECK_SECONDS):
        await AsyncConnectionPool.check_connection(connection)


async def fetch_one(
    connection: Connection, kind: type[Row], query: LiteralString, **values: Any
) -> Row | None:
    """Run a query that gives at most one row and make it a struct."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return msgspec.convert(await cursor.fetchone(), kind | None)


async def fetch_all(
    connection: Connection, kind: type[Row], query: LiteralString, **values: Any
) -> list[Row]:
    """Run a bounded query and make each row a struct."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return msgspec.convert(await cursor.fetchall(), list[kind])  # type: ignore[valid-type]  # a type at run time


async def database_time(connection: Connection) -> datetime:
    """Give the time of the database, which is the same for every gateway."""
    rows = await connection.execute("select clock_timestamp()")
    ((now,),) = await rows.fetchall()
    assert isinstance(now, datetime)  # noqa: S101 - a timestamptz
    return now


async def execute(connection: Connection, query: LiteralString, **values: Any) -> int:
    """Run a statement and give the number of rows it changed."""
    cursor = await connection.execute(query, values)
    return cursor.rowcount
