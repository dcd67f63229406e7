"""Changing an account: its name, how often the schedule syncs it, and whether it lists sub-accounts."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec

from gateway.accounts.listed import check_lists
from gateway.accounts.names import checked_name
from gateway.errors import InvalidInput, NotFound
from gateway.rows.accounts import Account
from gateway.rows.pauses import Pause
from gateway.rows.schedules import Schedule
from gateway.rows.sub_accounts import Relations
from gateway.store import accounts, audit, pauses, schedules, sub_accounts
from gateway.store.audit import Action
from gateway.store.pool import Connection, Pool
from gateway.syncs.pace import spread


class Changes(msgspec.Struct, frozen=True):
    """The changes of an account; a field that is not set stays.

    `sync_interval` is in seconds; None turns the schedule off. Without `sub_accounts`, the accounts of its
    sub-accounts are deleted.
    """

    name: str | msgspec.UnsetType = msgspec.UNSET
    sync_interval: int | msgspec.UnsetType | None = msgspec.UNSET
    sub_accounts: bool | msgspec.UnsetType = msgspec.UNSET


Drop = Callable[[Connection, UUID], Awaitable[None]]


class Changed(msgspec.Struct, frozen=True):
    """An account as changed, with its pause if it has one, its schedule and its relations."""

    account: Account
    pause: Pause | None
    schedule: Schedule | None
    relations: Relations = Relations()


async def change(
    pool: Pool, user_id: UUID, account_id: UUID, changes: Changes, drop: Drop | None = None
) -> Changed:
    """Change an account of a user; raises InvalidInput and NotFound.

    `drop` deletes the accounts of sub-accounts that are no longer to be listed.
    """
    if changes == Changes():
        raise InvalidInput(
            "Send a `name`, a `sync_interval` or `sub_accounts`: this request changes nothing."
        )
    name = msgspec.UNSET if changes.name is msgspec.UNSET else checked_name(changes.name)
    async with pool.transaction() as connection:
        account = await accounts.lock_account(connection, account_id)
        if account is None or account.user_id != user_id or account.deleted_at is not None:
            raise NotFound
        if name is not msgspec.UNSET:
            account = await _rename(connection, account, name)
        if changes.sync_interval is not msgspec.UNSET:
            await _set_interval(connection, account, changes.sync_interval)
        if changes.sub_accounts is not msgspec.UNSET:
            await _set_sub_accounts(connection, account, changes.sub_accounts, drop)
        related = await sub_accounts.find_relations(connection, [account_id])
        paused = await pauses.find(connection, [account_id])
        found = await schedules.find(connection, [account_id])
    relations = related.get(account_id, Relations())
    return Changed(account, paused.get(account_id), found.get(account_id), relations)


async def _rename(connection: Connection, account: Account, name: str) -> Account:
    renamed = await accounts.rename(connection, account.user_id, account.id, name)
    if renamed is None:
        raise NotFound
    await audit.record(connection, Action.ACCOUNT_RENAMED, account.user_id, account.id)
    return renamed


async def _set_interval(connection: Connection, account: Account, seconds: int | None) -> None:
    wait = None if seconds is None else spread(seconds)
    await schedules.set_interval(connection, account.id, seconds, wait)
    await audit.record(connection, Action.ACCOUNT_SCHEDULED, account.user_id, account.id, seconds=seconds)


async def _set_sub_accounts(connection: Connection, account: Account, on: bool, drop: Drop | None) -> None:  # noqa: FBT001 - the value of the setting
    check_lists(account, await sub_accounts.find_child(connection, account.id))
    if on:
        await sub_accounts.turn_on(connection, account.id)
    else:
        await sub_accounts.turn_off(connection, account.id)
        if drop is not None:
            await drop(connection, account.id)
    await audit.record(connection, Action.SUB_ACCOUNTS_SET, account.user_id, account.id, listed=on)
