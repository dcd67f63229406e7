"""The verdict on a wallet that several reads make: a part that could not be read affects no other. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Context, Decimal

import msgspec

from contracts.faults import Code, Failure, fault_of
from contracts.syncs import NOTHING_USD, Totals, UnreadableRow, Verdict, WalletRead
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.rows import Row
from sync_worker.exchanges.values import ZERO
from sync_worker.verdicts import NOT_PERMITTED, Fetched, unread

Entry = Row | UnreadableRow
# Enough digits for exact sums of all amounts that a message can carry.
EXACT = Context(prec=200)


def collected(
    parts: Mapping[str, Callable[[], list[Entry]]], failed: list[tuple[str, Failure]]
) -> list[Entry]:
    """Return the entries of parts; a part that can not be parsed is added to the failed ones."""
    entries: list[Entry] = []
    for name, read in parts.items():
        try:
            entries += read()
        except Failure as fault:
            failed.append((name, fault))
        except (ValueError, ArithmeticError):  # a value that no parser expects
            failed.append((name, UnexpectedResponse("We can not read a value.")))
    return entries


def worst(failed: Sequence[tuple[str, Fetched | Failure]]) -> tuple[str, Failure]:
    """Return the fault that decides: first one that may pass, last one of a missing permission."""
    faults = [(name, each) for name, each in failed if isinstance(each, Failure)]
    return min(faults, key=lambda each: (not fault_of(each[1].code).retryable, each[1].code in NOT_PERMITTED))


def unread_part(wallet: str, name: str, fault: Failure) -> WalletRead:
    """Return a wallet as unread because of one of its parts."""
    return msgspec.structs.replace(unread(wallet, fault), endpoint=fault.endpoint or name)


def without_parts(told: WalletRead, failed: Sequence[tuple[str, Failure]]) -> WalletRead:
    """Return a read without some of its parts; the sum of the others is not the worth of the wallet."""
    name, fault = worst(failed)
    if told.verdict not in {Verdict.COMPLETE, Verdict.INCOMPLETE}:
        return told
    return msgspec.structs.replace(
        told,
        verdict=Verdict.INCOMPLETE,
        error_code=Code.UNREAD_PARTS,
        error=fault_of(Code.UNREAD_PARTS).words,
        exchange_code=fault.exchange_code,
        endpoint=fault.endpoint or name,
        unread_parts=tuple(sorted({part for part, _ in failed})),
        totals=Totals(valued=told.totals.valued) if told.totals else None,
    )


def totals_of(entries: Iterable[Entry]) -> dict[str, Decimal]:
    """Return the exact sums of the readable amounts by asset."""
    totals: dict[str, Decimal] = {}
    for entry in entries:
        if isinstance(entry, Row):
            totals[entry.asset] = EXACT.add(totals.get(entry.asset, ZERO), entry.balance.total)
    return totals


def is_worth_nothing(valuation: Fetched | Failure, valued: Decimal | None) -> bool:
    """Return whether a valuation that is of now values a wallet at nothing."""
    now = isinstance(valuation, Fetched) and not valuation.age
    return now and valued is not None and abs(valued) <= NOTHING_USD


def not_due(wallet: str, valuation: Fetched | Failure, valued: Decimal | None) -> WalletRead:
    """Return a wallet as unread because of its valuation."""
    as_of = valuation.as_of if isinstance(valuation, Fetched) else None
    return WalletRead(wallet, Verdict.NOT_DUE, as_of, totals=Totals(valued=valued))
