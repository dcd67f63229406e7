"""Pauses of accounts, whose credential is not used, with their reasons.

A pause holds as long as its credential is the account's. Queries name their columns, because a later version
may add one.
"""

from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from gateway.rows.accounts import Account
from gateway.rows.pauses import Begun, Due, Ended, Pause, Stand
from gateway.store.pool import Connection, execute, fetch_all, fetch_one

# The pause that holds, if one does, as JSON.
PAUSE_JSON: LiteralString = """case when account_pauses.account_id is not null then json_build_object(
        'account_id', account_pauses.account_id, 'credential_id', account_pauses.credential_id,
        'reason', reason, 'rights', rights, 'paused_at', paused_at, 'destroyed_at', destroyed_at) end"""
OF_ACCOUNTS: LiteralString = """left join account_pauses on account_pauses.account_id = accounts.id
        and account_pauses.credential_id = accounts.credential_id"""


class _Kept(msgspec.Struct, frozen=True):
    """An account that is not deleted, and its pause if one holds."""

    id: UUID
    pause: Pause | None


class _Standing(Account, frozen=True, kw_only=True):
    """An account, and its pause if one holds."""

    pause: Pause | None


async def find(connection: Connection, account_ids: Sequence[UUID]) -> dict[UUID, Pause]:
    """Find the pauses that hold."""
    found = await fetch_all(
        connection,
        Pause,
        """select account_id, account_pauses.credential_id, reason, rights, paused_at, destroyed_at
           from account_pauses join accounts on accounts.id = account_pauses.account_id
               and accounts.credential_id = account_pauses.credential_id
           where account_pauses.account_id = any(%(ids)s)""",
        ids=list(account_ids),
    )
    return {pause.account_id: pause for pause in found}


async def find_standing(
    connection: Connection, user_id: UUID, account_id: UUID | None = None
) -> list[tuple[Account, Pause | None]]:
    """Find the accounts of a user, oldest first, or the one with this id, each with the pause that holds."""
    found = await fetch_all(
        connection,
        _Standing,
        f"""select accounts.*, {PAUSE_JSON} as pause from accounts {OF_ACCOUNTS}
            where accounts.user_id = %(user_id)s and accounts.deleted_at is null
                and (%(id)s::uuid is null or accounts.id = %(id)s) order by accounts.id""",  # noqa: S608 - constants
        user_id=user_id,
        id=account_id,
    )
    return [(each, each.pause) for each in found]


async def find_stands(connection: Connection, account_ids: Sequence[UUID]) -> dict[UUID, Stand]:
    """Find the states of accounts; an account that does not exist was deleted."""
    kept = await fetch_all(
        connection,
        _Kept,
        f"select accounts.id, {PAUSE_JSON} as pause from accounts {OF_ACCOUNTS} "  # noqa: S608 - constants
        "where accounts.id = any(%(ids)s) and accounts.deleted_at is null",
        ids=list(account_ids),
    )
    pauses = {each.id: each.pause for each in kept}
    return {each: Stand(pauses.get(each), each not in pauses) for each in account_ids}


async def begin(connection: Connection, begun: Sequence[Begun], verify_in: float) -> list[Pause]:
    """Pause locked accounts, verify them in the given seconds, and return the new pauses.

    A new pause replaces that of an earlier credential.
    """
    return await fetch_all(
        connection,
        Pause,
        """insert into account_pauses (account_id, credential_id, reason, rights, next_verify_at)
           select said.*, now() + make_interval(secs => %(seconds)s)
           from unnest(%(accounts)s::uuid[], %(credentials)s::uuid[], %(reasons)s::text[],
                       %(rights)s::jsonb[]) as said
           on conflict (account_id) do update
           set credential_id = excluded.credential_id, reason = excluded.reason, rights = excluded.rights,
               paused_at = excluded.paused_at, next_verify_at = excluded.next_verify_at, destroyed_at = null
           where account_pauses.credential_id <> excluded.credential_id
           returning account_id, credential_id, reason, rights, paused_at, destroyed_at""",
        accounts=[each.account_id for each in begun],
        credentials=[each.credential_id for each in begun],
        reasons=[each.reason for each in begun],
        rights=[Jsonb(each.rights) for each in begun],
        seconds=verify_in,
    )


