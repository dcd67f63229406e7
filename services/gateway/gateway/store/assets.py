"""Names of assets that two exchanges list, and users' decisions about them."""

from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

import msgspec

from gateway.rows.assets import Choice, Match, Names
from gateway.store.pool import Connection, execute, fetch_all, fetch_value

MATCHES_JSON: LiteralString = """coalesce(json_agg(json_build_object('asset', asset, 'first', first,
            'second', second, 'matched_at', matched_at, 'split_at', split_at)), '[]')"""
CHOICES_JSON: LiteralString = """coalesce(json_agg(json_build_object('asset', asset, 'joined', joined,
            'since', since, 'was_joined', was_joined)), '[]')"""
# All findings about the names that the query's user decided about or holds, as JSON.
NAMES_JSON: LiteralString = f"""json_build_object(
        'matches', (select {MATCHES_JSON} from asset_matches where asset in (
            select balances.asset from balances join accounts on accounts.id = account_id
            where user_id = %(user_id)s and deleted_at is null)),
        'choices', (select {CHOICES_JSON} from asset_choices where user_id = %(user_id)s))"""  # noqa: S608


class _Own(Choice, frozen=True, kw_only=True):
    """The choice of a user."""

    user_id: UUID


async def find_names(
    connection: Connection, user_ids: Sequence[UUID], assets: Sequence[str]
) -> dict[UUID, Names]:
    """Find the matches of some names, and the choices of users about any names."""
    matches = await fetch_all(
        connection,
        Match,
        """select asset, first, second, matched_at, split_at from asset_matches
           where asset = any(%(assets)s)""",
        assets=list(assets),
    )
    rows = await fetch_all(
        connection,
        _Own,
        "select user_id, asset, joined, since, was_joined from asset_choices where user_id = any(%(users)s)",
        users=list(user_ids),
    )
    return {user: Names(matches, [each for each in rows if each.user_id == user]) for user in set(user_ids)}


async def names_among(connection: Connection, user_id: UUID, assets: Sequence[str]) -> Names:
    """Find the matches of some names, and a user's choices about them."""
    found = await fetch_value(
        connection,
        f"""select json_build_object(
                'matches', (select {MATCHES_JSON} from asset_matches where asset = any(%(assets)s)),
                'choices', (select {CHOICES_JSON} from asset_choices
                    where user_id = %(user_id)s and asset = any(%(assets)s)))::text""",  # noqa: S608
        user_id=user_id,
        assets=list(assets),
    )
    return msgspec.json.decode(found, type=Names)


async def list_matches(connection: Connection) -> list[Match]:
    """Return the matches of all names; two exchanges share some thousands at most."""
    return await fetch_all(
        connection, Match, "select asset, first, second, matched_at, split_at from asset_matches"
    )


async def write_matches(connection: Connection, matches: Sequence[Match]) -> None:
    """Write the new findings of prices; earlier ones stay."""
    await execute(
        connection,
        """insert into asset_matches (asset, first, second, matched_at, split_at)
           select asset, first, second, matched_at, split_at from json_to_recordset(%(matches)s::json)
               as said (asset text, first text, second text, matched_at timestamptz, split_at timestamptz)
           order by asset, first, second
           on conflict (asset, first, second) do update set
               matched_at = coalesce(asset_matches.matched_at, excluded.matched_at),
               split_at = coalesce(asset_matches.split_at, excluded.split_at)""",
        matches=msgspec.json.encode(matches).decode(),
    )


async def choose(
    connection: Connection, user_id: UUID, asset: str, joined: tuple[bool, bool], most: int
) -> bool:
    """Write a user's decision about a name, one of `most`; returns False if it would be one too many.

    `joined` are the state now, and the state before.
    """
    now, before = joined
    written = await execute(
        connection,
        """insert into asset_choices (user_id, asset, joined, was_joined)
           select %(user_id)s::uuid, %(asset)s::text, %(joined)s::boolean, %(was_joined)s::boolean
           where (select count(*) from asset_choices where user_id = %(user_id)s and asset <> %(asset)s)
               < %(most)s
           on conflict (user_id, asset) do update set joined = excluded.joined,
               was_joined = excluded.was_joined, since = now()""",
        user_id=user_id,
        asset=asset,
        joined=now,
        was_joined=before,
        most=most,
    )
    return written == 1


async def forget_choices(connection: Connection, user_id: UUID) -> None:
    """Delete all decisions of a user."""
    await execute(connection, "delete from asset_choices where user_id = %(user_id)s", user_id=user_id)
