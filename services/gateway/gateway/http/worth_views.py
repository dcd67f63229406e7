"""The worth of accounts in API responses; amounts and values are decimal strings, times are UTC."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_DOWN, Decimal
from uuid import UUID

import msgspec

from contracts.exchanges import EXCHANGES
from contracts.faults import CodeText
from contracts.prices import USD
from contracts.syncs import TotalCheck
from contracts.values import AmountText, amount_text
from gateway.http.asset_views import APART
from gateway.http.price_views import HeldPriceView, LegView, held_price, leg_views
from gateway.http.uncovered_views import UncoveredView, uncovered_fields
from gateway.portfolio.grouping import Group
from gateway.portfolio.holdings import EXACT, WalletState
from gateway.portfolio.markets import ONE
from gateway.portfolio.rates import Rate
from gateway.portfolio.shown_prices import Shown
from gateway.portfolio.uncovered import not_covered
from gateway.portfolio.valuations import Portfolio, Valuation
from gateway.portfolio.values import (
    AccountValues,
    Doubt,
    DoubtCode,
    Valued,
    Worth,
    WorthVerdict,
    exact_sum,
    of_wallet,
    worth,
)
from gateway.rows.balances import StoredWallet
from gateway.rows.prices import Method, PriceCode

WORDS: Mapping[str, str] = {
    DoubtCode.NO_ACCOUNTS: "You have connected no account: connect one.",
    DoubtCode.NEVER_READ: "We have never read this wallet. Its contents are unknown and in no total.",
    DoubtCode.STALE: "The last read of this wallet failed. Its amounts are older: sync the account again.",
    DoubtCode.RESTORED: (
        "The operator restored our database from a backup, and we have not read this wallet since: a newer "
        "list may be lost. Sync the account."
    ),
    DoubtCode.OLD: "No sync has read this wallet for more than two days: sync the account.",
    DoubtCode.INCOMPLETE: "Rows or assets of this wallet could not be read. Its balances say which.",
    DoubtCode.DISAGREES: "The exchange states another total for this wallet than its list adds up to.",
    DoubtCode.UNCHECKED: "We could not compare the list of this wallet with a total of the exchange.",
    DoubtCode.RATE_UNKNOWN: "We have not read the rates of currencies yet. The values in USD are known.",
    DoubtCode.RATE_OLD: "The last fixing of this currency is more than a week old.",
}
NOTHING_READ = "We have never read a wallet of this account. Its contents are unknown and in no total."
SHARE = Decimal("0.0001")


class ReasonView(msgspec.Struct, frozen=True):
    """Why a worth may be wrong, and the wallet or the asset that it is about.

    A doubt about a price has the code of the price. A later version may send other codes.
    """

    code: CodeText
    detail: str | None
    account_id: UUID | None
    wallet: str | None
    asset: str | None


class WorthView(msgspec.Struct, frozen=True):
    """The sum of the known values, and how far it can be trusted; null means unknown, never zero.

    `total` is in the currency of the response. `verdict` is `complete` only if every wallet was read and
    agrees with the exchange's total, and every price is certain; `unchecked` if only the comparison is
    missing; else `incomplete`. `held_assets` counts the assets that hold something, `priced_assets` those of
    them with a price, and `priced_share` is their share by count, rounded down. A share by value can not be
    known, because the value of an unpriced asset is unknown.
    """

    total: AmountText | None
    total_usd: AmountText | None
    verdict: WorthVerdict
    held_assets: int
    priced_assets: int
    priced_share: AmountText | None
    unpriced: tuple[str, ...]
    balances_as_of: datetime | None
    prices_at: datetime | None


class AccountWorthView(WorthView, frozen=True):
    """The worth of an account."""

    account_id: UUID
    name: str
    exchange: str


class WalletWorthView(WorthView, frozen=True):
    """The worth of one covered wallet of an account; null if it was never read."""

    account_id: UUID
    wallet: str
    name: str
    state: WalletState
    total_check: TotalCheck | None
    error_code: CodeText | None
    error: str | None


class PartView(msgspec.Struct, frozen=True, gc=False):
    """An asset in one wallet."""

    account_id: UUID
    wallet: str
    quantity: AmountText
    borrowed: AmountText | None
    value: AmountText | None
    value_usd: AmountText | None


class AssetWorthView(msgspec.Struct, frozen=True):
    """One asset over all accounts; a value is null if the price is unknown, never zero.

    `quantity` is net of `borrowed`: a debt makes it smaller or negative, and is not subtracted again. No two
    rows have the same `asset`. Where two exchanges call different assets by one `name`, it ends with `@` and
    the `exchange`, and `apart` says why they are not one asset.
    """

    asset: str
    name: str
    exchange: str | None
    apart: CodeText | None
    apart_detail: str | None
    quantity: AmountText
    borrowed: AmountText | None
    value: AmountText | None
    value_usd: AmountText | None
    price: HeldPriceView
    parts: tuple[PartView, ...]


class UncoveredWorthView(UncoveredView, frozen=True):
    """Something that is in no total; `worth` is in the currency of the response."""

    worth: AmountText | None


class CurrencyRateView(msgspec.Struct, frozen=True):
    """How much of a currency 1 USD was worth at the last fixing; on weekends that is Friday's.

    `legs` are the rates that the bank published. Their quotient is rounded once, to 12 digits, and values
    are its exact products.
    """

    currency: str
    per_usd: AmountText
    legs: tuple[LegView, ...]
    source: str
    fixed_on: date


class PortfolioView(WorthView, frozen=True):
    """The worth of all accounts of a user, by asset, account and wallet, as of now.

    `reasons` say why the verdict is not `complete`. `balances_as_of` is the time of the oldest amount, and
    `prices_at` the time of the oldest price that is not your own. `disputed` names assets whose last trade
    and index differ, `manual` the assets whose price you set. `uncovered` lists the wallets, products and
    sub-accounts that no total contains.
    `rate` is null for USD. A currency whose rate is not known yet has null values, and those in USD.
    """

    currency: str
    reasons: tuple[ReasonView, ...]
    rate: CurrencyRateView | None
    disputed: tuple[str, ...]
    manual: tuple[str, ...]
    uncovered: tuple[UncoveredWorthView, ...]
    assets: tuple[AssetWorthView, ...]
    accounts: tuple[AccountWorthView, ...]
    wallets: tuple[WalletWorthView, ...]


class Texts:
    """Writes values in USD and in the currency of the response, None where a rate is needed and unknown."""

    def __init__(self, currency: str, rate: Rate | None) -> None:
        self._rate = ONE if currency == USD else None if rate is None else rate.per_usd

    def usd(self, value: Decimal | None) -> str | None:
        """Return a value in USD."""
        return None if value is None else amount_text(value)

    def own(self, value: Decimal | None) -> str | None:
        """Return a value in USD in the currency of the response."""
        if value is None or self._rate is None:
            return None
        return amount_text(value if self._rate is ONE else EXACT.multiply(value, self._rate))

    def worth(self, of: Worth) -> dict[str, object]:
        """Return the fields of a worth."""
        share = None if not of.held else (Decimal(of.priced) / of.held).quantize(SHARE, ROUND_DOWN)
        return {
            "total": self.own(of.total),
            "total_usd": self.usd(of.total),
            "verdict": of.verdict,
            "held_assets": of.held,
            "priced_assets": of.priced,
            "priced_share": None if share is None else amount_text(share),
            "unpriced": of.unpriced,
            "balances_as_of": of.balances_as_of,
            "prices_at": of.prices_at,
        }


def portfolio_view(of: Portfolio) -> PortfolioView:
    """Return the view of all accounts."""
    texts, values = Texts(of.currency, of.rate), [each.values for each in of.accounts]
    prices = {part.asset: part.price for each in values for part in each.parts}
    whole = of.worth
    return PortfolioView(
        **texts.worth(whole),  # type: ignore[arg-type] # the fields of a WorthView
        currency=of.currency,
        reasons=tuple(_reason(doubt, prices) for doubt in whole.doubts),
        rate=None if of.rate is None else _rate(of.rate),
        disputed=_with_code(prices, PriceCode.DISPUTED),
        manual=tuple(sorted(asset for asset, price in prices.items() if price.method == Method.MANUAL)),
        uncovered=tuple(each for account in of.accounts for each in _uncovered(account, texts)),
        assets=_assets(values, prices, of.groups, texts),
        accounts=tuple(_account(each, texts) for each in of.accounts),
        wallets=tuple(wallet for each in of.accounts for wallet in _wallets(each, texts)),
    )


def _assets(
    accounts: Sequence[AccountValues],
    prices: Mapping[str, Shown],
    groups: Mapping[str, Group],
    texts: Texts,
) -> tuple[AssetWorthView, ...]:
    by_asset: defaultdict[str, list[tuple[UUID, Valued]]] = defaultdict(list)
    for account in accounts:
        for part in account.parts:
            by_asset[part.asset].append((account.account_id, part))
    return tuple(
        _asset(groups[asset], rows, prices[asset], texts) for asset, rows in sorted(by_asset.items())
    )


def _asset(group: Group, rows: Sequence[tuple[UUID, Valued]], price: Shown, texts: Texts) -> AssetWorthView:
    parts = [part for _, part in rows]
    value = _sum_of_values(parts)
    borrowed = [part.borrowed for part in parts if part.borrowed is not None]
    return AssetWorthView(
        asset=group.text,
        name=group.asset.name,
        exchange=None if group.apart is None else group.asset.exchange,
        apart=group.apart,
        apart_detail=None if group.apart is None else APART[group.apart],
        quantity=amount_text(exact_sum([part.quantity for part in parts])),
        borrowed=amount_text(exact_sum(borrowed)) if borrowed else None,
        value=texts.own(value),
        value_usd=texts.usd(value),
        price=held_price(price),
        parts=tuple(_part(account_id, part, texts) for account_id, part in rows),
    )


def _part(account_id: UUID, of: Valued, texts: Texts) -> PartView:
    return PartView(
        account_id=account_id,
        wallet=of.wallet,
        quantity=amount_text(of.quantity),
        borrowed=_text(of.borrowed),
        value=texts.own(of.value),
        value_usd=texts.usd(of.value),
    )


def _account(of: Valuation, texts: Texts) -> AccountWorthView:
    account = of.held.account
    return AccountWorthView(
        **texts.worth(worth([of.values])),  # type: ignore[arg-type] # the fields of a WorthView
        account_id=account.id,
        name=account.name,
        exchange=account.exchange,
    )


def _wallets(of: Valuation, texts: Texts) -> Iterator[WalletWorthView]:
    kept = {wallet.wallet: wallet for wallet in of.held.wallets}
    names = {wallet.key: wallet.name for wallet in EXCHANGES[of.held.account.exchange].wallets}
    for wallet, state in of.values.holdings.states.items():
        stored = kept.get(wallet) or StoredWallet(wallet, None, None, None, None)
        stale = [each.stale_as_of for each in of.held.balances if each.wallet == wallet]
        times = [each for each in (stored.as_of, *stale) if each is not None]
        alone = worth([of_wallet(of.values, wallet, min(times, default=None))])
        yield WalletWorthView(
            **texts.worth(alone),  # type: ignore[arg-type] # the fields of a WorthView
            account_id=of.held.account.id,
            wallet=wallet,
            name=names[wallet],
            state=state,
            total_check=stored.total_check,
            error_code=stored.error_code,
            error=stored.error,
        )


def _uncovered(of: Valuation, texts: Texts) -> Iterator[UncoveredWorthView]:
    held = of.held
    exchange = EXCHANGES[held.account.exchange]
    for each in not_covered(exchange, held.wallets, held.uncovered, held.listing):
        fields = uncovered_fields(held.account.id, each)
        yield UncoveredWorthView(**fields, worth=texts.own(each.worth))  # type: ignore[arg-type] # its fields


def _reason(of: Doubt, prices: Mapping[str, Shown]) -> ReasonView:
    words = WORDS.get(of.code) if of.asset is None else prices[of.asset].words
    if of.code == DoubtCode.NEVER_READ and of.wallet is None:
        words = NOTHING_READ
    return ReasonView(of.code, words, of.account_id, of.wallet, of.asset)


def _rate(of: Rate) -> CurrencyRateView:
    return CurrencyRateView(of.currency, amount_text(of.per_usd), leg_views(of.legs), of.source, of.fixed_on)


def _with_code(prices: Mapping[str, Shown], code: PriceCode) -> tuple[str, ...]:
    return tuple(sorted(asset for asset, price in prices.items() if price.code == code))


def _sum_of_values(parts: Sequence[Valued]) -> Decimal | None:
    """Return the value of an asset; None if that of one part is unknown."""
    if len(parts) == 1:  # most assets are in one wallet
        return parts[0].value
    known = [part.value for part in parts if part.value is not None]
    return exact_sum(known) if len(known) == len(parts) else None


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else amount_text(amount)
