"""What an outcome means to this gateway: each wallet of the exchange once, as far as known here. Pure."""

from datetime import UTC, datetime

from contracts.bus.envelope import Malformed
from contracts.catalogue import EXCHANGES, Exchange, Wallet
from contracts.faults import Code, fault_of
from contracts.syncs import Status, SyncFailed, SyncOutcome, Verdict, WalletRead, holdings_count, status_of
from gateway.store.syncs import Ending, WalletVerdict

EARLIEST, LATEST = datetime(2009, 1, 3, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)


def wallet_reads(outcome: SyncOutcome) -> tuple[WalletRead, ...]:
    """Give the read of every wallet of the exchange; a sync that failed as a whole failed for each covered.

    A wallet that this version does not know, or does not know to be covered, is left out; one that the
    outcome lacks was not covered. Raises Malformed for an exchange that is not known, a wallet that is
    named twice, and a list that can not be stored.
    """
    exchange = EXCHANGES.get(outcome.exchange)
    if exchange is None:
        raise Malformed("the outcome is of an exchange that is not known here")
    said = {read.wallet: read for read in outcome.wallets}
    if len(said) != len(outcome.wallets):
        raise Malformed("the outcome names a wallet twice")
    if isinstance(outcome, SyncFailed) and not outcome.wallets:
        said = _failed_whole(outcome, exchange)
    return tuple(_known(entry, said.get(entry.key)) for entry in exchange.wallets)


def unknown_wallets(outcome: SyncOutcome) -> list[str]:
    """Name the wallets that a later version reads and this one does not know."""
    known = {wallet.key for wallet in EXCHANGES[outcome.exchange].wallets}
    return sorted({read.wallet for read in outcome.wallets} - known)


def ending(outcome: SyncOutcome) -> Ending:
    """Say what an outcome means for its sync, whatever status it claims.

    A sync that is not completed carries the fault of its outcome, or the first one of its wallets.
    """
    reads = wallet_reads(outcome)
    status = status_of(reads)
    error_code, error = (None, None) if status is Status.COMPLETED else _fault(outcome, status, reads)
    return Ending(status, holdings_count(reads), error_code, error, tuple(map(_verdict, reads)))


def completed_as_of(outcome: SyncOutcome) -> datetime | None:
    """Give the oldest time of a sync that read every wallet that this version covers; None for any other."""
    reads = wallet_reads(outcome)
    covered = EXCHANGES[outcome.exchange].covered_wallets
    if [read.wallet for read in reads if read.verdict is Verdict.COMPLETE] != list(covered):
        return None
    return min((read.as_of for read in reads if read.as_of is not None), default=None)


def _fault(
    outcome: SyncOutcome, status: Status, reads: tuple[WalletRead, ...]
) -> tuple[str | None, str | None]:
    if isinstance(outcome, SyncFailed) and status is Status.FAILED:
        return outcome.error_code, outcome.error
    for read in reads:
        if read.error_code is not None:
            return read.error_code, read.error
    return Code.INTERNAL_ERROR, fault_of(Code.INTERNAL_ERROR).words


def _failed_whole(outcome: SyncFailed, exchange: Exchange) -> dict[str, WalletRead]:
    return {
        wallet: WalletRead(wallet, Verdict.FAILED, error_code=outcome.error_code, error=outcome.error)
        for wallet in exchange.covered_wallets
    }


def _known(entry: Wallet, read: WalletRead | None) -> WalletRead:
    """Keep of a read what this version understands of it."""
    if read is None or not entry.covered or read.verdict is Verdict.NOT_COVERED:
        return WalletRead(entry.key, Verdict.NOT_COVERED)
    if read.verdict is Verdict.COMPLETE:
        _check(read)
        return read
    code = read.error_code or Code.INTERNAL_ERROR
    return WalletRead(entry.key, read.verdict, error_code=code, error=read.error or fault_of(code).words)


def _check(read: WalletRead) -> None:
    """Refuse a read that can not be stored; raises Malformed."""
    assets = [balance.asset for balance in read.balances or ()]
    if len(set(assets)) != len(assets):
        raise Malformed("a wallet holds an asset twice")
    if read.as_of is None or not EARLIEST <= read.as_of <= LATEST:
        raise Malformed("a wallet was read at a time that can not be")


def _verdict(read: WalletRead) -> WalletVerdict:
    return WalletVerdict(read.wallet, read.verdict, read.as_of, read.total_check, read.error_code, read.error)
