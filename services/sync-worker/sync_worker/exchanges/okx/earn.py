"""The verdict on OKX's earn wallet: one list from several reads that counts no asset twice. Pure.

The wallet adds up flexible savings, on-chain orders and dual investments. OKX reports staked ETH and SOL and
stable rewards together with what the trading and funding account hold of them, so only the part in
redemption, which those accounts lack, is added.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec

from contracts import reasons
from contracts.exchanges.types import Read
from contracts.faults import Code, Failure, failure, fault_of
from contracts.syncs import READ, Totals, UnreadableRow, Verdict, WalletRead
from contracts.values import Balance, check_digits
from sync_worker.exchanges.okx.earn_rows import (
    DUAL_HELD,
    parse_dual,
    parse_orders,
    parse_rewards,
    parse_savings,
    parse_staked,
)
from sync_worker.exchanges.okx.payloads import parse_trading
from sync_worker.exchanges.parts import EXACT, Entry, collected, totals_of, unread_part, without_parts, worst
from sync_worker.exchanges.rows import Row, Rows
from sync_worker.exchanges.values import ZERO
from sync_worker.verdicts import NO_PRICES, Fetched, Listed, judge, parsed, unread

EARN = "earn"
SAVINGS, ORDERS = Read("savings_balance"), Read("staking_orders")
REWARDS, STAKED = Read("stable_rewards"), (Read("eth_staking"), Read("sol_staking"))
# OKX returns at most so many dual investments in a response.
PAGE = 100
DUAL = Read("dual_orders", {"limit": str(PAGE)})
# Savings that were never opened, a sub-account, and demo trading: there is nothing to read.
NOTHING_THERE = frozenset({"58002", "51735", "50038"})
# OKX rounds staked amounts to eight places; a smaller difference is no amount in redemption.
ROUNDING = Decimal("1E-6")


class EarnReads(msgspec.Struct, frozen=True):
    """The reads of the wallet by name, and those of dual investments: of all, or of each state."""

    by_name: Mapping[str, Fetched | Failure]
    dual: Sequence[Fetched | Failure]

    @property
    def named(self) -> list[tuple[str, Fetched | Failure]]:
        """Return every read with its name."""
        return [*self.by_name.items(), *((DUAL.name, each) for each in self.dual)]

    @property
    def as_of(self) -> datetime | None:
        """Return the time before the first read; None if all of them failed."""
        return min((each.as_of for _, each in self.named if isinstance(each, Fetched)), default=None)

    @property
    def age(self) -> int | None:
        """Return the age in seconds of the oldest response from a cache; None if none is from one."""
        ages = [each.age for _, each in self.named if isinstance(each, Fetched)]
        return max((age for age in ages if age is not None), default=None)


class Around(msgspec.Struct, frozen=True):
    """The other wallets' verdicts, the trading account, and the valuation of this wallet, None if unknown."""

    wallets: Sequence[WalletRead]
    trading: Fetched | Failure
    valued: Decimal | None = None

    @property
    def as_of(self) -> datetime | None:
        """Return the time of the oldest wallet that was read."""
        return min((each.as_of for each in self.wallets if each.as_of is not None), default=None)

    def held(self, asset: str) -> Decimal | None:
        """Return how much of an asset the other wallets hold; None if that is not known whole, or a debt."""
        if any(each.verdict is not Verdict.COMPLETE for each in self.wallets):
            return None
        found = [one for each in self.wallets for one in each.balances or () if one.asset == asset]
        if any(one.total < 0 or one.borrowed for one in found):
            return None
        return totals_of(Row(one, None) for one in found).get(asset, ZERO)


def dual_reads_by_state() -> tuple[Read, ...]:
    """Return the reads of dual investments by state.

    Their order is that in which an investment passes through the states: one that moves on meanwhile is in
    two of them, and never in none.
    """
    return tuple(Read(DUAL.name, {"state": state, **DUAL.query}) for state in DUAL_HELD)


def is_full(fetched: Fetched | Failure) -> bool:
    """Return whether a response has as many rows as it can have, so that more may exist."""
    return isinstance(fetched, Fetched) and isinstance(fetched.data, list) and len(fetched.data) >= PAGE


def judge_earn(reads: EarnReads, around: Around) -> WalletRead:
    """Return the verdict on the earn wallet; one that was not read tells what the exchange values it at."""
    told = _judged(reads, around)
    if told.verdict in READ or around.valued is None:
        return told
    return msgspec.structs.replace(told, totals=Totals(valued=around.valued))


