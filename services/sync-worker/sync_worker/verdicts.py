"""What was fetched of a wallet, and the verdict on it. Pure."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from contracts.faults import Code, Failure, fault_of
from contracts.syncs import TotalCheck, Verdict, WalletRead
from contracts.values import Balance
from sync_worker.errors import ContradictoryTotal

NOT_PERMITTED = frozenset({Code.PERMISSION_MISSING, Code.IP_BINDING_REQUIRED, Code.NOT_AVAILABLE})
DUST = Decimal("0.01")
# List and total are priced differently: only a gap that this can not explain says that rows are missing, or
# that they are somebody else's.
GAP = Decimal(10)
GAP_SHARE = Decimal("0.1")

Parsed = TypeVar("Parsed")


class Fetched(msgspec.Struct, frozen=True):
    """The data of one read, and our UTC clock before its request."""

    as_of: datetime
    data: Any


class Listed(msgspec.Struct, frozen=True):
    """A wallet's list, what its rows are worth in USD, and what the same answer says that they are worth.

    None where the exchange does not say it.
    """

    balances: tuple[Balance, ...]
    usd: Decimal | None = None
    stated: Decimal | None = None


def parsed(parse: Callable[[Any], Parsed], fetched: Fetched | Failure) -> Parsed:
    """Read what was fetched; raises Failure, that of the fetching or that of the reading."""
    if isinstance(fetched, Failure):
        raise fetched
    return parse(fetched.data)


def judge(
    wallet: str, parse: Callable[[Any], Listed], fetched: Fetched | Failure, total: Decimal | None
) -> WalletRead:
    """Give the verdict on a wallet; `total` is the exchange's own for it in USD, None where there is none."""
    try:
        listed = parsed(parse, fetched)
        check = check_total(listed, total)
    except Failure as fault:
        return unread(wallet, fault)
    assert isinstance(fetched, Fetched)  # noqa: S101 - a Failure was raised by parsed
    return WalletRead(wallet, Verdict.COMPLETE, fetched.as_of, listed.balances, check)


def unread(wallet: str, fault: Failure) -> WalletRead:
    """Say why a wallet was not read."""
    verdict = Verdict.NOT_PERMITTED if fault.code in NOT_PERMITTED else Verdict.FAILED
    words = " ".join(part for part in (fault_of(fault.code).words, fault.detail) if part)
    return WalletRead(wallet, verdict, error_code=fault.code, error=words)


def check_total(listed: Listed, total: Decimal | None) -> TotalCheck:
    """Tell whether a list agrees with the exchange's total; raises ContradictoryTotal.

    It must agree with the total of its own answer, too. Where the worth of the list is not known, only an
    empty one can contradict or agree.
    """
    for each in (listed.stated, total):
        if each is not None:
            _compare(listed, each)
    compared = total is not None and (listed.usd is not None or not listed.balances)
    return TotalCheck.AGREES if compared else TotalCheck.UNCHECKED


def _compare(listed: Listed, total: Decimal) -> None:
    if abs(total) > DUST and not any(balance.total for balance in listed.balances):
        raise ContradictoryTotal("The list is empty.")
    if listed.usd is not None and abs(total - listed.usd) > max(GAP, abs(total) * GAP_SHARE):
        raise ContradictoryTotal(f"The list is worth {'less' if total > listed.usd else 'more'}.")


def retry_after(fetched: Sequence[Fetched | Failure]) -> float | None:
    """Give the longest time, in seconds, that the exchange asked us to wait."""
    asked = [each.retry_after for each in fetched if isinstance(each, Failure) and each.retry_after]
    return max(asked, default=None)
