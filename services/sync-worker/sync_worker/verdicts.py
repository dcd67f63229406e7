"""The verdict on the fetched data of a wallet. Pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from contracts.faults import Code, Failure, fault_of
from contracts.reasons import difference_words, rows_words
from contracts.syncs import TotalCheck, Totals, UnreadableRow, Verdict, WalletRead
from contracts.values import MAX_AMOUNT_DIGITS, Balance, check_digits
from sync_worker.errors import ContradictoryTotal, UnexpectedResponse

NOT_PERMITTED = frozenset({Code.PERMISSION_MISSING, Code.IP_BINDING_REQUIRED, Code.NOT_AVAILABLE})
# Amounts in USD. A list and the total of its own response have the same time and prices. OKX does not
# document that the total is the sum of the list, so a setting can widen this tolerance.
DUST = Decimal("0.01")
TOLERANCE = Decimal("0.001")
# A total of another time has other prices. Only a gap that this cannot explain shows that rows are missing,
# or belong to another account.
GAP = Decimal(10)
GAP_SHARE = Decimal("0.1")
# A sum with more decimals than a message can carry is rounded to this many, or fewer if it has many digits.
USD_PLACES = 18
WIDE = Context(prec=MAX_AMOUNT_DIGITS + 20)
OLD = timedelta(days=1)
EARLIEST = datetime(2009, 1, 3, tzinfo=UTC)
# The detail of a fault may come from another service.
MAX_DETAIL = 1000
# An outcome lists at most this many rows; the others are only counted, and their assets are missing.
MAX_UNREADABLE = 4000

NO_PRICES: Mapping[str, Decimal] = MappingProxyType({})

Parsed = TypeVar("Parsed")


class Fetched(msgspec.Struct, frozen=True):
    """The data of one read, our UTC clock before it, and their age in seconds if from a cache."""

    as_of: datetime
    data: Any
    age: int | None = None


class Worth(msgspec.Struct, frozen=True):
    """The worth of rows in USD: the sum of the priced rows, and the sum of their absolute values.

    `whole` says that all rows have a price. `least` says that rows without one are not debts, so that all
    rows together are worth at least `usd`.
    """

    usd: Decimal = Decimal(0)
    gross: Decimal = Decimal(0)
    whole: bool = True
    least: bool = True

    def gap(self, total: Decimal) -> Decimal | None:
        """Return how much a total exceeds the rows' worth; None if unknown.

        If some rows have no price, it is known only if the priced rows are already worth more.
        """
        gap = total - self.usd
        return gap if self.whole or (self.least and gap < 0) else None

    def contradicts(self, gap: Decimal, total: Decimal) -> bool:
        """Return whether a gap is too wide to be explained by prices of another time."""
        return abs(gap) > max(GAP, GAP_SHARE * max(abs(total), self.gross))


class Listed(msgspec.Struct, frozen=True):
    """A wallet's list: its readable rows, the worth of all rows, and its unreadable rows.

    `stated` is the total in the same response in USD, None if missing; `updated` is the time at which the
    exchange says it last looked at the account. `prices` are the USD prices of one unit of each currency.
    `quoted` are the prices that users may see, rounded to 12 digits.
    `lists_all` is false if the exchange values products of the wallet that are in no list.
    """

    balances: tuple[Balance, ...]
    worth: Worth = Worth()
    stated: Decimal | None = None
    unreadable: tuple[UnreadableRow, ...] = ()
    updated: datetime | None = None
    prices: Mapping[str, Decimal] = NO_PRICES
    lists_all: bool = True
    quoted: Mapping[str, Decimal] = NO_PRICES

    @property
    def has_amounts(self) -> bool:
        """Return whether any readable amount is not zero."""
        return any(each.total for each in self.balances) or any(row.usd for row in self.unreadable)


class Checked(msgspec.Struct, frozen=True):
    """The comparison of a list with the exchange's totals; `difference` is its own total less the list."""

    total_check: TotalCheck
    fits: bool = False
    difference: Decimal | None = None


def parsed(parse: Callable[[Any], Parsed], fetched: Fetched | Failure) -> Parsed:
    """Parse fetched data; raises the Failure of fetching or of parsing."""
    if isinstance(fetched, Failure):
        raise fetched
    return parse(fetched.data)


def judge(
    wallet: str,
    parse: Callable[[Any], Listed],
    fetched: Fetched | Failure,
    valued: Decimal | None,
    tolerance: Decimal = TOLERANCE,
) -> WalletRead:
    """Return the verdict on a wallet; `valued` is the exchange's valuation in USD, None if unknown."""
    try:
        listed = parsed(parse, fetched)
        checked = check_total(listed, valued, tolerance)
    except Failure as fault:
        return unread(wallet, fault)
    except (ValueError, ArithmeticError):  # a value that no parser above expects
        return unread(wallet, UnexpectedResponse("We can not read a value."))
    assert isinstance(fetched, Fetched)  # noqa: S101 - a Failure was raised by parsed
    code, words = _what_is_missing(listed, checked)
    return WalletRead(
        wallet,
        Verdict.INCOMPLETE if code else Verdict.COMPLETE,
        fetched.as_of,
        listed.balances,
        checked.total_check,
        code,
        words,
        totals=_totals(listed, valued, checked),
        unreadable=listed.unreadable[:MAX_UNREADABLE],
        unreadable_count=len(listed.unreadable),
        difference_usd=checked.difference,
        reported_at=_reported_at(fetched, listed.updated),
        prices=dict(listed.quoted),
    )


