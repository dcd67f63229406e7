"""What was fetched of a wallet, and the verdict on it. Pure."""

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
# Amounts in USD. A list and the total of its own answer are of one moment and priced alike. OKX does not
# document that the one is the sum of the other, therefore a setting can widen this tolerance.
DUST = Decimal("0.01")
TOLERANCE = Decimal("0.001")
# A total of another moment is priced differently: only a gap that this can not explain says that rows are
# missing, or that they are somebody else's.
GAP = Decimal(10)
GAP_SHARE = Decimal("0.1")
# Where a sum has more decimals than a message carries, it keeps these, or fewer beside many digits.
USD_PLACES = 18
WIDE = Context(prec=MAX_AMOUNT_DIGITS + 20)
OLD = timedelta(days=1)
EARLIEST = datetime(2009, 1, 3, tzinfo=UTC)
# The detail of a fault may be of another part.
MAX_DETAIL = 1000
# So many rows are told; the others are counted, and their assets are missing.
MAX_UNREADABLE = 4000

NO_PRICES: Mapping[str, Decimal] = MappingProxyType({})

Parsed = TypeVar("Parsed")


class Fetched(msgspec.Struct, frozen=True):
    """The data of one read, our UTC clock before it, and how many seconds old a cache says that they are."""

    as_of: datetime
    data: Any
    age: int | None = None


class Worth(msgspec.Struct, frozen=True):
    """What rows are worth in USD: the sum of those that have a price, and that of their absolute values.

    `whole` says that all have one; `least` that the others are no debts, so that all are worth `usd` or more.
    """

    usd: Decimal = Decimal(0)
    gross: Decimal = Decimal(0)
    whole: bool = True
    least: bool = True

    def gap(self, total: Decimal) -> Decimal | None:
        """Give how much a total is above the rows' worth, None where that is not known.

        Where rows have no price, it is known only if the others are worth more already.
        """
        gap = total - self.usd
        return gap if self.whole or (self.least and gap < 0) else None

    def contradicts(self, gap: Decimal, total: Decimal) -> bool:
        """Tell whether a gap is too wide to be explained by prices of another moment."""
        return abs(gap) > max(GAP, GAP_SHARE * max(abs(total), self.gross))


class Listed(msgspec.Struct, frozen=True):
    """A wallet's list: its readable rows, what all rows are worth, and those that could not be read.

    `stated` is the total of the same answer in USD, None where it says none; `updated` when the exchange says
    that it last looked at the account. `prices` are what a unit of a currency is worth in USD.
    """

    balances: tuple[Balance, ...]
    worth: Worth = Worth()
    stated: Decimal | None = None
    unreadable: tuple[UnreadableRow, ...] = ()
    updated: datetime | None = None
    prices: Mapping[str, Decimal] = NO_PRICES

    @property
    def has_amounts(self) -> bool:
        """Tell whether anything is there, as far as it could be read."""
        return any(each.total for each in self.balances) or any(row.usd for row in self.unreadable)


class Checked(msgspec.Struct, frozen=True):
    """How a list was held against the exchange's totals; `difference` is what its own one says beyond it."""

    total_check: TotalCheck
    fits: bool = False
    difference: Decimal | None = None


def parsed(parse: Callable[[Any], Parsed], fetched: Fetched | Failure) -> Parsed:
    """Read what was fetched; raises Failure, that of the fetching or that of the reading."""
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
    """Give the verdict on a wallet; `valued` is the exchange's valuation in USD, None where there is none."""
    try:
        listed = parsed(parse, fetched)
        checked = check_total(listed, valued, tolerance)
    except Failure as fault:
        return unread(wallet, fault)
    except (ValueError, ArithmeticError):  # a value that no reader above has thought of
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
    )


def unread(wallet: str, fault: Failure) -> WalletRead:
    """Say why a wallet was not read."""
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
    """Hold a list tightly against the total of its own answer, and widely against the valuation.

    Raises ContradictoryTotal for a list without amounts beside either of them, and for one that can not be
    that of its own answer. Where its worth is not known, it is held against nothing.
    """
    for total in (listed.stated, valued):
        if total is not None and abs(total) > DUST and not listed.has_amounts:
            raise ContradictoryTotal("The list is empty.")
    fits, difference = _held_against_its_own(listed, tolerance)
    total_check = TotalCheck.DISAGREES if difference is not None else _held_against(listed.worth, valued)
    return Checked(total_check, fits, sendable(difference))


def retry_after(fetched: Sequence[Fetched | Failure]) -> float | None:
    """Give the longest time, in seconds, that the exchange asked us to wait."""
    asked = [each.retry_after for each in fetched if isinstance(each, Failure) and each.retry_after]
    return max(asked, default=None)


def _held_against_its_own(listed: Listed, tolerance: Decimal) -> tuple[bool, Decimal | None]:
    """Tell whether a list fits the total of its own answer, and if it does not, how much it lacks."""
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
    """Say why a list that was read is not complete."""
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
    """Write a sum so that a message carries it; None for one that no exchange can mean."""
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
    """Give the time that data are from where they are old, by the account itself or by a cache before it."""
    cached = None if fetched.age is None else fetched.as_of - timedelta(seconds=fetched.age)
    told = min((each for each in (updated, cached) if each is not None and each > EARLIEST), default=None)
    return told if told is not None and fetched.as_of - told > OLD else None
