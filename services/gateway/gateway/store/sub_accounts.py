"""Sub-accounts: the setting of their master, its last list, and their accounts."""

from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from contracts.faults import Code, fault_of
from contracts.syncs import SubAccountList
from gateway.rows.accounts import Account
from gateway.rows.sub_accounts import Child, LeftOut, ListState, Relations, Source
from gateway.store.pool import Connection, execute, fetch_all, fetch_value

# How an account of the query is read, as JSON.
SOURCE_JSON: LiteralString = """(select json_build_object(
            'credential_id', case when sub.account_id is null then accounts.credential_id
                else parent.credential_id end,
            'sub_account', case when sub.account_id is not null then json_build_object(
                'uid', accounts.exchange_uid, 'name', sub.name) end,
            'list_sub_accounts', exists (
                select from sub_account_lists where sub_account_lists.account_id = accounts.id))
        from (select) as one left join sub_accounts sub on sub.account_id = accounts.id
        left join accounts parent on parent.id = sub.parent_id)"""
_CHILDREN: LiteralString = """select sub_accounts.account_id, parent_id, accounts.exchange_uid as uid,
        sub_accounts.name, gone_since
    from sub_accounts join accounts on accounts.id = sub_accounts.account_id"""


class _Read(msgspec.Struct, frozen=True):
    id: UUID
    source: Source


async def find_sources(connection: Connection, account_ids: Sequence[UUID]) -> dict[UUID, Source]:
    """Find how accounts are read."""
    found = await fetch_all(
        connection,
        _Read,
        f"select id, {SOURCE_JSON} as source from accounts where id = any(%(ids)s)",  # noqa: S608 - constants
        ids=list(account_ids),
    )
    return {each.id: each.source for each in found}


async def find_relations(connection: Connection, account_ids: Sequence[UUID]) -> dict[UUID, Relations]:
    """Find the parents of accounts, and the lists of their sub-accounts."""
    children = await fetch_all(
        connection,
        Child,
        _CHILDREN + " where sub_accounts.account_id = any(%(ids)s)",
        ids=list(account_ids),
    )
    listings = await fetch_all(
        connection,
        ListState,
        """select account_id, listed_at, error_code, more, unreadable, left_out from sub_account_lists
           where account_id = any(%(ids)s)""",
        ids=list(account_ids),
    )
    found = {each.account_id: Relations(child=each) for each in children}
    return found | {each.account_id: Relations(listing=each) for each in listings}


async def list_children(connection: Connection, parent_id: UUID) -> list[Child]:
    """List the accounts of a parent's sub-accounts, oldest first."""
    return await fetch_all(
        connection,
        Child,
        _CHILDREN + " where parent_id = %(id)s order by sub_accounts.account_id",
        id=parent_id,
    )


async def find_child(connection: Connection, account_id: UUID) -> Child | None:
    """Find the parent of an account; None if it has a key of its own."""
    return (await find_relations(connection, [account_id])).get(account_id, Relations()).child


async def list_orphans(connection: Connection, limit: int) -> list[UUID]:
    """List accounts of sub-accounts whose parent a gateway of the version before has deleted."""
    rows = await connection.execute("select account_id from sub_accounts where orphaned limit %s", [limit])
    return [row[0] for row in await rows.fetchall()]


async def turn_on(connection: Connection, account_id: UUID) -> None:
    """Have the syncs of a locked account list its sub-accounts."""
    await execute(
        connection,
        "insert into sub_account_lists (account_id) values (%(id)s) on conflict do nothing",
        id=account_id,
    )


async def turn_off(connection: Connection, account_id: UUID) -> None:
    """Have the syncs of a locked account list no sub-accounts."""
    await execute(connection, "delete from sub_account_lists where account_id = %(id)s", id=account_id)


async def begin_list(connection: Connection, account_id: UUID, number: int) -> bool:
    """Note that the sync with a number has a list; False if the setting is off, or a later sync had one."""
    return (
        await execute(
            connection,
            """update sub_account_lists set sync_number = %(number)s
               where account_id = %(id)s and sync_number < %(number)s""",
            id=account_id,
            number=number,
        )
        == 1
    )


