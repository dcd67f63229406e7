"""Whether a sync may leave a wallet unread, because it held nothing a short while ago. Pure."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from contracts.exchanges import EXCHANGES
from contracts.faults import Code, fault_of
from contracts.syncs import Verdict, WalletRead
from gateway.rows.balances import StoredBalance, StoredWallet
from gateway.rows.syncs import Queued

# For so long after a read that found nothing, the exchange's valuation stands in for the next ones. It tells
# nothing of assets that it has no price for.
LATELY = timedelta(hours=6)
# A request is written a moment before its sync.
MARGIN = timedelta(minutes=1)


def checked(sync: Queued, read: WalletRead, before: StoredWallet, old: Sequence[StoredBalance]) -> WalletRead:
    """Return the read of a wallet, as failed if the sync should not have said that it was not due.

    A worker of an earlier release does not cover some wallets; what is stored of them stays, with its time.
    """
    if read.verdict is not Verdict.NOT_DUE or read.wallet not in EXCHANGES[sync.exchange].covered_wallets:
        return read
    rightly = not old and _was_whole(before) and _is_lately(sync, before)
    return read if rightly else left_out(read)


def left_out(read: WalletRead) -> WalletRead:
    """Return a wallet that was left out as failed, with the valuation if there is one."""
    code = Code.INTERNAL_ERROR
    return msgspec.structs.replace(
        WalletRead(read.wallet, Verdict.FAILED, error_code=code, error=fault_of(code).words),
        totals=read.totals,
    )


def _was_whole(before: StoredWallet) -> bool:
    return before.error_code is None and before.as_of is not None


def _is_lately(sync: Queued, before: StoredWallet) -> bool:
    return before.as_of is not None and before.as_of > sync.requested_at - LATELY - MARGIN
