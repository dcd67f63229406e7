"""The worth of holdings in USD: exact, null where it is unknown, and with every reason to doubt it. Pure."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import reduce
from typing import Self
from uuid import UUID

import msgspec

from contracts.faults import CodeText
from contracts.syncs import TotalCheck
from gateway.portfolio.holdings import EXACT, Holdings, WalletState
from gateway.portfolio.markets import ZERO
from gateway.portfolio.shown_prices import Shown
from gateway.rows.balances import StoredBalance
from gateway.rows.prices import Method, PriceCode

# Finds the price of an asset.
PriceOf = Callable[[str], Shown]
# What is said of these prices does not make them wrong: the user set one, the market shows the other.
NO_DOUBT = frozenset({None, PriceCode.MANUAL, PriceCode.PEG_DEVIATES})


class WorthVerdict(StrEnum):
    """How far a worth can be trusted; it is `unchecked` if a wallet's list had no total to compare with."""

    COMPLETE = "complete"
    UNCHECKED = "unchecked"
    INCOMPLETE = "incomplete"


class DoubtCode(StrEnum):
    """Why a worth may be wrong; a doubt about a price has the price's code instead."""

    NO_ACCOUNTS = "no_accounts"
    NEVER_READ = "wallet_never_read"
    STALE = "wallet_stale"
    RESTORED = "wallet_restored"
    OLD = "wallet_old"
    INCOMPLETE = "wallet_incomplete"
    DISAGREES = "total_disagrees"
    UNCHECKED = "total_unchecked"
    RATE_UNKNOWN = "rate_unknown"
    RATE_OLD = "rate_old"


OF_STATES = {
    WalletState.NEVER_READ: DoubtCode.NEVER_READ,
    WalletState.STALE: DoubtCode.STALE,
    WalletState.INCOMPLETE: DoubtCode.INCOMPLETE,
}
OF_CHECKS = {TotalCheck.DISAGREES: DoubtCode.DISAGREES, TotalCheck.UNCHECKED: DoubtCode.UNCHECKED}


class Doubt(msgspec.Struct, frozen=True):
    """A reason why a worth may be wrong, and the wallet or the asset that it is about."""

    code: str
    account_id: UUID | None = None
    wallet: str | None = None
    asset: str | None = None


class PriceRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The price behind a stored value; a value of None means unknown, never zero."""

    value: Decimal | None
    method: str | None = None
    source: str | None = None
    observed_at: datetime | None = None
    code: CodeText | None = None
    pair: str | None = None

    @classmethod
    def of(cls, price: Shown) -> Self:
        """Return the record of a price."""
        return cls(price.value, price.method, price.source, price.observed_at, price.code, price.pair)


class Valued(msgspec.Struct, frozen=True, gc=False):
    """One asset in one wallet with its value in USD, None if its price is unknown, never zero.

    `quantity` is the stored `total`: the exchange's equity, from which it has subtracted the debt already
    (OKX: `eq` includes borrowing and may be negative). So `borrowed` is shown beside it and is not subtracted
    again. A negative quantity has a negative value, which lowers a sum. A quantity of zero is worth zero
    without a price.
    """

    wallet: str
    asset: str
    quantity: Decimal
    borrowed: Decimal | None
    value: Decimal | None
    price: Shown


class AccountValues(msgspec.Struct, frozen=True):
    """The values of an account's balances, and the states of its wallets.

    `older` are wallets whose stored lists may be older than earlier responses, because the database was
    restored from a backup. `old` are those that no sync has read for long: no read of them failed.
    """

    account_id: UUID
    holdings: Holdings
    parts: tuple[Valued, ...]
    older: frozenset[str] = frozenset()
    old: frozenset[str] = frozenset()


class Summed(msgspec.Struct, frozen=True):
    """The sum of the known values in USD, None if none is known, and what is to be said about it.

    `unpriced` names the assets that hold something without a price. `prices_at` is the time of the oldest
    price that is not the user's own.
    """

    total: Decimal | None
    unpriced: tuple[str, ...]
    balances_as_of: datetime | None
    prices_at: datetime | None
    doubts: tuple[Doubt, ...]


class Worth(Summed, frozen=True, kw_only=True):
    """A sum that also says how many assets hold something; the share of the priced ones is one by count.

    Their share by value can not be known.
    """

    held: int

    @property
    def priced(self) -> int:
        """Return the number of assets that hold something and have a price."""
        return self.held - len(self.unpriced)

    @property
    def verdict(self) -> WorthVerdict:
        """Return whether every wallet is fresh and agrees, and every price is certain."""
        codes = {doubt.code for doubt in self.doubts}
        if codes - {DoubtCode.UNCHECKED}:
            return WorthVerdict.INCOMPLETE
        return WorthVerdict.UNCHECKED if codes else WorthVerdict.COMPLETE


def value_of(quantity: Decimal, price: Shown) -> Decimal | None:
    """Return the value of a quantity; zero needs no price, and without a price it is unknown."""
    if not quantity:
        return ZERO
    return None if price.value is None else EXACT.multiply(quantity, price.value)


def values_of(listed: Iterable[StoredBalance], price_of: PriceOf) -> tuple[Valued, ...]:
    """Return the values of balances; a row without an amount and without a debt is left out."""
    return tuple(_valued(each, price_of(each.asset)) for each in listed if each.total or each.borrowed)


def worth(accounts: Sequence[AccountValues]) -> Worth:
    """Return the worth of accounts; the order of accounts, wallets and assets changes nothing but texts."""
    holding = [part for account in accounts for part in account.parts if part.quantity]
    unpriced = {part.asset for part in holding if part.value is None}
    times = [each.holdings.as_of for each in accounts if each.holdings.as_of is not None]
    observed = [part.price.observed_at for part in holding if part.price.method != Method.MANUAL]
    wallets = [doubt for account in accounts for doubt in wallet_doubts(account)]
    doubts = (*wallets, *price_doubts(holding)) if accounts else (Doubt(DoubtCode.NO_ACCOUNTS),)
    return Worth(
        total=total_of([part.value for account in accounts for part in account.parts], doubts),
        held=len({part.asset for part in holding}),
        unpriced=tuple(sorted(unpriced)),
        balances_as_of=min(times, default=None),
        prices_at=min((at for at in observed if at is not None), default=None),
        doubts=doubts,
    )


def of_wallet(account: AccountValues, wallet: str, as_of: datetime | None) -> AccountValues:
    """Return the values of one covered wallet, whose oldest amount is of `as_of`."""
    states, checks = account.holdings.states, account.holdings.total_checks
    holdings = Holdings({wallet: states[wallet]}, {wallet: checks[wallet]}, as_of, None)
    parts = tuple(part for part in account.parts if part.wallet == wallet)
    return AccountValues(account.account_id, holdings, parts, account.older, account.old)


def wallet_doubts(account: AccountValues) -> list[Doubt]:
    """Return the doubts about the covered wallets of an account; without any, nothing of it was read."""
    if not account.holdings.states:
        return [Doubt(DoubtCode.NEVER_READ, account.account_id)]
    return [
        Doubt(code, account.account_id, wallet)
        for wallet, state in account.holdings.states.items()
        for code in (_of_state(account, wallet, state), _of_check(account.holdings.total_checks[wallet]))
        if code is not None
    ]


def price_doubts(parts: Iterable[Valued]) -> list[Doubt]:
    """Return the doubts about the prices of holdings, one for each asset."""
    codes = {part.asset: part.price.code for part in parts if part.price.code not in NO_DOUBT}
    return [Doubt(code, asset=asset) for asset, code in sorted(codes.items()) if code is not None]


def exact_sum(values: Collection[Decimal]) -> Decimal:
    """Sum without rounding; zero for no values."""
    return reduce(EXACT.add, values, ZERO)


def _valued(of: StoredBalance, price: Shown) -> Valued:
    return Valued(of.wallet, of.asset, of.total, of.borrowed, value_of(of.total, price), price)


def total_of(values: Sequence[Decimal | None], doubts: Collection[Doubt]) -> Decimal | None:
    """Sum the known values; without any it is zero only if every wallet was read and is empty."""
    known = [value for value in values if value is not None]
    unread = any(doubt.code in {DoubtCode.NO_ACCOUNTS, DoubtCode.NEVER_READ} for doubt in doubts)
    if not known and (values or unread):
        return None
    return exact_sum(known)


def _of_state(account: AccountValues, wallet: str, state: WalletState) -> DoubtCode | None:
    if state is WalletState.FRESH:
        if wallet in account.older:
            return DoubtCode.RESTORED
        return DoubtCode.OLD if wallet in account.old else None
    return OF_STATES.get(state)


def _of_check(check: TotalCheck | None) -> DoubtCode | None:
    return None if check is None else OF_CHECKS.get(check)
