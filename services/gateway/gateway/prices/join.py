"""A user's decision whether equal names at exchanges are one asset."""

import re
from uuid import UUID

import msgspec

from contracts.assets import DECIDED, DISTINCT
from gateway.errors import InvalidInput, NotFound, TooManyChoices
from gateway.portfolio.identity import Apart, Identity
from gateway.rows.assets import Names
from gateway.store import assets
from gateway.store.pool import Pool, database_time

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
MAX_CHOICES = 1000
TABLE_DECIDES = "Our table of assets decides about this name: it can not be joined or split."


class Named(msgspec.Struct, frozen=True):
    """Whether equal names are one asset for a user, whether the user decided so, and else why not."""

    asset: str
    joined: bool
    chosen: bool
    apart: Apart | None


async def find_name(pool: Pool, user_id: UUID, asset: str) -> Named:
    """Find the meaning of a name for a user; raises NotFound for a text that cannot be a name."""
    if not NAME.fullmatch(asset):
        raise NotFound
    async with pool.transaction() as connection:
        now = await database_time(connection)
        names = await assets.names_among(connection, user_id, [asset])
    return _named(asset, names, Identity(names, now))


async def decide(pool: Pool, user_id: UUID, asset: str, *, join: bool, most: int = MAX_CHOICES) -> None:
    """Join equal names, or split them; a repeated decision changes nothing.

    Raises InvalidInput where the table decides, NotFound, TooManyChoices.
    """
    if not NAME.fullmatch(asset):
        raise NotFound
    if asset in DECIDED:
        raise InvalidInput(TABLE_DECIDES)
    async with pool.transaction() as connection:
        now = await database_time(connection)
        names = await assets.names_among(connection, user_id, [asset])
        was_joined = Identity(names, now).is_one(asset)
        if names.choices and was_joined == join:
            return
        if not await assets.choose(connection, user_id, asset, (join, was_joined), most):
            raise TooManyChoices


def _named(asset: str, names: Names, identity: Identity) -> Named:
    joined = asset in DECIDED - DISTINCT or identity.is_one(asset)
    return Named(asset, joined, bool(names.choices), None if joined else identity.apart(asset))
