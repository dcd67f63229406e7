"""The database's clock: the one clock by which all gateways set deadlines and judge tokens."""

import time
from datetime import datetime, timedelta

import msgspec

from gateway.store.pool import Pool, database_time

DATABASE = "database"
READ_SECONDS = 1.5


class DatabaseTime(msgspec.Struct, frozen=True):
    """What the database's clock said at a monotonic time in seconds, which carries it on."""

    said: datetime
    at: float

    @classmethod
    def just(cls, said: datetime) -> "DatabaseTime":
        """Keep what the database said just now."""
        return cls(said, time.monotonic())

    def after(self, seconds: float) -> datetime:
        """Give the time that the database's clock shows so many seconds from now."""
        return self.said + timedelta(seconds=time.monotonic() - self.at + seconds)


async def database_clock(pool: Pool) -> float:
    """Ask for the time, seconds since the epoch; raises DatabaseUnavailable."""
    async with pool.transaction(READ_SECONDS) as connection:
        return (await database_time(connection)).timestamp()
