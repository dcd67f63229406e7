"""Keeping what a sync read of each wallet: no number looks newer, smaller or more complete than it is."""

from datetime import datetime, timedelta

import msgspec

from contracts.faults import Code, fault_of
from contracts.syncs import READ, Verdict, WalletRead
from contracts.values import Balance
from gateway.losses import Losses, Moment, judge_losses
from gateway.store import balances
from gateway.store.balances import Detail, HeldList, StoredBalance, StoredWallet
from gateway.store.pool import Connection
from gateway.store.syncs import Sync
from gateway.verdicts import difference_text, unreadable_rows

MAX_NAMED = 20


async def keep(
    connection: Connection, sync: Sync, read: WalletRead, recorded_at: datetime, patience: timedelta
) -> WalletRead:
    """Keep a wallet as a sync read it, and give the read as it counts for the sync.

    The account is locked. A list that lacks assets without a confirmation is kept beside the old one, which
    stays and is stale; the wallet then counts as incomplete. What a later sync has written stays.
    """
    if read.verdict is Verdict.NOT_COVERED:
        return read
    stored = await balances.find_wallet(connection, sync.account_id, read.wallet)
    before = stored or StoredWallet(read.wallet, None, None, None, None)
    if before.sync_number >= sync.number:
        return read
    if read.verdict not in READ:
        await balances.write_wallet(connection, sync.account_id, _unread(before, sync.number, read))
        return read
    old = await balances.list_balances(connection, sync.account_id, read.wallet)
    held = [balance.asset for balance in old if balance.total or balance.borrowed]
    moment = Moment(sync.requested_at, recorded_at, patience)
    losses = judge_losses(held, read, before.known.missing, moment)
    if losses.missing is None:
        await _accept(connection, sync, read, before, old)
        return read
    return await _hold_back(connection, sync, read, before, losses)


async def _accept(
    connection: Connection, sync: Sync, read: WalletRead, before: StoredWallet, old: list[StoredBalance]
) -> None:
    """Put a list in the place of the old one; an asset whose row could not be read keeps its amount."""
    wallet = StoredWallet(
        read.wallet,
        read.as_of,
        read.total_check,
        read.error_code,
        read.error,
        sync.number,
        _detail(sync.number, read, incomplete=read.verdict is Verdict.INCOMPLETE),
    )
    unreadable = {row.asset for row in read.unreadable} - {each.asset for each in read.balances or ()}
    stale = [
        msgspec.structs.replace(balance, stale_as_of=balance.stale_as_of or before.as_of)
        for balance in old
        if balance.asset in unreadable
    ]
    listed = [_stored(read.wallet, balance) for balance in read.balances or ()]
    await balances.write_wallet(connection, sync.account_id, wallet)
    await balances.replace_balances(connection, sync.account_id, read.wallet, [*listed, *stale])


async def _hold_back(
    connection: Connection, sync: Sync, read: WalletRead, before: StoredWallet, losses: Losses
) -> WalletRead:
    """Keep a list beside the old one, which stays but for what is gone, and tell which assets are missing."""
    assets = sorted(losses.missing.assets) if losses.missing else []
    told = ", ".join(assets[:MAX_NAMED]) + (" and more" if len(assets) > MAX_NAMED else "")
    error = f"{fault_of(Code.UNCONFIRMED_LOSS).words} Missing: {told}."
    assert read.as_of is not None  # noqa: S101 - a wallet that was read has a time
    detail = msgspec.structs.replace(
        _detail(sync.number, read),
        held=HeldList(read.as_of, read.balances or ()),
        missing=losses.missing,
    )
    wallet = msgspec.structs.replace(
        before, sync_number=sync.number, error_code=Code.UNCONFIRMED_LOSS, error=error, detail=detail
    )
    await balances.write_wallet(connection, sync.account_id, wallet)
    await balances.delete_balances(connection, sync.account_id, read.wallet, losses.gone)
    return msgspec.structs.replace(
        read, verdict=Verdict.INCOMPLETE, error_code=Code.UNCONFIRMED_LOSS, error=error
    )


def _unread(before: StoredWallet, number: int, read: WalletRead) -> StoredWallet:
    """Say why a wallet was not read, and keep what is there as stale."""
    known = before.known
    detail = msgspec.structs.replace(
        known,
        number=number,
        incomplete=False,
        exchange_code=read.exchange_code,
        endpoint=read.endpoint,
    )
    return msgspec.structs.replace(
        before, sync_number=number, error_code=read.error_code, error=read.error, detail=detail
    )


def _detail(number: int, read: WalletRead, *, incomplete: bool = False) -> Detail:
    return Detail(
        number,
        incomplete=incomplete,
        unreadable_rows=read.unreadable_count,
        unreadable=unreadable_rows(read),
        difference_usd=difference_text(read),
        reported_at=read.reported_at,
        exchange_code=read.exchange_code,
        endpoint=read.endpoint,
    )


def _stored(wallet: str, balance: Balance) -> StoredBalance:
    return StoredBalance(**msgspec.structs.asdict(balance), wallet=wallet)
