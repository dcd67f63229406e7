"""Decide whether to retry a sync, and build its outcome. Pure."""

import msgspec

from contracts.exchanges.types import Exchange
from contracts.faults import Actor, Code, Failure, failure, fault_of
from contracts.syncs import (
    MAX_OUTCOME_BYTES,
    READ,
    Rights,
    Status,
    SubAccount,
    SubAccountList,
    SyncCompleted,
    SyncFailed,
    SyncOutcome,
    SyncRequested,
    Verdict,
    WalletRead,
    status_of,
)
from contracts.uncovered import Uncovered
from contracts.wire.envelope import encode
from contracts.wire.outcomes import apart
from sync_worker.errors import ClocksDisagree, ExchangeClosed, HeldBack
from sync_worker.verdicts import unread

MAX_TRIES = 4
# The least time before the deadline for which a try is worth starting.
TRY_SECONDS = 2.0
# Our own parts recover without help; waiting for them does not use up the tries at the exchange.
OWN_PARTS = frozenset({Code.VAULT_UNAVAILABLE, Code.SIGNING_UNAVAILABLE})
OWN_PARTS_DELAY = 6.25
# Fewer than the server's limit of deliveries (contracts.wire.topology.MAX_DELIVER).
MAX_DELIVERIES = 45
# The user must act on these, but the other wallet may become readable meanwhile.
OF_ONE_WALLET = frozenset({Code.ACCOUNT_RESTRICTED, Code.COMPLIANCE_REQUIRED})
FORGOTTEN = failure(Code.INTERNAL_ERROR)
# The longest delay of a redelivery.
MAX_DELAY = 60.0
# Faults of the exchange that end by themselves: for the first of them, a sync waits.
OF_EXCHANGE = (
    Code.RATE_LIMITED,
    Code.EXCHANGE_UNAVAILABLE,
    Code.EXCHANGE_UNREACHABLE,
    Code.EXCHANGE_TIMEOUT,
)
# A sync fails with the time of the next try for these.
CLOSED = frozenset({Code.RATE_LIMITED, Code.EXCHANGE_UNAVAILABLE})
MAX_RETRY_AFTER = 86400.0
# A reading and its outcome have these alike.
FOUND = ("uncovered", "sub_account", "sub_accounts")
# Below MAX_DELAY, because jitter adds up to a fifth.
LONGEST_BACKOFF = 50.0
# A wait that we know is lengthened by chance by a fifth, up to this.
SPREAD_SECONDS = 5.0


class Reading(msgspec.Struct, frozen=True):
    """The covered wallets as one try read them; `retry_after` is the exchange's, in seconds.

    `clocks_disagree` says that no read was sent, because our own clocks disagree, and `held_back` that the
    sync waits with all others: our address has used up a limit, or the exchange is closed.
    `rights` are the key's rights; if they are unreadable, `rights_code` is the reason. `uncovered` are parts
    that no wallet contains. These are the wallets of `sub_account`, if the exchange proves that;
    `sub_accounts` is the list of the key's sub-accounts, if the request asked for it.
    """

    wallets: tuple[WalletRead, ...]
    retry_after: float | None = None
    clocks_disagree: bool = False
    held_back: bool = False
    rights: Rights | None = None
    rights_code: str | None = None
    uncovered: tuple[Uncovered, ...] = ()
    sub_account: SubAccount | None = None
    sub_accounts: SubAccountList | None = None


def nothing_read(exchange: Exchange, fault: Failure) -> Reading:
    """Return the reading of a try that failed for all wallets."""
    wallets = tuple(unread(wallet, fault) for wallet in exchange.covered_wallets)
    held_back = isinstance(fault, HeldBack | ExchangeClosed)
    return Reading(wallets, fault.retry_after, isinstance(fault, ClocksDisagree), held_back)


class Attempt(msgspec.Struct, frozen=True):
    """The delivery of a request that led to a reading, from 1, and the number of earlier outages."""

    delivery: int
    outages: int = 0


def next_try(reading: Reading, attempt: Attempt, seconds_left: float, jitter: float) -> float | None:
    """Return the seconds until the next try, or None if the reading is final.

    `jitter` is a factor around 1.
    """
    if meets_outage(reading):
        backoff = _outage_backoff(MAX_DELIVERIES - attempt.delivery, seconds_left)
    else:
        backoff = _backoff(_failures(reading), max(1, attempt.delivery - attempt.outages))
    if not backoff:
        return None
    # Not earlier than the exchange allows.
    asked = reading.retry_after or 0.0
    if reading.held_back:
        delay = max(backoff * jitter, asked + min(SPREAD_SECONDS, asked * max(0.0, jitter - 1.0)))
        # The message comes back meanwhile, and is held back again without a call.
        return min(delay, MAX_DELAY) if delay <= seconds_left - TRY_SECONDS else None
    delay = max(backoff * jitter, asked * max(1.0, jitter))
    return delay if delay <= min(MAX_DELAY, seconds_left - TRY_SECONDS) else None


