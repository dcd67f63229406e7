"""Keeping the accounts of the sub-accounts that the key of their master lists."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import structlog
from uuid_utils.compat import uuid7

from contracts.exchanges import EXCHANGES
from contracts.exchanges.types import VALUE
from contracts.syncs import SubAccount, SubAccountList
from gateway.errors import InvalidInput
from gateway.limits import MAX_ACCOUNTS
from gateway.rows.accounts import Account
from gateway.rows.sub_accounts import OWN_KEY, Child, LeftOut
from gateway.rows.syncs import Queued
from gateway.store import accounts, audit, credentials, sub_accounts
from gateway.store.audit import Action
from gateway.store.pool import Connection

# They share the limits of the exchange for the key of their master.
MOST_OF_ONE = 50
UNUSABLE_NAME = "unusable_name"
TOO_MANY, TOO_MANY_ACCOUNTS = "too_many_sub_accounts", "too_many_accounts"

log = structlog.get_logger()


class Plan(msgspec.Struct, frozen=True):
    """What a list changes: accounts to add, new names, sub-accounts that are gone or back, and the rest."""

    new: tuple[SubAccount, ...]
    renamed: tuple[Child, ...]
    gone: tuple[UUID, ...]
    back: tuple[UUID, ...]
    left_out: tuple[LeftOut, ...]


async def keep_list(connection: Connection, sync: Queued, listed: SubAccountList) -> None:
    """Add and mark the accounts of sub-accounts as a sync of their locked master lists them.

    A list that was not read changes no account. The setting may have been turned off meanwhile.
    """
    if not await sub_accounts.begin_list(connection, sync.account_id, sync.number):
        return
    if listed.error_code is not None:
        await sub_accounts.keep_failure(connection, sync.account_id, listed.error_code)
        return
    parent = await accounts.find_account(connection, sync.user_id, sync.account_id)
    if parent is None:
        return
    children = await sub_accounts.list_children(connection, parent.id)
    uids = [each.uid for each in listed.sub_accounts]
    connected = await sub_accounts.find_connected(connection, parent, uids)
    room = MAX_ACCOUNTS - await accounts.count_accounts(connection, parent.user_id)
    plan = compare(listed, children, connected, room)
    taken = await _apply(connection, parent, plan)
    left_out = (*plan.left_out, *(LeftOut(each.uid, each.name, OWN_KEY) for each in taken))
    await sub_accounts.keep_list(connection, parent.id, listed, left_out)


async def _apply(connection: Connection, parent: Account, plan: Plan) -> list[SubAccount]:
    """Make the changes of a list; returns the sub-accounts that the user has connected meanwhile."""
    taken = [each for each in plan.new if not await _add(connection, parent, each)]
    for child in plan.renamed:
        await sub_accounts.rename(connection, child)
    if plan.gone:
        await sub_accounts.set_gone(connection, plan.gone)
    if plan.back:
        await sub_accounts.set_back(connection, plan.back)
    if plan.new or plan.gone or plan.back:
        counts = {"new": len(plan.new), "gone": len(plan.gone), "back": len(plan.back)}
        log.info("sub_accounts_changed", account_id=parent.id, **counts)
    return taken


def compare(listed: SubAccountList, children: Sequence[Child], connected: Collection[str], room: int) -> Plan:
    """Return what a list changes; `connected` are the listed uids that the user has accounts for.

    `room` is how many accounts the user may add. Pure.
    """
    known = {child.uid: child for child in children}
    room = min(room, MOST_OF_ONE - len(known))
    reason = TOO_MANY if room == MOST_OF_ONE - len(known) else TOO_MANY_ACCOUNTS
    named = {each.uid: each for each in listed.sub_accounts}
    new: list[SubAccount] = []
    left_out: list[LeftOut] = []
    for each in named.values():
        if each.uid in known:
            continue
        why = _why_left_out(each, connected, reason if len(new) >= room else None)
        if why is None:
            new.append(each)
        else:
            left_out.append(LeftOut(each.uid, each.name, why))
    usable = {uid: each.name for uid, each in named.items() if VALUE.fullmatch(each.name)}
    renamed = [
        msgspec.structs.replace(child, name=usable[uid])
        for uid, child in known.items()
        if usable.get(uid, child.name) != child.name
    ]
    missing = [child for uid, child in known.items() if listed.whole and uid not in named]
    gone = [child.account_id for child in missing if child.gone_since is None]
    back = [child.account_id for uid, child in known.items() if child.gone_since and uid in named]
    return Plan(tuple(new), tuple(renamed), tuple(gone), tuple(back), tuple(left_out))


def check_lists(account: Account, child: Child | None) -> None:
    """Raise InvalidInput unless the key of an account can list sub-accounts."""
    exchange = EXCHANGES[account.exchange]
    if child is not None or account.exchange_uid != account.master_uid:
        raise InvalidInput(
            "Only the key of a master account lists sub-accounts, and this account is a sub-account. Set "
            "`sub_accounts` of its master account."
        )
    if not exchange.sub_account_wallets:
        raise InvalidInput(f"We can not list sub-accounts of {exchange.name}: leave `sub_accounts` out.")


def _why_left_out(each: SubAccount, connected: Collection[str], full: str | None) -> str | None:
    if each.uid in connected:
        return OWN_KEY
    return full if VALUE.fullmatch(each.name) else UNUSABLE_NAME


async def _add(connection: Connection, parent: Account, listed: SubAccount) -> bool:
    """Add the account of a sub-account; False if the user has connected it meanwhile."""
    stand_in, child_id = uuid7(), uuid7()
    account = msgspec.structs.replace(
        parent,
        id=child_id,
        name=listed.name,
        credential_id=stand_in,
        exchange_uid=listed.uid,
        created_at=datetime.now(UTC),
    )
    exchange = EXCHANGES[parent.exchange]
    unread = [each for each in exchange.covered_wallets if each not in exchange.sub_account_wallets]
    await credentials.insert_stand_in(connection, stand_in, parent.user_id, parent.exchange)
    child = Child(child_id, parent.id, listed.uid, listed.name)
    if not await sub_accounts.insert_child(connection, account, child, unread):
        await credentials.delete_stand_in(connection, stand_in)
        return False
    await audit.record(
        connection, Action.ACCOUNT_CONNECTED, parent.user_id, child_id, parent_id=str(parent.id)
    )
    return True
