"""Translating an outcome into the wallets, verdicts and codes that this gateway version knows. Pure."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from contracts.exchanges import EXCHANGES
from contracts.exchanges.types import Exchange, Wallet
from contracts.faults import Code, fault_of
from contracts.syncs import (
    LEFT_OUT,
    LEFT_OUT_CODES,
    NOTHING_USD,
    READ,
    Status,
    SyncFailed,
    SyncOutcome,
    TotalCheck,
    Totals,
    Verdict,
    WalletRead,
    holdings_count,
    status_of,
)
from contracts.values import amount_text
from contracts.wire.envelope import Malformed
from contracts.wire.outcomes import whole
from gateway.portfolio.emptiness import left_out
from gateway.portfolio.quoted import credible
from gateway.rows.syncs import Ending, ReadDetail, WalletVerdict
from gateway.syncs.bounds import check_bounds
from gateway.wording import known_rows, words_of

MAX_NAMED = 20


def wallet_reads(outcome: SyncOutcome) -> tuple[WalletRead, ...]:
    """Return the read of every wallet of the exchange; a sync that failed as a whole failed all covered ones.

    Wallets that this version does not know, or does not know as covered, are left out. Wallets that the
    outcome lacks are not covered. Texts of the outcome are replaced by known ones. Raises Malformed for an
    unknown exchange, a wallet named twice, and a list that can not be stored.
    """
    exchange = EXCHANGES.get(outcome.exchange)
    if exchange is None:
        raise Malformed("the outcome is of an exchange that is not known here")
    for named in (outcome.wallets, outcome.further):
        if len({read.wallet for read in named}) != len(named):
            raise Malformed("the outcome names a wallet twice")
    outcome = whole(outcome)
    said = {read.wallet: read for read in outcome.wallets}
    if isinstance(outcome, SyncFailed) and not outcome.wallets:
        said = _failed_whole(outcome.error_code, exchange)
    return tuple(_known(exchange, entry, said.get(entry.key)) for entry in exchange.wallets)


def reads_failed(exchange: str, code: str, words: str | None = None) -> tuple[WalletRead, ...]:
    """Return the reads of a sync that failed as a whole; `words`, if given, replace the code's text."""
    entry = EXCHANGES[exchange]
    said = _failed_whole(code, entry)
    reads = tuple(_known(entry, wallet, said.get(wallet.key)) for wallet in entry.wallets)
    if words is None:
        return reads
    return tuple(msgspec.structs.replace(read, error=words) if read.error_code else read for read in reads)


def read_detail(read: WalletRead) -> ReadDetail:
    """Return the details of a read, with the texts of at most MAX_NAMED unreadable rows."""
    reasons = dict.fromkeys(f"{row.asset or 'a row'}: {row.reason}" for row in read.unreadable)
    return ReadDetail(
        unreadable_rows=read.unreadable_count,
        unreadable=tuple(reasons)[:MAX_NAMED],
        difference_usd=None if read.difference_usd is None else amount_text(read.difference_usd),
        reported_at=read.reported_at,
        exchange_code=read.exchange_code,
        endpoint=read.endpoint,
    )


def unknown_wallets(outcome: SyncOutcome) -> list[str]:
    """Return the wallets of an outcome that this version does not know."""
    known = {wallet.key for wallet in EXCHANGES[outcome.exchange].wallets}
    return sorted({read.wallet for read in (*outcome.wallets, *outcome.further)} - known)


def ending(outcome: SyncOutcome, reads: tuple[WalletRead, ...]) -> Ending:
    """Return the terminal state of a sync from its wallets as kept, whatever status the outcome claims.

    A sync that is not completed has the fault of its outcome, or the first fault of its wallets.
    """
    status = status_of(reads)
    error_code, error = (None, None) if status is Status.COMPLETED else _fault(outcome, status, reads)
    return Ending(status, holdings_count(reads), error_code, error, tuple(map(_verdict, reads)))


def read_before(read: WalletRead, recorded_at: datetime) -> WalletRead:
    """Limit the time of a read to its recording time, so that no number is dated in the future."""
    times = {
        name: recorded_at
        for name in ("as_of", "positions_as_of")
        if (told := getattr(read, name)) is not None and told > recorded_at
    }
    return msgspec.structs.replace(read, **times) if times else read


def completed_as_of(covered: Sequence[str], reads: tuple[WalletRead, ...]) -> datetime | None:
    """Return the oldest read time of a sync that read all these wallets, else None.

    A wallet that was not due has the time of its valuation.
    """
    complete = [read.wallet for read in reads if read.verdict in {Verdict.COMPLETE, Verdict.NOT_DUE}]
    if status_of(reads) is not Status.COMPLETED or complete != list(covered):
        return None
    return min((read.as_of for read in reads if read.as_of is not None), default=None)