def waits_seconds(reading: Reading, delay: float) -> float:
    """Return for how long a sync that comes back after a delay waits for its exchange."""
    return min(max(delay, reading.retry_after or 0.0), MAX_RETRY_AFTER)


def waits_for(reading: Reading) -> Code | None:
    """Return the fault of the exchange for which a sync is tried again; None if another part is the cause."""
    codes = _failures(reading)
    of_ours = meets_outage(reading) and not reading.held_back
    return None if of_ours else next((code for code in OF_EXCHANGE if code in codes), None)


def _outage_backoff(deliveries: int, seconds_left: float) -> float:
    """Return the seconds to wait for a part of ours, so that the deliveries last until the deadline.

    Each wait is bounded, so the deliveries cover at most some 37 minutes. Returns 0 if none is left.
    """
    if deliveries <= 0:
        return 0.0
    return min(max(OWN_PARTS_DELAY, seconds_left / deliveries), LONGEST_BACKOFF)


def meets_outage(reading: Reading) -> bool:
    """Return whether a part of ours was unavailable or has a wrong clock, and no fault needs the user.

    A try that we held back ourselves counts likewise: it does not use up the tries at the exchange.
    """
    codes = _failures(reading)
    ours = reading.clocks_disagree or reading.held_back or bool(codes & OWN_PARTS)
    return ours and not _hopeless(codes)


def _failures(reading: Reading) -> set[str]:
    """Return the codes of failed wallets, and that of the rights.

    Leaves out the rights if no wallet was read, because they affect no number then, and if their fault is
    permanent, because it must not prevent a retry of the wallets.
    """
    failed = {read.error_code for read in reading.wallets if read.verdict is Verdict.FAILED}
    of_rights = reading.rights_code
    if of_rights and fault_of(of_rights).retryable and any(read.verdict in READ for read in reading.wallets):
        failed.add(of_rights)
    return {code for code in failed if code is not None}


def _hopeless(codes: set[str]) -> bool:
    return any(fault_of(code).actor is Actor.USER for code in codes - OF_ONE_WALLET)


def _backoff(codes: set[str], tries: int) -> float:
    """Return the seconds to wait after so many tries at the exchange; 0 for no further try."""
    if _hopeless(codes) or tries >= MAX_TRIES or not any(fault_of(code).retryable for code in codes):
        return 0.0
    return float(2**tries)


def outcome(request: SyncRequested, exchange: Exchange, reading: Reading, attempt: int) -> SyncOutcome:
    """Return the outcome of a sync; one too large to send becomes too_many_assets."""
    said = _outcome(request, exchange, reading, attempt)
    if len(encode(apart(said))) > MAX_OUTCOME_BYTES:
        too_many = Failure(Code.TOO_MANY_ASSETS)
        wallets = (
            unread(read.wallet, too_many) if read.verdict in READ else read for read in reading.wallets
        )
        unsendable = msgspec.structs.replace(reading, wallets=tuple(wallets), uncovered=())
        said = _outcome(request, exchange, unsendable, attempt)
    return said


def _outcome(request: SyncRequested, exchange: Exchange, reading: Reading, attempt: int) -> SyncOutcome:
    wallets = _all_wallets(exchange, reading)
    status, named = status_of(wallets), (request.sync_id, request.account_id, request.exchange)
    rights, found = reading.rights, {name: getattr(reading, name) for name in FOUND}
    if status is not Status.FAILED:
        completed = SyncCompleted(*named, status, wallets, attempt, request.grant, rights)
        return msgspec.structs.replace(completed, **found)
    told = min((read for read in wallets if read.error_code is not None), key=_rank)
    code, words = told.error_code or Code.INTERNAL_ERROR, told.error or ""
    failed = SyncFailed(*named, code, words, wallets, attempt, request.grant, rights)
    if code in CLOSED and reading.retry_after is not None:
        failed = msgspec.structs.replace(failed, retry_after=min(reading.retry_after, MAX_RETRY_AFTER))
    # The fault of the whole sync is no news about a part.
    found["uncovered"] = tuple(part for part in reading.uncovered if part.listed is not None)
    return msgspec.structs.replace(failed, **found)


def _all_wallets(exchange: Exchange, reading: Reading) -> tuple[WalletRead, ...]:
    """Return the wallets in the order of the catalogue; one that a connector forgot has failed."""
    reads = {read.wallet: read for read in reading.wallets}
    return tuple(
        reads.get(wallet.key)
        or (unread(wallet.key, FORGOTTEN) if wallet.covered else WalletRead(wallet.key, Verdict.NOT_COVERED))
        for wallet in exchange.wallets
    )


def _rank(read: WalletRead) -> int:
    """Rank a fault: first those for the user, then for the operator, last those that a retry may fix."""
    fault = fault_of(read.error_code or Code.INTERNAL_ERROR)
    if fault.retryable:
        return 3
    return {Actor.USER: 0, Actor.OPERATOR: 1}.get(fault.actor, 2)
