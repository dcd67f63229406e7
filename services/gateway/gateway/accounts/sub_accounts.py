"""Keeping the accounts of the sub-accounts that the key of their master lists."""

from datetime import UTC, datetime

import msgspec
import structlog
from uuid_utils.compat import uuid7

from contracts.exchanges import EXCHANGES
from contracts.syncs import SubAccount, SubAccountList
from gateway.accounts.listed import Plan, compare
from gateway.limits import MAX_ACCOUNTS
from gateway.rows.accounts import Account
from gateway.rows.sub_accounts import OWN_KEY, Child, LeftOut
from gateway.rows.syncs import Queued
from gateway.store import accounts, audit, credentials, sub_accounts
from gateway.store.audit import Action
from gateway.store.pool import Connection

log = structlog.get_logger()


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
