"""Proof that an outcome has the balances of the account of its sync, and of no other one. Pure."""

from collections.abc import Mapping, Sequence

from contracts.exchanges import EXCHANGES
from contracts.syncs import READ, SyncOutcome, Verdict, WalletRead
from gateway.portfolio.holdings import WalletState, wallet_state
from gateway.rows.balances import Place, StoredWallet
from gateway.rows.syncs import Queued


def is_proven(outcome: SyncOutcome, reads: Sequence[WalletRead], sync: Queued) -> bool:
    """Return whether an outcome read nothing, or says that it read the account of its sync.

    A worker that does not know sub-accounts reads the master's balances with the master's key, and does not
    name the sub-account that it was asked for.
    """
    if outcome.sub_account == sync.sub_account:
        return True
    return not any(read.verdict in {*READ, Verdict.NOT_DUE} or read.positions is not None for read in reads)


def as_reached(reads: tuple[WalletRead, ...], sync: Queued) -> tuple[WalletRead, ...]:
    """Return the reads; wallets that the key of a master can not read are not covered."""
    if sync.sub_account is None:
        return reads
    reached = EXCHANGES[sync.exchange].sub_account_wallets
    return tuple(
        read if read.wallet in reached else WalletRead(read.wallet, Verdict.NOT_COVERED) for read in reads
    )


def wallets_to_read(sync: Queued, kept: Mapping[Place, StoredWallet]) -> tuple[str, ...]:
    """Return the wallets that a complete sync reads: all covered wallets that the key reaches.

    `kept` are the wallets as the sync leaves them. A wallet that it left out is to be read while its old list
    is shown.
    """
    exchange = EXCHANGES[sync.exchange]
    reached = exchange.covered_wallets if sync.sub_account is None else exchange.sub_account_wallets
    states = {each: wallet_state(kept.get(Place(sync.account_id, each))) for each in reached}
    return tuple(each for each in reached if states[each] is not WalletState.NOT_COVERED)
