"""The state of a wallet that a sync leaves out with a reason, so that no number vanishes silently. Pure."""

from collections.abc import Collection, Sequence
from datetime import timedelta

import msgspec

from contracts.exchanges import EXCHANGES
from contracts.faults import Code
from contracts.syncs import LEFT_OUT_CODES, READ, Verdict, WalletRead
from gateway.portfolio.emptiness import MARGIN
from gateway.portfolio.holdings import WalletState, wallet_state
from gateway.rows.balances import Detail, Omitted, StoredBalance, StoredWallet
from gateway.rows.syncs import Queued

# For so long after the exchange refused to open a wallet, syncs do not ask for it.
REFUSED_FOR = timedelta(hours=24)


def is_omitted(read: WalletRead) -> bool:
    """Return whether a sync left a wallet out with a reason."""
    return read.verdict is Verdict.NOT_COVERED and read.error_code in LEFT_OUT_CODES


def says_nothing(read: WalletRead, reads: Sequence[WalletRead], before: StoredWallet) -> bool:
    """Return whether a sync that failed as a whole leaves a wallet not covered, with its reason."""
    failed = not any(each.verdict in READ for each in reads)
    return failed and not is_omitted(read) and wallet_state(before) is WalletState.NOT_COVERED


def can_go(sync: Queued, read: WalletRead, reads: Sequence[WalletRead], old: Sequence[StoredBalance]) -> bool:
    """Return whether the old list of a wallet goes after this sync.

    The list is empty, or the same sync read the wallet that has its contents now: they would count twice.
    A sync that read no other wallet takes nothing away.
    """
    found = {each.wallet for each in reads if each.verdict in READ}
    replacing = EXCHANGES[sync.exchange].replacing_wallets
    if read.error_code == Code.HELD_ELSEWHERE:
        return any(read.wallet in replaced for wallet, replaced in replacing.items() if wallet in found)
    if read.error_code == Code.NOT_ENABLED and _is_back(replacing.get(read.wallet, ()), reads, found):
        return True
    return bool(found) and not old


def _is_back(replaced: Sequence[str], reads: Sequence[WalletRead], found: Collection[str]) -> bool:
    """Return whether wallets hold again what another one held: read, or left out for their own reasons."""
    out = {each.wallet for each in reads if is_omitted(each) and each.error_code != Code.HELD_ELSEWHERE}
    return any(each in found for each in replaced) and all(each in found or each in out for each in replaced)


def as_omitted(sync: Queued, read: WalletRead, before: StoredWallet, *, gone: bool) -> StoredWallet:
    """Return the wallet with the reason why it was left out; its old list is stale, or `gone`."""
    known = Detail(0) if gone else before.known
    detail = msgspec.structs.replace(
        known,
        number=sync.number,
        incomplete=False,
        exchange_code=read.exchange_code,
        endpoint=read.endpoint,
        omitted=_omitted(sync, read, before),
    )
    shown = StoredWallet(read.wallet, None, None, None, None) if gone else before
    return msgspec.structs.replace(
        shown, sync_number=sync.number, error_code=read.error_code, error=read.error, detail=detail
    )


def _omitted(sync: Queued, read: WalletRead, before: StoredWallet) -> Omitted:
    """Return when a wallet was left out; a refusal of less than a day before keeps its time.

    A request is written a moment before its sync, so one at the end of the day may or may not have asked: the
    time then stays, and the next sync asks.
    """
    valued = None if read.totals is None else read.totals.valued
    if read.error_code != Code.REFUSED_RIGHT:
        return Omitted(sync.now, valued)
    last = before.known.omitted
    refused_at = last.refused_at if last and last.credential_id == sync.credential_id else None
    since = None if refused_at is None else sync.requested_at - refused_at
    repeats = since is not None and timedelta(0) <= since < REFUSED_FOR + MARGIN
    return Omitted(sync.now, valued, refused_at if repeats else sync.now, sync.credential_id)
