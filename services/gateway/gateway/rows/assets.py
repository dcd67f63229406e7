"""The findings about equal names at two exchanges, and the decisions of users about them."""

from datetime import datetime

import msgspec


class Match(msgspec.Struct, frozen=True):
    """Two exchanges that list a name which the table of assets does not have; `first` is before `second`.

    `matched_at` is when both prices were near each other for the first time, and `split_at` when they were
    not; once split, they stay split.
    """

    asset: str
    first: str
    second: str
    matched_at: datetime | None = None
    split_at: datetime | None = None

    def is_one(self, time: datetime) -> bool:
        """Return whether both counted as one asset at a time."""
        is_matched = self.matched_at is not None and self.matched_at <= time
        return is_matched and not self.is_split(time)

    def is_split(self, time: datetime) -> bool:
        """Return whether both counted as two assets at a time because their prices differed."""
        return self.split_at is not None and self.split_at <= time


class Choice(msgspec.Struct, frozen=True):
    """A user's decision that equal names are one asset, or are not; `was_joined` is the state before."""

    asset: str
    joined: bool
    since: datetime
    was_joined: bool

    def at(self, time: datetime) -> bool:
        """Return whether the names counted as one asset at a time."""
        return self.joined if self.since <= time else self.was_joined


class Names(msgspec.Struct, frozen=True):
    """All findings and decisions about a user's names that the table does not have."""

    matches: list[Match] = []
    choices: list[Choice] = []
