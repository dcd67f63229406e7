"""What an outcome means to this gateway: each wallet of the exchange once, as far as known here. Pure."""

from datetime import datetime

import msgspec

from contracts.exchanges import EXCHANGES
from contracts.exchanges.types import Exchange, Wallet
from contracts.faults import Code, fault_of
from contracts.syncs import (
    READ,
    Status,
    SyncFailed,
    SyncOutcome,
    TotalCheck,
    Verdict,
    WalletRead,
    holdings_count,
    status_of,
)
from contracts.values import amount_text
from contracts.wire.envelope import Malformed
from gateway.store.syncs import Ending, WalletVerdict
from gateway.syncs.bounds import check_bounds
from gateway.wording import known_rows, words_of

MAX_NAMED = 20


def wallet_reads(outcome: SyncOutcome) -> tuple[WalletRead, ...]:
    """Give the read of every wallet of the exchange; a sync that failed as a whole failed for each covered.

    A wallet that this version does not know, or does not know to be covered, is left out; one that the
    outcome lacks was not covered. Raises Malformed for an exchange that is not known, a wallet that is
    named twice, and a list that can not be stored. No text of an outcome is taken over.
    """
    exchange = EXCHANGES.get(outcome.exchange)
    if exchange is None:
        raise Malformed("the outcome is of an exchange that is not known here")
    said = {read.wallet: read for read in outcome.wallets}
    if len(said) != len(outcome.wallets):
        raise Malformed("the outcome names a wallet twice")
    if isinstance(outcome, SyncFailed) and not outcome.wallets:
        said = _failed_whole(outcome.error_code, exchange)
    return tuple(_known(exchange, entry, said.get(entry.key)) for entry in exchange.wallets)


def reads_failed(exchange: str, code: str, words: str | None = None) -> tuple[WalletRead, ...]:
    """Give the reads of a sync that failed as a whole, with words of ours where the code's do not say all."""
    entry = EXCHANGES[exchange]
    said = _failed_whole(code, entry)
    reads = tuple(_known(entry, wallet, said.get(wallet.key)) for wallet in entry.wallets)
    if words is None:
        return reads
    return tuple(msgspec.structs.replace(read, error=words) if read.error_code else read for read in reads)


def unreadable_rows(read: WalletRead) -> tuple[str, ...]:
    """Say which rows of a wallet could not be read and why, some of them where there are many."""
    reasons = dict.fromkeys(f"{row.asset or 'a row'}: {row.reason}" for row in read.unreadable)
    return tuple(reasons)[:MAX_NAMED]


def difference_text(read: WalletRead) -> str | None:
    """Write what a list lacks beside the total of its own answer, in USD."""
    return None if read.difference_usd is None else amount_text(read.difference_usd)


def unknown_wallets(outcome: SyncOutcome) -> list[str]:
    """Name the wallets that a later version reads and this one does not know."""
    known = {wallet.key for wallet in EXCHANGES[outcome.exchange].wallets}
    return sorted({read.wallet for read in outcome.wallets} - known)


def ending(outcome: SyncOutcome, reads: tuple[WalletRead, ...]) -> Ending:
    """Say what an outcome means for its sync, whatever status it claims; `reads` are its wallets as kept.

    A sync that is not completed carries the fault of its outcome, or the first one of its wallets.
    """
    status = status_of(reads)
    error_code, error = (None, None) if status is Status.COMPLETED else _fault(outcome, status, reads)
    return Ending(status, holdings_count(reads), error_code, error, tuple(map(_verdict, reads)))


def read_before(read: WalletRead, recorded_at: datetime) -> WalletRead:
    """Bound the time of a read by that of its recording: no number is of the future."""
    if read.as_of is None or read.as_of <= recorded_at:
        return read
    return msgspec.structs.replace(read, as_of=recorded_at)


def completed_as_of(exchange: str, reads: tuple[WalletRead, ...]) -> datetime | None:
    """Give the oldest time of a sync that read every wallet that this version covers; None for any other."""
    covered = EXCHANGES[exchange].covered_wallets
    complete = [read.wallet for read in reads if read.verdict is Verdict.COMPLETE]
    if status_of(reads) is not Status.COMPLETED or complete != list(covered):
        return None
    return min((read.as_of for read in reads if read.as_of is not None), default=None)


def _fault(
    outcome: SyncOutcome, status: Status, reads: tuple[WalletRead, ...]
) -> tuple[str | None, str | None]:
    if isinstance(outcome, SyncFailed) and status is Status.FAILED:
        first = next((read for read in reads if read.error_code == outcome.error_code), None)
        return outcome.error_code, first.error if first else fault_of(outcome.error_code).words
    for read in reads:
        if read.error_code is not None:
            return read.error_code, read.error
    disagrees = any(read.total_check is TotalCheck.DISAGREES for read in reads)
    code = Code.TOTAL_DISAGREES if disagrees else Code.INTERNAL_ERROR
    return code, fault_of(code).words


def _failed_whole(code: str, exchange: Exchange) -> dict[str, WalletRead]:
    return {
        wallet: WalletRead(wallet, Verdict.FAILED, error_code=code) for wallet in exchange.covered_wallets
    }


def _known(exchange: Exchange, entry: Wallet, read: WalletRead | None) -> WalletRead:
    """Keep of a read what this version understands of it; raises Malformed."""
    if read is None or not entry.covered or read.verdict is Verdict.NOT_COVERED:
        return WalletRead(entry.key, Verdict.NOT_COVERED)
    if "\0" in (read.error or ""):
        raise Malformed("the words of a wallet can not be words")
    if read.verdict in READ:
        check_bounds(exchange, read)
        read = msgspec.structs.replace(read, unreadable=known_rows(read))
    if read.verdict is Verdict.COMPLETE:
        return msgspec.structs.replace(read, error_code=None, error=None)
    if read.verdict is Verdict.INCOMPLETE:
        code = read.error_code or Code.UNREADABLE_ROWS
        return msgspec.structs.replace(read, error_code=code, error=words_of(read, code, exchange))
    code = read.error_code or Code.INTERNAL_ERROR
    return WalletRead(
        entry.key,
        read.verdict,
        error_code=code,
        error=words_of(read, code, exchange),
        exchange_code=read.exchange_code,
        endpoint=read.endpoint,
    )


def _verdict(read: WalletRead) -> WalletVerdict:
    return WalletVerdict(
        read.wallet,
        read.verdict,
        read.as_of,
        read.total_check,
        read.error_code,
        read.error,
        unreadable_rows=read.unreadable_count,
        unreadable=unreadable_rows(read),
        difference_usd=difference_text(read),
        reported_at=read.reported_at,
        exchange_code=read.exchange_code,
        endpoint=read.endpoint,
    )