async def claim_due(connection: Connection, exchanges: list[str], again_in: float, limit: int) -> list[Due]:
    """Claim pauses that are due to be verified for this gateway, and postpone their next try."""
    return await fetch_all(
        connection,
        Due,
        """with due as (
               select account_pauses.account_id from account_pauses
               join accounts on accounts.id = account_pauses.account_id
                   and accounts.credential_id = account_pauses.credential_id
               where next_verify_at <= now() and destroyed_at is null
                   and accounts.exchange = any(%(exchanges)s)
               order by next_verify_at limit %(limit)s for update of account_pauses skip locked)
           update account_pauses set next_verify_at = now() + make_interval(secs => %(seconds)s)
           from accounts
           where account_pauses.account_id in (select account_id from due)
               and accounts.id = account_pauses.account_id
           returning account_pauses.account_id, account_pauses.credential_id, accounts.exchange,
                     accounts.region, account_pauses.next_verify_at as claimed_until,
                     extract(epoch from now() - account_pauses.paused_at)::float8 as age""",
        exchanges=exchanges,
        limit=limit,
        seconds=again_in,
    )


async def postpone(connection: Connection, due: Due, verify_in: float) -> None:
    """Set the next verification of a key after a failed one.

    Unchanged if the key was replaced meanwhile, or a sync has set the time.
    """
    await execute(
        connection,
        """update account_pauses set next_verify_at = now() + make_interval(secs => %(seconds)s)
           where account_id = %(id)s and credential_id = %(credential_id)s
               and next_verify_at = %(claimed_until)s""",
        id=due.account_id,
        credential_id=due.credential_id,
        claimed_until=due.claimed_until,
        seconds=verify_in,
    )


async def change(
    connection: Connection, account_id: UUID, reason: str, rights: tuple[str, ...], verify_in: float
) -> Pause | None:
    """Change the reason of a locked account's pause, and set its next verification; returns the pause."""
    return await fetch_one(
        connection,
        Pause,
        """update account_pauses set reason = %(reason)s, rights = %(rights)s,
                  next_verify_at = now() + make_interval(secs => %(seconds)s)
           where account_id = %(id)s
           returning account_id, credential_id, reason, rights, paused_at, destroyed_at""",
        id=account_id,
        reason=reason,
        rights=Jsonb(rights),
        seconds=verify_in,
    )


async def set_destroyed(connection: Connection, account_id: UUID, stand_in: UUID) -> None:
    """Record that the secret of a locked, paused account was destroyed, and its stand-in."""
    await execute(
        connection,
        """update account_pauses set destroyed_at = now(), credential_id = %(stand_in)s
           where account_id = %(id)s""",
        id=account_id,
        stand_in=stand_in,
    )


async def end(connection: Connection, account_id: UUID) -> Pause | None:
    """End the pause of a locked account; returns the pause, None without one."""
    return await fetch_one(
        connection,
        Pause,
        """delete from account_pauses where account_id = %(id)s
           returning account_id, credential_id, reason, rights, paused_at, destroyed_at""",
        id=account_id,
    )


async def end_replaced(connection: Connection, limit: int) -> list[Ended]:
    """End pauses whose credential is no longer the account's; returns them, at most `limit`."""
    return await fetch_all(
        connection,
        Ended,
        """with replaced as (
               select account_pauses.account_id from account_pauses
               join accounts on accounts.id = account_pauses.account_id
               where accounts.credential_id is distinct from account_pauses.credential_id
               limit %(limit)s for update of account_pauses skip locked)
           delete from account_pauses using accounts
           where account_pauses.account_id in (select account_id from replaced)
               and accounts.id = account_pauses.account_id
           returning accounts.id as account_id, accounts.user_id, accounts.exchange, account_pauses.paused_at,
                     accounts.deleted_at""",
        limit=limit,
    )
