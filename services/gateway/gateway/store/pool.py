"""The connection pool, and the conversion of rows to structs."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from datetime import datetime
from typing import Any, LiteralString, Self, TypeVar

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
Seen = TypeVar("Seen")

MAX_CONNECTIONS = 16
CHECK_SECONDS = 1.0
# Includes waiting for a connection and for locks, so that a client gets a response within five seconds.
TRANSACTION_SECONDS = 4.0
READY_SECONDS = 1.5
# Timeout of the question whether the database answers, after the pool had no free connection in time.
FULL_SECONDS = 0.5
CLOSE_SECONDS = 0.5
# Settings that the server keeps; its timeouts end locks that a suspended process holds.
SESSION = {
    # Planning a statement of a sync anew costs the server more than running it.
    "plan_cache_mode": "force_generic_plan",
    "statement_timeout": "4s",
    "idle_in_transaction_session_timeout": "3s",
    "transaction_timeout": "5s",
    "client_connection_check_interval": "1s",
}
# Closes a connection with an unreachable peer in seconds, long before TCP's own timeout.
ALIVE = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 6000}
# The first statement on a connection of the pool, which also shows that the connection works.
BEGIN: LiteralString = "begin"
SNAPSHOT: LiteralString = "begin isolation level repeatable read, read only"
_first: ContextVar[LiteralString | None] = ContextVar("first", default=BEGIN)

AWAY = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    # A read-only database, an internal error, or a prepared statement that a migration invalidated.
    psycopg.InternalError,
    psycopg.NotSupportedError,
    IdleInTransactionSessionTimeout,
    TransactionTimeout,
    PoolTimeout,
    PoolClosed,
    TooManyRequests,
    TimeoutError,
)


# A table, column, function or privilege that the database lacks, or does not have yet.
NOT_MIGRATED = (UndefinedTable, UndefinedColumn, UndefinedFunction, UndefinedObject, InsufficientPrivilege)


class DatabaseUnavailable(Exception):
    """PostgreSQL can not be reached or does not answer in time."""

    code = "database_unavailable"


class Overloaded(DatabaseUnavailable):
    """PostgreSQL answers, but no connection of the pool became free in time."""

    code = "overloaded"


class NotStorable(Exception):
    """The database refused a value; the text is the kind of error, never the value."""


class _Connection(psycopg.AsyncConnection[Any]):
    """A connection that is closed when a statement is cancelled.

    psycopg would ask the server to cancel and wait for its response: ten seconds if the server hangs. The
    server notices the closed connection within a second and rolls back.
    """

    opened = 0.0

    @classmethod
    async def connect(  # type: ignore[override]  # the pool's connections have several passwords
        cls, conninfo: str = "", *, passwords: Sequence[str], **options: Any
    ) -> Self:
        """Connect with the first password that the server accepts; raises psycopg.OperationalError."""
        began = time.monotonic()
        *others, last = passwords
        for password in others:
            with suppress(psycopg.OperationalError):
                connection = await super().connect(conninfo, password=password, **options)
                break
        else:
            connection = await super().connect(conninfo, password=last, **options)
        connection.opened = began
        return connection

    async def cancel_safe(self, *, timeout: float = 0.0) -> None:  # noqa: ARG002, ASYNC109 - psycopg's signature
        self.pgconn.finish()


class Pool:
    """A bounded pool of connections, for which the server accepts one of the passwords.

    Where one connection is broken or does not answer at once, all that are as old are replaced: a server
    that restarted or moved has lost each of them.
    """

    def __init__(self, url: str, *passwords: str) -> None:
        self._pool = _pool(url, passwords, 2, MAX_CONNECTIONS, self._check)
        self._probe = _pool(url, passwords, 1, 1, _check)
        self._replaced = 0.0
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
        """Yield a connection in a transaction that commits at the end; a snapshot sees one moment only.

        Raises DatabaseUnavailable, also if it takes longer than `seconds`, Overloaded if no connection was
        free within them, and NotStorable.
        """
        waiting = _Waiting(seconds)
        first = SNAPSHOT if snapshot else BEGIN
        async with self._translated(waiting), self._lent(waiting, first) as connection:
            yield connection

    async def single(
        self,
        statement: Callable[[Connection], Awaitable[Seen]],
        seconds: float = TRANSACTION_SECONDS,
        *,
        waits: bool = False,
    ) -> Seen:
        """Run one statement that commits by itself and may run twice; raises the errors of `transaction`.

        It is repeated on another connection if the first one is broken or does not answer at once; a
        statement that `waits` for locks has its whole time.
        """
        waiting = _Waiting(seconds)
        async with self._translated(waiting):
            async with self._lent(waiting, None) as connection:
                try:
                    async with asyncio.timeout(None if waits else CHECK_SECONDS):
                        return await statement(connection)
                except (psycopg.OperationalError, TimeoutError):
                    if not connection.closed:
                        raise
                    await self._replace(connection)
            async with self._lent(waiting, BEGIN) as connection:
                return await statement(connection)

    async def _check(self, connection: _Connection) -> None:
        try:
            await _check(connection)
        except (*AWAY, psycopg.Error):
            await self._replace(connection)
            raise

    async def _replace(self, broken: _Connection) -> None:
        """Replace every connection, unless that was done since the broken one was opened.

        The pool alone would try one connection after the other, and pause for a second and more in between.
        """
        if broken.opened > self._replaced:
            self._replaced = time.monotonic()
            await self._pool.drain()

    @asynccontextmanager
    async def _lent(self, waiting: "_Waiting", first: LiteralString | None) -> AsyncIterator[_Connection]:
        token = _first.set(first)
        try:
            connection = await self._pool.getconn(waiting.seconds)
        finally:
            _first.reset(token)
        waiting.end()
        try:
            async with connection:  # commits or rolls back
                try:
                    yield connection
                except (asyncio.CancelledError, psycopg.NotSupportedError):
                    await connection.close()  # a rollback may hang; prepared statements may be invalid
                    raise
        finally:
            await self._pool.putconn(connection)

    @asynccontextmanager
    async def _translated(self, waiting: "_Waiting") -> AsyncIterator[None]:
        """Bound the time, and raise the errors of `transaction`."""
        try:
            async with asyncio.timeout(waiting.seconds):
                yield
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            raise NotStorable(type(error).__name__) from None
        except (*NOT_MIGRATED, *AWAY) as error:
            late = isinstance(error, PoolTimeout | TooManyRequests | TimeoutError)
            if late and waiting.was_long() and await self._answers():
                raise Overloaded("every connection is in use") from error
            raise DatabaseUnavailable(type(error).__name__) from error

    def connections(self) -> tuple[int, int, int]:
        """Return how many connections are used and idle, and how many transactions wait for one."""
        stats = self._pool.get_stats()
        size, idle = stats.get("pool_size", 0), stats.get("pool_available", 0)
        return size - idle, idle, stats.get("requests_waiting", 0)

    async def _answers(self) -> bool:
        """Return whether the database answers at once; concurrent callers share one query."""
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
        """Return whether the database answers and is writable.

        The query has a separate connection, because a busy pool does not mean that the database is down.
        """
        async with asyncio.timeout(READY_SECONDS), self._probe.connection(READY_SECONDS) as connection:
            rows = await connection.execute("select current_setting('transaction_read_only')")
            return await rows.fetchone() == ("off",)


def _pool(
    url: str,
    passwords: Sequence[str],
    least: int,
    most: int,
    check: Callable[[_Connection], Awaitable[None]],
) -> AsyncConnectionPool[_Connection]:
    return AsyncConnectionPool(
        url,
        connection_class=_Connection,
        kwargs={
            **ALIVE,
            "autocommit": True,  # `begin` is the check of a connection, too
            "passwords": passwords,
            "options": " ".join(f"-c {name}={value}" for name, value in SESSION.items()),
            "connect_timeout": 3,
            "application_name": "gateway",
        },
        min_size=least,
        max_size=most,
        timeout=TRANSACTION_SECONDS,
        max_waiting=1024,
        reconnect_timeout=2.0,
        check=check,
        open=False,
    )


async def _check(connection: Connection) -> None:
    """Run the first statement; raises TimeoutError without an answer at once, so the pool takes the next."""
    first = _first.get()
    if first is not None:
        async with asyncio.timeout(CHECK_SECONDS):
            await connection.execute(first)


class _Waiting:
    """How long a transaction waits for a connection, of its time of `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._asked = time.monotonic()
        self._waited: float | None = None

    def end(self) -> None:
        """Note that a connection became free."""
        self._waited = time.monotonic() - self._asked

    def was_long(self) -> bool:
        """Return whether no connection became free in the first half of the time."""
        return self._waited is None or self._waited > self.seconds / 2


async def fetch_one(
    connection: Connection, kind: type[Row], query: LiteralString, **values: Any
) -> Row | None:
    """Run a query with at most one row and return the row as a struct."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return msgspec.convert(await cursor.fetchone(), kind | None)


async def fetch_all(
    connection: Connection, kind: type[Row], query: LiteralString, **values: Any
) -> list[Row]:
    """Run a bounded query and return its rows as structs."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return msgspec.convert(await cursor.fetchall(), list[kind])  # type: ignore[valid-type]  # a type at run time


async def fetch_value(connection: Connection, query: LiteralString, **values: Any) -> Any:
    """Run a query with at most one row of one column and return the value; None without a row."""
    row = await (await connection.execute(query, values)).fetchone()
    return row[0] if row else None


async def database_time(connection: Connection) -> datetime:
    """Return the time of the database, which is the same for every gateway."""
    now: datetime = await fetch_value(connection, "select clock_timestamp()")
    return now


async def execute(connection: Connection, query: LiteralString, **values: Any) -> int:
    """Run a statement and return the number of changed rows."""
    cursor = await connection.execute(query, values)
    return cursor.rowcount
