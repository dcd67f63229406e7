"""Syncs and balances in API responses; amounts are decimal strings, times are UTC."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from contracts.exchanges import EXCHANGES
from contracts.exchanges.types import Wallet
from contracts.faults import CodeText, EndpointName, ExchangeCode
from contracts.remedies import Situation
from contracts.syncs import Cause, Status, TotalCheck
from contracts.values import AmountText, Balance, amount_text
from gateway.accounts.paused import next_action
from gateway.advice import Advice
from gateway.http.price_views import HeldPriceView, worth_of
from gateway.portfolio.holdings import Holding, WalletState, summed, wallet_state
from gateway.portfolio.values import PriceOf
from gateway.rows.balances import Detail, Held, StoredBalance, StoredWallet
from gateway.rows.pauses import Stand
from gateway.rows.restores import Restore
from gateway.rows.syncs import Sync, WalletVerdict

PARTIAL_WORDS = "We could not read or confirm some wallets whole; each says what is older or missing."


class SyncView(msgspec.Struct, frozen=True):
    """A sync and its outcome; `success` is null while the sync is queued and true only if it is complete.

    `rights_unproven` is true if wallets were read but the rights of the key could not be read. `restored_at`
    is when the database was restored from a backup in which the sync was open: another outcome may be lost.
    `cached` is true in the response to a request that a sync of a moment before answers without a new one.
    """

    account_id: UUID
    sync_id: UUID
    status: Status
    success: bool | None
    holdings_count: int | None
    error: str | None
    error_code: CodeText | None
    next_action: str | None
    requested_at: datetime
    finished_at: datetime | None
    wallets: tuple[WalletVerdict, ...]
    rights_unproven: bool
    cause: Cause
    cached: bool = False
    restored_at: datetime | None = None


class BatchView(msgspec.Struct, frozen=True):
    """The syncs of one sync-all."""

    batch_id: UUID
    total: int
    successful: int
    failed: int
    pending: int
    results: tuple[SyncView, ...]


class SyncPage(msgspec.Struct, frozen=True):
    """Syncs, newest first; `next_cursor` is null on the last page."""

    items: tuple[SyncView, ...]
    next_cursor: UUID | None


class AmountView(msgspec.Struct, frozen=True):
    """One asset; an amount that the exchange did not report is null, never zero.

    `in_bots` is the part of `total` that trading bots of the exchange hold. `stale_as_of` is when the amount
    was read, if the newest list could not supply it.
    """

    asset: str
    total: AmountText
    available: AmountText | None
    locked: AmountText | None
    borrowed: AmountText | None
    stale_as_of: datetime | None
    in_bots: AmountText | None


class UnconfirmedView(msgspec.Struct, frozen=True):
    """The newest list of a wallet when assets are missing from it without a confirmation.

    `missing` names these assets, `since` is when they were first missing. The wallet itself shows the last
    confirmed list.
    """

    as_of: datetime
    since: datetime
    missing: tuple[str, ...]
    balances: tuple[AmountView, ...]
    total_check: TotalCheck | None
    unreadable_rows: int


class WalletView(msgspec.Struct, frozen=True):
    """One wallet: its state, when it was read, and its balances, null if it was never read.

    `unreadable_rows` counts rows that could not be read and `unreadable` says why. `difference_usd` is the
    total of the exchange's response minus the sum of the list: negative if the list has too much.
    `reported_at` is set only if the exchange's data are more than a day older than `as_of`. `restored_at` is
    when the database was restored from a backup, if it was not read since: a newer list may be lost.
    """

    wallet: str
    name: str
    state: WalletState
    as_of: datetime | None
    total_check: TotalCheck | None
    error_code: CodeText | None
    error: str | None
    balances: tuple[AmountView, ...] | None
    unconfirmed: UnconfirmedView | None
    unreadable_rows: int = 0
    unreadable: tuple[str, ...] = ()
    difference_usd: AmountText | None = None
    reported_at: datetime | None = None
    exchange_code: ExchangeCode | None = None
    endpoint: EndpointName | None = None
    restored_at: datetime | None = None


class BalancesView(msgspec.Struct, frozen=True):
    """All wallets of an account."""

    account_id: UUID
    exchange: str
    last_synced_at: datetime | None
    wallets: tuple[WalletView, ...]


class HoldingView(AmountView, frozen=True):
    """One asset summed over its wallets; a `value_usd` of null is unknown, never zero, and net of debts."""

    wallets: tuple[str, ...]
    value_usd: AmountText | None = None
    price: HeldPriceView | None = None


class HoldingsView(msgspec.Struct, frozen=True):
    """Holdings by asset; `holdings` is null if no wallet was ever read.

    `complete` is true only if every covered wallet is fresh and none of them disagrees with the exchange's
    total. `total_checks` has the result of that comparison for each wallet, null if it was never read.
    `restored_at` is when the database was restored from a backup, if a covered wallet was not read since: its
    amounts may be older than earlier responses, so `stale_wallets` lists it, too.
    """

    account_id: UUID
    complete: bool
    missing_wallets: tuple[str, ...]
    stale_wallets: tuple[str, ...]
    incomplete_wallets: tuple[str, ...]
    not_covered_wallets: tuple[str, ...]
    total_checks: dict[str, TotalCheck | None]
    as_of: datetime | None
    holdings: tuple[HoldingView, ...] | None
    restored_at: datetime | None = None


def sync_view(sync: Sync, egress: tuple[str, ...], stand: Stand, restored: Restore | None = None) -> SyncView:
    """Return the view of a sync; `next_action` depends on the account's present state."""
    advice = Advice(Situation.SYNC, EXCHANGES[sync.exchange], None, egress)
    queued = sync.status is Status.QUEUED
    partial = sync.status is Status.PARTIAL
    return SyncView(
        account_id=sync.account_id,
        sync_id=sync.id,
        status=sync.status,
        success=None if queued else sync.status is Status.COMPLETED,
        holdings_count=sync.holdings_count,
        error=f"{PARTIAL_WORDS} {sync.error or ''}".strip() if partial else sync.error,
        error_code=sync.error_code,
        next_action=next_action(sync.error_code, advice, stand),
        requested_at=sync.requested_at,
        finished_at=sync.finished_at,
        wallets=sync.wallets,
        rights_unproven=sync.rights_unproven,
        cause=sync.cause,
        restored_at=restored.open(sync.requested_at, sync.finished_at) if restored else None,
    )