async def keep_list(
    connection: Connection, account_id: UUID, listed: SubAccountList, left_out: Sequence[LeftOut]
) -> None:
    """Keep what a list said."""
    await execute(
        connection,
        """update sub_account_lists set listed_at = now(), error_code = null, more = %(more)s,
               unreadable = %(unreadable)s, left_out = %(left_out)s where account_id = %(id)s""",
        id=account_id,
        more=listed.more,
        unreadable=listed.unreadable,
        left_out=Jsonb(msgspec.to_builtins(left_out)),
    )


async def keep_failure(connection: Connection, account_id: UUID, code: str) -> None:
    """Keep why a list was not read; what the one before said stays."""
    await execute(
        connection,
        "update sub_account_lists set error_code = %(code)s where account_id = %(id)s",
        id=account_id,
        code=code,
    )


async def find_connected(connection: Connection, parent: Account, uids: Sequence[str]) -> set[str]:
    """Return the uids that belong to connected accounts of the parent's user, whichever key reads them."""
    rows = await connection.execute(
        """select exchange_uid from accounts where user_id = %s and exchange = %s
               and exchange_uid = any(%s) and deleted_at is null""",
        [parent.user_id, parent.exchange, list(uids)],
    )
    return {uid for (uid,) in await rows.fetchall()}


async def insert_child(connection: Connection, account: Account, child: Child, unread: Sequence[str]) -> bool:
    """Insert the account of a sub-account, due within a minute; False if its uid is connected meanwhile.

    `unread` are the wallets that only a key of its own reads. The credential of the account must exist.
    """
    inserted = await execute(
        connection,
        """insert into accounts (id, user_id, exchange, region, name, credential_id, exchange_uid, master_uid,
                                 permissions, ip_bound, api_key_hint)
           values (%(id)s, %(user_id)s, %(exchange)s, %(region)s, %(name)s, %(credential_id)s,
                   %(exchange_uid)s, %(master_uid)s, %(permissions)s, %(ip_bound)s, %(api_key_hint)s)
           on conflict (user_id, exchange, exchange_uid) where deleted_at is null do nothing""",
        **{**msgspec.structs.asdict(account), "permissions": list(account.permissions)},
    )
    if not inserted:
        return False
    code = Code.NEEDS_OWN_KEY
    await execute(
        connection,
        """with soon as (
               update schedule set next_at = now() + interval '1 minute' * random()
               where account_id = %(id)s),
           unread as (
               insert into account_wallets (account_id, wallet, sync_number, error_code, error)
               select %(id)s, wallet, 0, %(code)s, %(words)s from unnest(%(unread)s::text[]) as wallet)
           insert into sub_accounts (account_id, parent_id, name) values (%(id)s, %(parent)s, %(name)s)""",
        id=account.id,
        parent=child.parent_id,
        name=child.name,
        unread=list(unread),
        code=code,
        words=fault_of(code).words,
    )
    return True


async def rename(connection: Connection, child: Child) -> None:
    """Keep the exchange's new name of a sub-account."""
    await execute(
        connection,
        "update sub_accounts set name = %(name)s where account_id = %(id)s",
        id=child.account_id,
        name=child.name,
    )


async def set_gone(connection: Connection, account_ids: Sequence[UUID]) -> None:
    """Mark accounts whose sub-account a list no longer names; their wallets are stale from now on."""
    code = Code.SUB_ACCOUNT_GONE
    await execute(
        connection,
        """with gone as (
               update sub_accounts set gone_since = now()
               where account_id = any(%(ids)s) and gone_since is null)
           update account_wallets set error_code = %(code)s, error = %(words)s,
               detail = case when jsonb_typeof(detail) = 'object' then detail || '{"incomplete": false}'
                   else detail end
           where account_id = any(%(ids)s) and as_of is not null and error_code is distinct from %(code)s""",
        ids=list(account_ids),
        code=code,
        words=fault_of(code).words,
    )


async def set_back(connection: Connection, account_ids: Sequence[UUID]) -> None:
    """Mark accounts whose sub-account is listed again; the next sync reads them."""
    await execute(
        connection,
        """update sub_accounts set gone_since = null
           where account_id = any(%(ids)s) and gone_since is not null""",
        ids=list(account_ids),
    )


async def try_lock(connection: Connection, account_id: UUID) -> bool:
    """Lock an account unless another transaction holds it; whoever holds other accounts must not wait."""
    found = await fetch_value(
        connection, "select 1 from accounts where id = %(id)s for update skip locked", id=account_id
    )
    return found is not None
