"""Accounts and balances in API responses; amounts are decimal strings, times are UTC."""

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from contracts.exchanges import EXCHANGES
from contracts.exchanges.types import Wallet
from contracts.faults import CodeText, EndpointName, ExchangeCode, fault_of
from contracts.syncs import TotalCheck
from contracts.values import AmountText, Balance, amount_text
from gateway.portfolio.holdings import NOT_COVERED_CODES, WalletState, wallet_state
from gateway.rows.balances import Detail, Held, StoredBalance, StoredWallet
from gateway.rows.restores import Restore


class AmountView(msgspec.Struct, frozen=True):
    """One asset; an amount that the exchange did not report is null, never zero.

    `in_bots` is the part of `total` that trading bots of the exchange hold. `interest` accrued on the debt:
    OKX does not document whether `borrowed` contains it, and Binance's does, so do not add them.
    `stale_as_of` is when the amount was read, if the newest list could not supply it.
    """

    asset: str
    total: AmountText
    available: AmountText | None
    locked: AmountText | None
    borrowed: AmountText | None
    stale_as_of: datetime | None
    in_bots: AmountText | None
    interest: AmountText | None


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
    `next_action` says what to do about a wallet that syncs leave out, for the reason `error_code`; null for
    others, whose fault the account tells.
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
    next_action: str | None = None


class BalancesView(msgspec.Struct, frozen=True):
    """All wallets of an account."""

    account_id: UUID
    exchange: str
    last_synced_at: datetime | None
    wallets: tuple[WalletView, ...]


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
        next_action=_step(wallet.error_code),
        **known.shared(),
    )


def _step(code: CodeText | None) -> str | None:
    return fault_of(code).step if code in NOT_COVERED_CODES else None


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


def _amounts(of: Balance) -> AmountView:
    return AmountView(
        of.asset,
        amount_text(of.total),
        text_of(of.available),
        text_of(of.locked),
        text_of(of.borrowed),
        of.stale_as_of if isinstance(of, StoredBalance) else None,
        text_of(of.in_bots),
        text_of(of.interest),
    )


def text_of(amount: Decimal | None) -> str | None:
    """Return an amount as text; None if it is unknown."""
    return None if amount is None else amount_text(amount)