def batch_view(
    batch_id: UUID,
    syncs: list[Sync],
    egress: tuple[str, ...],
    stands: Mapping[UUID, Stand],
    restored: Restore | None = None,
) -> BatchView:
    """Return the view of a batch; a partial sync counts as failed."""
    results = tuple(sync_view(sync, egress, stands[sync.account_id], restored) for sync in syncs)
    return BatchView(
        batch_id=batch_id,
        total=len(results),
        successful=sum(result.success is True for result in results),
        failed=sum(result.success is False for result in results),
        pending=sum(result.success is None for result in results),
        results=results,
    )


def balances_view(held: Held, restored: Restore | None = None) -> BalancesView:
    """Return the view of every wallet of the exchange's catalogue entry with its stored balances."""
    account, kept = held.account, {wallet.wallet: wallet for wallet in held.wallets}
    inside: defaultdict[str, list[StoredBalance]] = defaultdict(list)
    for balance in held.balances:
        inside[balance.wallet].append(balance)
    wallets = tuple(
        _wallet(entry, kept.get(entry.key), inside[entry.key], restored)
        for entry in EXCHANGES[account.exchange].wallets
    )
    return BalancesView(account.id, account.exchange, account.last_synced_at, wallets)


def _wallet(
    entry: Wallet, kept: StoredWallet | None, inside: list[StoredBalance], restored: Restore | None
) -> WalletView:
    wallet = kept or StoredWallet(entry.key, None, None, None, None)
    known = wallet.known
    return WalletView(
        wallet=entry.key,
        name=entry.name,
        state=wallet_state(kept) if entry.covered else WalletState.NOT_COVERED,
        as_of=wallet.as_of,
        total_check=wallet.total_check,
        error_code=wallet.error_code,
        error=wallet.error,
        balances=None if wallet.as_of is None else tuple(map(_amounts, inside)),
        unconfirmed=_unconfirmed(known),
        restored_at=restored.older(wallet.as_of) if restored else None,
        **known.shared(),
    )


def _unconfirmed(known: Detail) -> UnconfirmedView | None:
    held, missing = known.held, known.missing
    if held is None or missing is None:
        return None
    return UnconfirmedView(
        as_of=held.as_of,
        since=missing.since,
        missing=tuple(sorted(missing.assets)),
        balances=tuple(map(_amounts, held.balances)),
        total_check=held.total_check,
        unreadable_rows=held.unreadable_rows,
    )


def holdings_view(held: Held, restored: Restore | None = None, prices: PriceOf | None = None) -> HoldingsView:
    """Return the view of the sums by asset with their values, and of the wallets they lack."""
    exchange = EXCHANGES[held.account.exchange]
    holdings = summed(exchange, held.wallets, held.balances)
    older = {each.wallet for each in held.wallets if restored and restored.older(each.as_of)} & {
        *holdings.states
    }
    stale = {*holdings.in_state(WalletState.STALE), *older.intersection(holdings.in_state(WalletState.FRESH))}
    return HoldingsView(
        account_id=held.account.id,
        complete=holdings.complete and not older,
        missing_wallets=holdings.in_state(WalletState.NEVER_READ),
        stale_wallets=tuple(wallet for wallet in holdings.states if wallet in stale),
        incomplete_wallets=holdings.in_state(WalletState.INCOMPLETE),
        not_covered_wallets=tuple(each.key for each in exchange.wallets if each.key not in holdings.states),
        total_checks=holdings.total_checks,
        as_of=holdings.as_of,
        holdings=None if holdings.assets is None else tuple(_holding(of, prices) for of in holdings.assets),
        restored_at=restored.restored_at if restored and older else None,
    )


def _holding(of: Holding, prices: PriceOf | None) -> HoldingView:
    return HoldingView(
        of.asset,
        amount_text(of.total),
        _text(of.available),
        _text(of.locked),
        _text(of.borrowed),
        of.stale_as_of,
        _text(of.in_bots),
        of.wallets,
        *(worth_of(of.total, prices(of.asset)) if prices else ()),
    )


def _amounts(of: Balance) -> AmountView:
    return AmountView(
        of.asset,
        amount_text(of.total),
        _text(of.available),
        _text(of.locked),
        _text(of.borrowed),
        of.stale_as_of if isinstance(of, StoredBalance) else None,
        _text(of.in_bots),
    )


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else amount_text(amount)
