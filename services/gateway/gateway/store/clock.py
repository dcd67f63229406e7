"""The database's clock, by which all gateways set deadlines and judge tokens."""

import time
from datetime import datetime, timedelta

import msgspec

from gateway.store.pool import Pool, database_time

DATABASE = "database"
READ_SECONDS = 1.5


class DatabaseTime(msgspec.Struct, frozen=True):
    """A time of the database's clock, and the monotonic time in seconds at which it was read."""

    said: datetime
    at: float

    @classmethod
    def just(cls, said: datetime) -> "DatabaseTime":
        """Return a database time that was read just now."""
        return cls(said, time.monotonic())

    def after(self, seconds: float) -> datetime:
        """Return the database's time the given seconds from now."""
        return self.said + timedelta(seconds=time.monotonic() - self.at + seconds)


async def database_clock(pool: Pool) -> float:
    """Return the database's time in seconds since the epoch; raises DatabaseUnavailable."""
    async with pool.transaction(READ_SECONDS) as connection:
        return (await database_time(connection)).timestamp()
