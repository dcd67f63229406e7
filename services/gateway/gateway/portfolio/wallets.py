"""Judging the reads of wallets: no number looks newer, smaller or more complete than it is. Pure."""

from datetime import timedelta

import msgspec

from contracts.faults import Code, fault_of
from contracts.syncs import LEFT_OUT, READ, Verdict, WalletRead
from contracts.values import Balance
from gateway.portfolio.emptiness import checked
from gateway.portfolio.losses import Moment, judge_losses
from gateway.portfolio.verdicts import read_detail
from gateway.rows.balances import Detail, HeldList, Missing, StoredBalance, StoredWallet
from gateway.rows.syncs import Queued

MAX_NAMED = 20


class Kept(msgspec.Struct, frozen=True):
    """A read as it counts for its sync, and the new wallet row and list; None if unchanged."""

    read: WalletRead
    wallet: StoredWallet | None = None
    listed: list[StoredBalance] | None = None


def judge(
    sync: Queued,
    read: WalletRead,
    before: StoredWallet | None,
    old: list[StoredBalance],
    patience: timedelta,
) -> Kept:
    """Decide how a sync's read changes a wallet; `before` is the stored wallet, `old` the stored list.

    A list that lacks assets without a confirmation is stored beside the old one, which stays and is stale.
    The read then counts as incomplete.
    Where a part of the wallet was not read, the assets that the list lacks keep their amounts, as stale.
    """
    number, before = sync.number, before or StoredWallet(read.wallet, None, None, None, None)
    if before.sync_number >= number:
        return Kept(read)
    read = checked(sync, read, before, old)
    if read.verdict in LEFT_OUT:
        return Kept(read)
    if read.verdict not in READ:
        return Kept(read, _unread(number, read, before))
    stays = _perhaps_unread(read, before, old)
    held = [each.asset for each in old if (each.total or each.borrowed) and each.asset not in stays]
    moment = Moment(sync.requested_at, sync.now, patience)
    losses = judge_losses(held, read, before.known.missing, moment)
    if losses.missing is None:
        return Kept(read, _accepted(number, read), _list(read, before, old, stays))
    told = _told(read, losses.missing)
    if losses.released:
        wallet = _accepted(number, told, losses.missing)
        return Kept(told, wallet, _list(told, before, old, stays | losses.missing.assets.keys()))
    rest = [balance for balance in old if balance.asset not in losses.gone]
    return Kept(told, _held_back(number, told, before, losses.missing), rest if losses.gone else None)


def _accepted(number: int, read: WalletRead, missing: Missing | None = None) -> StoredWallet:
    incomplete = read.verdict is Verdict.INCOMPLETE
    detail = Detail(
        number,
        incomplete=incomplete,
        missing=missing,
        unread_parts=read.unread_parts,
        prices=read.prices,
        **read_detail(read).shared(),
    )
    return StoredWallet(
        read.wallet, read.as_of, read.total_check, read.error_code, read.error, number, detail
    )


def _list(
    read: WalletRead, before: StoredWallet, old: list[StoredBalance], missing: frozenset[str] = frozenset()
) -> list[StoredBalance]:
    """Return the list to store; assets that are missing or unreadable keep their amount, as stale."""
    listed = [_stored(read.wallet, balance) for balance in read.balances or ()]
    unreadable = {row.asset for row in read.unreadable} - {balance.asset for balance in listed}
    stale = [
        msgspec.structs.replace(balance, stale_as_of=balance.stale_as_of or before.as_of)
        for balance in old
        if balance.asset in unreadable | missing
    ]
    return [*listed, *stale]


def _perhaps_unread(read: WalletRead, before: StoredWallet, old: list[StoredBalance]) -> frozenset[str]:
    """Return the assets that a list lacks and that may be in a part of the wallet that was not read.

    If the part was not read for the old list either, only the assets that were stale then may be in it.
    """
    if not read.unread_parts:
        return frozenset()
    listed = {each.asset for each in read.balances or ()}
    known = set(read.unread_parts) <= set(before.known.unread_parts)
    return frozenset(
        each.asset for each in old if each.asset not in listed and (each.stale_as_of or not known)
    )


def _told(read: WalletRead, missing: Missing) -> WalletRead:
    """Return an incomplete read whose error names the missing assets."""
    assets = sorted(missing.assets)
    named = ", ".join(assets[:MAX_NAMED]) + (" and more" if len(assets) > MAX_NAMED else "")
    error = f"{fault_of(Code.UNCONFIRMED_LOSS).words} Missing: {named}."
    return msgspec.structs.replace(
        read, verdict=Verdict.INCOMPLETE, error_code=Code.UNCONFIRMED_LOSS, error=error
    )


def _held_back(number: int, told: WalletRead, before: StoredWallet, missing: Missing) -> StoredWallet:
    assert told.as_of is not None  # noqa: S101 - reads have a time
    held = HeldList(told.as_of, told.balances or (), told.total_check, told.unreadable_count)
    # Details of rows and totals stay those of the list that is shown.
    shown = msgspec.structs.replace(before.known, number=number, incomplete=False)
    detail = msgspec.structs.replace(shown, held=held, missing=missing)
    return msgspec.structs.replace(
        before, sync_number=number, error_code=told.error_code, error=told.error, detail=detail
    )


def _unread(number: int, read: WalletRead, before: StoredWallet) -> StoredWallet:
    """Return the wallet with the error of its failed read; its stored list stays and is stale."""
    detail = msgspec.structs.replace(
        before.known,
        number=number,
        incomplete=False,
        exchange_code=read.exchange_code,
        endpoint=read.endpoint,
    )
    return msgspec.structs.replace(
        before, sync_number=number, error_code=read.error_code, error=read.error, detail=detail
    )


def _stored(wallet: str, balance: Balance) -> StoredBalance:
    return StoredBalance(**msgspec.structs.asdict(balance), wallet=wallet)
