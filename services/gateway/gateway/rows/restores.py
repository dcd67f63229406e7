"""Restores of the database from a backup."""

from datetime import datetime, timedelta

import msgspec

# A sync that read before the moment of a backup may have been recorded after it.
SETTLED = timedelta(minutes=5)


class Restore(msgspec.Struct, frozen=True):
    """The database went back to `database_at`, and services used it again from `restored_at` on."""

    restored_at: datetime
    database_at: datetime

    def older(self, state_at: datetime | None) -> datetime | None:
        """Return `restored_at` for a state that is older: the restore may have lost a newer one."""
        return self.restored_at if state_at is not None and state_at < self.restored_at else None

    def may_have_lost(self, time: datetime, confirmed_at: datetime) -> bool:
        """Return whether a state of a time may be older than what was shown of that time before.

        It is if the restore went back to before the time, and no sync has confirmed the state since.
        """
        return time > self.database_at - SETTLED and confirmed_at < self.restored_at

    def open(self, requested_at: datetime, finished_at: datetime | None) -> datetime | None:
        """Return `restored_at` for a sync that was open then: it may have had an outcome that is lost."""
        was_open = requested_at <= self.database_at and (
            finished_at is None or finished_at > self.database_at
        )
        return self.restored_at if was_open else None