def _fault(
    outcome: SyncOutcome, status: Status, reads: tuple[WalletRead, ...]
) -> tuple[str | None, str | None]:
    if isinstance(outcome, SyncFailed) and status is Status.FAILED:
        first = next((read for read in reads if read.error_code == outcome.error_code), None)
        return outcome.error_code, first.error if first else fault_of(outcome.error_code).words
    disagrees = any(read.total_check is TotalCheck.DISAGREES for read in reads)
    for read in sorted(reads, key=lambda each: each.verdict in LEFT_OUT):
        if read.error_code is not None and not (disagrees and read.verdict in LEFT_OUT):
            return read.error_code, read.error
    code = Code.TOTAL_DISAGREES if disagrees else Code.INTERNAL_ERROR
    return code, fault_of(code).words


def _failed_whole(code: str, exchange: Exchange) -> dict[str, WalletRead]:
    return {
        wallet: WalletRead(wallet, Verdict.FAILED, error_code=code) for wallet in exchange.covered_wallets
    }


def _known(exchange: Exchange, entry: Wallet, read: WalletRead | None) -> WalletRead:
    """Reduce a read to what this version understands; raises Malformed."""
    if read is None or not entry.covered:
        return WalletRead(entry.key, Verdict.NOT_COVERED)
    if read.verdict is Verdict.NOT_COVERED:
        return _omitted(exchange, read)
    if read.verdict is Verdict.NOT_DUE:
        return _unread_rightly(exchange, read)
    return _understood(exchange, read)


def _understood(exchange: Exchange, read: WalletRead) -> WalletRead:
    if "\0" in (read.error or ""):
        raise Malformed("the words of a wallet can not be words")
    if read.wallet not in exchange.position_wallets:
        read = msgspec.structs.replace(read, positions=None, positions_as_of=None, positions_code=None)
    if read.verdict in READ or read.positions is not None or read.totals is not None:
        check_bounds(exchange, read)
    if read.verdict in READ:
        read = msgspec.structs.replace(read, unreadable=known_rows(read), prices=credible(exchange, read))
    if read.verdict is Verdict.COMPLETE:
        return msgspec.structs.replace(read, error_code=None, error=None)
    if read.verdict is Verdict.INCOMPLETE:
        code = read.error_code or Code.UNREADABLE_ROWS
        return msgspec.structs.replace(read, error_code=code, error=words_of(read, code, exchange))
    code = read.error_code or Code.INTERNAL_ERROR
    return WalletRead(
        read.wallet,
        read.verdict,
        error_code=code,
        error=words_of(read, code, exchange),
        exchange_code=read.exchange_code,
        endpoint=read.endpoint,
        totals=_valued(read),
        positions=read.positions,
        positions_as_of=read.positions_as_of,
        positions_code=read.positions_code,
    )


def _unread_rightly(exchange: Exchange, read: WalletRead) -> WalletRead:
    """Return a wallet that was not due, with its valuation; as failed if the exchange values it at more.

    Raises Malformed.
    """
    check_bounds(exchange, read)
    valued = None if read.totals is None else read.totals.valued
    said = WalletRead(read.wallet, read.verdict, read.as_of, totals=_valued(read))
    nothing = valued is not None and abs(valued) <= NOTHING_USD
    known = read.as_of is not None and read.wallet in exchange.valued_wallets
    return said if nothing and known else left_out(said)


def _omitted(exchange: Exchange, read: WalletRead) -> WalletRead:
    """Return a wallet that is not covered, with the reason and the valuation if the reason is known.

    Raises Malformed.
    """
    if read.error_code not in LEFT_OUT_CODES:
        return WalletRead(read.wallet, read.verdict)
    check_bounds(exchange, read)
    return WalletRead(
        read.wallet,
        read.verdict,
        error_code=read.error_code,
        error=words_of(read, read.error_code, exchange),
        exchange_code=read.exchange_code,
        endpoint=read.endpoint,
        totals=_valued(read),
    )


def _valued(read: WalletRead) -> Totals | None:
    """Return only the exchange's valuation of a wallet that was not read."""
    return None if read.totals is None else Totals(valued=read.totals.valued)


def _verdict(read: WalletRead) -> WalletVerdict:
    return WalletVerdict(
        read.wallet,
        read.verdict,
        read.as_of,
        read.total_check,
        read.error_code,
        read.error,
        **read_detail(read).shared(),
    )
