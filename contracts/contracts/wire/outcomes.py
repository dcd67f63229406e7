"""Outcomes as they are sent: each gateway finds those wallets among `wallets` that its release covers.

The gateways of the first release refuse an outcome in which a wallet is read that they do not cover, and one
with a verdict that they do not know. So wallets that we cover since then stand in `further`, and in `wallets`
as not covered.
"""

import msgspec

from contracts.exchanges import EXCHANGES
from contracts.syncs import LEFT_OUT, SyncCompleted, SyncOutcome, Verdict, WalletRead, status_of


def apart(outcome: SyncOutcome) -> SyncOutcome:
    """Return an outcome as a worker sends it.

    Its status is that of `wallets` alone, because the gateways of the first release compare the two.
    """
    added = EXCHANGES[outcome.exchange].added_wallets
    further = tuple(read for read in outcome.wallets if read.wallet in added)
    wallets = tuple(
        WalletRead(read.wallet, Verdict.NOT_COVERED) if read.wallet in added else read
        for read in outcome.wallets
    )
    sent = msgspec.structs.replace(outcome, wallets=wallets, further=further)
    if isinstance(sent, SyncCompleted):
        return msgspec.structs.replace(sent, status=status_of(wallets))
    return sent


def whole(outcome: SyncOutcome) -> SyncOutcome:
    """Return a received outcome with the further wallets in their places.

    A wallet that `wallets` has with a verdict is not replaced. The status is that of all of them.
    """
    if not outcome.further:
        return outcome
    further = {read.wallet: read for read in outcome.further}
    taken = tuple(
        further.pop(read.wallet, read) if read.verdict in LEFT_OUT else read for read in outcome.wallets
    )
    named = {read.wallet for read in taken}
    added = tuple(read for name, read in further.items() if name not in named)
    received = msgspec.structs.replace(outcome, wallets=(*taken, *added), further=())
    if isinstance(received, SyncCompleted):
        return msgspec.structs.replace(received, status=status_of(received.wallets))
    return received