def _judged(reads: EarnReads, around: Around) -> WalletRead:
    """Return the verdict on the earn wallet.

    A read that failed for a moment makes the wallet failed, because the next try may read it. Any other one
    makes it incomplete: the other parts are shown.
    """
    failed = [(name, each) for name, each in reads.named if isinstance(each, Failure) and not _is_empty(each)]
    staked = {read.name: partial(_parsed, reads.by_name[read.name], parse_staked) for read in STAKED}
    rewards = {REWARDS.name: partial(_parsed, reads.by_name[REWARDS.name], parse_rewards)}
    stakes = collected({**staked, **rewards}, failed)
    entries = collected(
        {
            SAVINGS.name: partial(_parsed, reads.by_name[SAVINGS.name], parse_savings),
            ORDERS.name: partial(_parsed, reads.by_name[ORDERS.name], parse_orders),
            DUAL.name: partial(parse_dual, [each.data for each in reads.dual if isinstance(each, Fetched)]),
        },
        failed,
    )
    if len(reads.dual) > 1 and any(map(is_full, reads.dual)):
        failed.append((DUAL.name, failure(Code.UNREAD_PARTS)))
    as_of = reads.as_of or around.as_of
    if as_of is None or len(failed) >= len(reads.named):
        return unread(EARN, worst(failed or reads.named)[1])
    if any(fault_of(fault.code).retryable for _, fault in failed):
        return unread_part(EARN, *worst(failed))
    entries += _in_redemption(stakes, around, totals_of(entries))
    fetched = Fetched(as_of, None, reads.age)
    told = judge(EARN, lambda _data: _listed(entries, around), fetched, around.valued)
    return without_parts(told, failed) if failed else told


def _is_empty(fault: Failure) -> bool:
    return fault.exchange_code in NOTHING_THERE


def _parsed(fetched: Fetched | Failure, parse: Callable[[Any], list[Entry]]) -> list[Entry]:
    """Parse a response; a read that failed has no entries."""
    return [] if isinstance(fetched, Failure) else parse(fetched.data)


def _in_redemption(stakes: list[Entry], around: Around, earning: Mapping[str, Decimal]) -> list[Entry]:
    """Return the staked amounts that are in no list, neither of the other wallets nor of this one.

    OKX does not document whether a staked amount includes what other products hold of the asset: if they hold
    some, an amount in redemption can not be told, unless the difference is exactly theirs.
    """
    entries: list[Entry] = [entry for entry in stakes if isinstance(entry, UnreadableRow)]
    for asset, staked in totals_of(stakes).items():
        held = around.held(asset) if staked else ZERO
        redeemed = None if held is None else EXACT.subtract(staked, held)
        others = earning.get(asset, ZERO)
        if redeemed is not None and (redeemed <= ROUNDING or abs(redeemed - others) <= ROUNDING):
            continue
        if redeemed is None or others:
            entries.append(UnreadableRow(reasons.IN_REDEMPTION, asset))
        else:
            entries.append(Row(Balance(asset, redeemed), None))
    return entries


def _listed(entries: Sequence[Entry], around: Around) -> Listed:
    """Return a list with one row for each asset; an asset of which a part is unreadable is unreadable.

    The prices are those of the trading account. Raises ValueError for a sum that no message can carry.
    """
    told = [entry for entry in entries if isinstance(entry, UnreadableRow)]
    named = {entry.asset: entry for entry in told if entry.asset is not None}
    totals = {asset: total for asset, total in totals_of(entries).items() if asset not in named}
    prices = _prices(around.trading) if totals else NO_PRICES
    rows = [Row(Balance(asset, total), _worth(total, prices.get(asset))) for asset, total in totals.items()]
    for total in totals.values():
        check_digits(total)
    unreadable = (*named.values(), *(entry for entry in told if entry.asset is None))
    both = Rows(tuple(rows), unreadable)
    return Listed(both.balances, both.worth, unreadable=both.unreadable, lists_all=False)


def _worth(total: Decimal, price: Decimal | None) -> Decimal | None:
    if not total:
        return ZERO
    return None if price is None else price * total


def _prices(trading: Fetched | Failure) -> Mapping[str, Decimal]:
    """Return the prices of the trading account, parsed again for the accounts that need them here."""
    try:
        return parsed(parse_trading, trading).prices
    except (Failure, ValueError, ArithmeticError):
        return NO_PRICES
