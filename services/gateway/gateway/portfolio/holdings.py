"""The holdings of an account: states of its wallets, sums by asset, and the wallets they lack. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Context, Decimal
from enum import StrEnum
from functools import reduce

import msgspec

from contracts.exchanges.types import Exchange
from contracts.faults import Code
from contracts.syncs import LEFT_OUT_CODES, TotalCheck
from gateway.rows.balances import StoredBalance, StoredWallet

EXACT = Context(prec=200)
# With one of these, a wallet without a list is not missing: its reason is known, and no sync is to read it.
NOT_COVERED_CODES = LEFT_OUT_CODES | {Code.NEEDS_OWN_KEY}


class WalletState(StrEnum):
    """The state of a stored wallet: `stale` if the last read failed, `never_read` if no read succeeded yet.

    An `incomplete` wallet shows its newest list, which lacks rows or assets. One that is `not_covered` is in
    no total.
    """

    FRESH = "fresh"
    INCOMPLETE = "incomplete"
    STALE = "stale"
    NEVER_READ = "never_read"
    NOT_COVERED = "not_covered"


class Holding(msgspec.Struct, frozen=True):
    """One asset summed over the wallets that hold it; an amount is None if one of its parts is unknown.

    `stale_as_of` is the oldest read time of the parts that their wallet's newest list could not supply.
    """

    asset: str
    total: Decimal
    available: Decimal | None
    locked: Decimal | None
    borrowed: Decimal | None
    wallets: tuple[str, ...]
    stale_as_of: datetime | None
    in_bots: Decimal | None = None
    interest: Decimal | None = None


class Holdings(msgspec.Struct, frozen=True):
    """The states and total checks of the covered wallets, and the sums by asset.

    `assets` is None if no wallet was ever read. `as_of` is the time of the oldest amount.
    """

    states: dict[str, WalletState]
    total_checks: dict[str, TotalCheck | None]
    as_of: datetime | None
    assets: tuple[Holding, ...] | None

    @property
    def complete(self) -> bool:
        """Return whether every wallet is fresh and none disagrees with the exchange's total."""
        fresh = set(self.states.values()) == {WalletState.FRESH}
        return fresh and TotalCheck.DISAGREES not in self.total_checks.values()

    def in_state(self, state: WalletState) -> tuple[str, ...]:
        """Return the wallets in a state."""
        return tuple(wallet for wallet, each in self.states.items() if each is state)


def summed(exchange: Exchange, stored: Sequence[StoredWallet], listed: Sequence[StoredBalance]) -> Holdings:
    """Sum balances by asset without rounding, with the states and total checks of the wallets."""
    kept = {wallet.wallet: wallet for wallet in stored}
    covered = {wallet: wallet_state(kept.get(wallet)) for wallet in exchange.covered_wallets}
    states: dict[str, WalletState] = {
        wallet: state for wallet, state in covered.items() if state is not WalletState.NOT_COVERED
    }
    times = [wallet.as_of for wallet in stored if wallet.as_of is not None]
    times += [balance.stale_as_of for balance in listed if balance.stale_as_of is not None]
    never_read = set(states.values()) <= {WalletState.NEVER_READ}
    return Holdings(
        states=states,
        total_checks={wallet: kept[wallet].total_check if wallet in kept else None for wallet in states},
        as_of=min(times, default=None),
        assets=None if never_read else _assets(listed),
    )


def wallet_state(wallet: StoredWallet | None) -> WalletState:
    """Return the state of a covered wallet; a wallet that the key does not reach is not covered.

    An earlier list stays, and is stale.
    """
    if wallet is not None and wallet.as_of is None and wallet.error_code in NOT_COVERED_CODES:
        return WalletState.NOT_COVERED
    if wallet is None or wallet.as_of is None:
        return WalletState.NEVER_READ
    if wallet.known.incomplete:
        return WalletState.INCOMPLETE
    return WalletState.FRESH if wallet.error_code is None else WalletState.STALE


def _assets(listed: Sequence[StoredBalance]) -> tuple[Holding, ...]:
    by_asset: defaultdict[str, list[StoredBalance]] = defaultdict(list)
    for balance in listed:
        by_asset[balance.asset].append(balance)
    return tuple(
        _holding(asset, parts)
        for asset, parts in sorted(by_asset.items())
        if any(balance.total or balance.borrowed or balance.interest for balance in parts)
    )


def _holding(asset: str, parts: Sequence[StoredBalance]) -> Holding:
    if len(parts) == 1:  # most assets are in one wallet
        (one,) = parts
        amounts = (one.total, one.available, one.locked, one.borrowed)
        return Holding(asset, *amounts, (one.wallet,), one.stale_as_of, one.in_bots, one.interest)
    return Holding(
        asset=asset,
        total=_exact_sum([balance.total for balance in parts]),
        available=_sum_known([balance.available for balance in parts]),
        locked=_sum_known([balance.locked for balance in parts]),
        borrowed=_sum_known([balance.borrowed for balance in parts if balance.borrowed is not None]),
        wallets=tuple(balance.wallet for balance in parts),
        stale_as_of=min((each.stale_as_of for each in parts if each.stale_as_of), default=None),
        in_bots=_sum_known([each.in_bots for each in parts if each.in_bots is not None]),
        interest=_sum_known([each.interest for each in parts if each.interest is not None]),
    )


def _sum_known(amounts: Sequence[Decimal | None]) -> Decimal | None:
    """Sum amounts; None without amounts or if one of them is unknown."""
    known = [amount for amount in amounts if amount is not None]
    return _exact_sum(known) if known and len(known) == len(amounts) else None


def _exact_sum(amounts: Sequence[Decimal]) -> Decimal:
    """Sum without rounding, because the default context keeps only 28 digits."""
    return reduce(EXACT.add, amounts)