def unread(wallet: str, fault: Failure) -> WalletRead:
    """Return the verdict on a wallet that was not read, with the reason."""
    verdict = Verdict.NOT_PERMITTED if fault.code in NOT_PERMITTED else Verdict.FAILED
    detail = "".join(each for each in fault.detail[:MAX_DETAIL] if each.isprintable())
    return WalletRead(
        wallet,
        verdict,
        error_code=fault.code,
        error=fault_of(fault.code).told(detail),
        exchange_code=fault.exchange_code,
        endpoint=fault.endpoint,
    )


def check_total(listed: Listed, valued: Decimal | None, tolerance: Decimal = TOLERANCE) -> Checked:
    """Compare a list closely with the total of its own response, and loosely with the valuation.

    Raises ContradictoryTotal if the list has no amounts but either total is not zero, and if its worth
    contradicts its own total. If its worth is unknown, it is not compared.
    """
    for total in (listed.stated, valued if listed.lists_all else None):
        if total is not None and abs(total) > DUST and not listed.has_amounts:
            raise ContradictoryTotal("The list is empty.")
    fits, difference = _held_against_its_own(listed, tolerance)
    total_check = TotalCheck.DISAGREES if difference is not None else _held_against(listed.worth, valued)
    return Checked(total_check, fits, sendable(difference))


def retry_after(fetched: Sequence[Fetched | Failure]) -> float | None:
    """Return the longest time, in seconds, that the exchange asked us to wait."""
    asked = [each.retry_after for each in fetched if isinstance(each, Failure) and each.retry_after]
    return max(asked, default=None)


def _held_against_its_own(listed: Listed, tolerance: Decimal) -> tuple[bool, Decimal | None]:
    """Return whether a list matches the total of its own response, and if not, the amount it lacks."""
    worth, stated = listed.worth, listed.stated
    gap = None if stated is None else worth.gap(stated)
    if stated is None or gap is None:
        return False, None
    if worth.contradicts(gap, stated):
        raise ContradictoryTotal(f"The list is worth {'less' if gap > 0 else 'more'}.")
    if not worth.whole:
        return False, None
    fits = abs(gap) <= max(DUST, tolerance * max(abs(stated), worth.gross))
    return fits, None if fits else gap


def _held_against(worth: Worth, valued: Decimal | None) -> TotalCheck:
    gap = None if valued is None else worth.gap(valued)
    if valued is None or gap is None:
        return TotalCheck.UNCHECKED
    if worth.contradicts(gap, valued):
        return TotalCheck.DISAGREES
    return TotalCheck.AGREES if worth.whole else TotalCheck.UNCHECKED


def _what_is_missing(listed: Listed, checked: Checked) -> tuple[Code | None, str | None]:
    """Return the code and text of the reason why a list that was read is incomplete."""
    code, words = None, []
    if checked.difference is not None:
        code, words = Code.TOTAL_DISAGREES, [difference_words(checked.difference)]
    if listed.unreadable:
        rows = len(listed.balances) + len(listed.unreadable)
        why = [row.reason for row in listed.unreadable]
        code, words = Code.UNREADABLE_ROWS, [rows_words(why, len(listed.unreadable), rows), *words]
    return code, " ".join(words) or None


def _totals(listed: Listed, valued: Decimal | None, checked: Checked) -> Totals:
    worth = listed.worth
    usd, gross = (sendable(worth.usd), sendable(worth.gross)) if worth.whole else (None, None)
    return Totals(usd, gross, listed.stated, valued, checked.fits)


def sendable(usd: Decimal | None) -> Decimal | None:
    """Return a sum that a message can carry, rounded if needed; None for an implausibly large one."""
    if usd is None or usd.adjusted() >= MAX_AMOUNT_DIGITS:
        return None
    if _is_sendable(usd):
        return usd
    places = min(USD_PLACES, MAX_AMOUNT_DIGITS - max(0, usd.adjusted() + 1))
    rounded = usd.quantize(Decimal(1).scaleb(-places), context=WIDE)
    return rounded if _is_sendable(rounded) else None


def _is_sendable(usd: Decimal) -> bool:
    try:
        check_digits(usd)
    except ValueError:
        return False
    return True


def _reported_at(fetched: Fetched, updated: datetime | None) -> datetime | None:
    """Return the time of the data, by the account or by a cache, if it is older than a day."""
    cached = None if fetched.age is None else fetched.as_of - timedelta(seconds=fetched.age)
    told = min((each for each in (updated, cached) if each is not None and each > EARLIEST), default=None)
    return told if told is not None and fetched.as_of - told > OLD else None
