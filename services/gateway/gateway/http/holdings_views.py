"""Holdings by asset in API responses; amounts are decimal strings, times are UTC."""

from datetime import datetime
from uuid import UUID

import msgspec

from contracts.exchanges import EXCHANGES
from contracts.faults import CodeText
from contracts.syncs import TotalCheck
from contracts.values import AmountText, amount_text
from gateway.http.asset_views import APART
from gateway.http.price_views import HeldPriceView, worth_of
from gateway.http.views import AmountView, text_of
from gateway.portfolio.holdings import Holding, WalletState, summed
from gateway.portfolio.identity import Asset, Identity
from gateway.prices.book import Book
from gateway.rows.balances import Held
from gateway.rows.restores import Restore


class HoldingView(AmountView, frozen=True):
    """One asset summed over its wallets; a `value_usd` of null is unknown, never zero, and net of debts.

    `asset` is the exchange's name. `means` is the asset that it means in the portfolio, also in another unit:
    1 `1000SATS` is 1000 `SATS`. `apart` says why an equal name at another exchange is another asset.
    """

    wallets: tuple[str, ...]
    value_usd: AmountText | None = None
    price: HeldPriceView | None = None
    means: str | None = None
    apart: CodeText | None = None
    apart_detail: str | None = None


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


def holdings_view(held: Held, restored: Restore | None = None, book: Book | None = None) -> HoldingsView:
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
        holdings=None
        if holdings.assets is None
        else tuple(_holding(of, exchange.key, book) for of in holdings.assets),
        restored_at=restored.restored_at if restored and older else None,
    )


def _holding(of: Holding, exchange: str, book: Book | None) -> HoldingView:
    value, price = (None, None) if book is None else worth_of(of.total, book.at(exchange)(of.asset))
    view = HoldingView(
        of.asset,
        amount_text(of.total),
        text_of(of.available),
        text_of(of.locked),
        text_of(of.borrowed),
        of.stale_as_of,
        text_of(of.in_bots),
        text_of(of.interest),
        of.wallets,
        value,
        price,
    )
    return view if book is None else _meaning(view, book.identity.of(exchange, of.asset), book.identity)


def _meaning(view: HoldingView, asset: Asset, identity: Identity) -> HoldingView:
    if asset.exchange is None or not identity.is_split(asset.name):
        return msgspec.structs.replace(view, means=asset.name)
    apart = identity.apart(asset.name)
    return msgspec.structs.replace(view, means=asset.text, apart=apart, apart_detail=APART[apart])
