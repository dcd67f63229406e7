"""What the gateway puts into its outbox: sync requests, outcomes it settles itself, and public facts."""

from datetime import UTC, datetime
from secrets import token_hex
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts import subjects
from contracts.events import AccountPaused, AccountResumed, AccountSynced, WalletFact
from contracts.faults import FAULTS, Code
from contracts.syncs import SyncFailed, SyncRequested
from contracts.wire.envelope import attributes, encode
from contracts.wire.grants import Grant, sign_grant, sync_purpose
from contracts.wire.topology import ACCOUNT_EVENTS, SYNC_OUTCOMES, SYNC_REQUESTS
from gateway.store.accounts import Account
from gateway.store.outbox import Outgoing
from gateway.store.pauses import Pause
from gateway.store.syncs import Overdue, Sync

SOURCE = "gateway"
# Stands in a grant for an account that was deleted and has no credential any more.
NO_CREDENTIAL = UUID(int=0)


def sync_request(sync: Sync, account: Account, key: Ed25519PrivateKey) -> Outgoing | None:
    """Ask a worker for a sync; None when the account has no credential any more.

    Each publication has a message id of its own: the stream would swallow a second one with the same id.
    """
    if account.credential_id is None:
        return None
    request = SyncRequested(
        sync_id=sync.id,
        account_id=account.id,
        credential_id=account.credential_id,
        exchange=sync.exchange,
        region=account.region,
        deadline=sync.deadline,
        grant=sync_grant(sync, account.credential_id, key),
    )
    message_id = f"{sync.id}:{sync.publications}"
    return Outgoing(
        message_id,
        subjects.sync_requested(sync.exchange),
        _name(SYNC_REQUESTS.name),
        attributes(request, SOURCE, message_id, sync.deadline),
        encode(request),
        sync.id,
    )


def sync_grant(sync: Sync | Overdue, credential_id: UUID | None, key: Ed25519PrivateKey) -> str:
    """Permit the reads of a sync until its deadline; the holder of the grant may publish its outcome."""
    purpose = sync_purpose(sync.id)
    return sign_grant(Grant(credential_id or NO_CREDENTIAL, sync.exchange, purpose, sync.deadline), key)


def failed_outcome(sync: Sync | Overdue, code: Code, times: int = 1, *, grant: str | None = None) -> Outgoing:
    """Settle a sync as a worker would; `times` counts how often that was tried, this time included.

    Its message id is not that of a worker's outcome, nor of an earlier settlement: the stream would swallow
    it, although the other one may be lost, or could not be read or recorded. It ends in what cannot be known
    before: a worker that was handed the grant would take the id first. Of several outcomes the first one that
    can be recorded stays.
    """
    outcome = SyncFailed(
        sync.id,
        sync.account_id,
        sync.exchange,
        code,
        FAULTS[code].words,
        attempt=sync.publications,
        grant=grant,
    )
    message_id = f"{sync.id}:settled:{times}:{token_hex(8)}"
    return Outgoing(
        message_id,
        subjects.sync_failed(sync.exchange),
        _name(SYNC_OUTCOMES.name),
        attributes(outcome, SOURCE, message_id),
        encode(outcome),
    )


def account_synced(sync: Sync, recorded_at: datetime) -> Outgoing:
    """Tell the world that a sync has its outcome, without amounts."""
    fact = AccountSynced(
        sync_id=sync.id,
        account_id=sync.account_id,
        user_id=sync.user_id,
        exchange=sync.exchange,
        status=sync.status,
        recorded_at=recorded_at,
        wallets=tuple(
            WalletFact(wallet.wallet, wallet.verdict, wallet.error_code, wallet.total_check)
            for wallet in sync.wallets
        ),
        holdings_count=sync.holdings_count,
        error_code=sync.error_code,
        rights_unproven=sync.rights_unproven,
    )
    return _account_event(subjects.account_synced(sync.user_id), f"{sync.id}:synced", fact)


def account_paused(user_id: UUID, exchange: str, pause: Pause) -> Outgoing:
    """Tell the world that the key of an account is not used, and why."""
    paused_at = pause.paused_at.astimezone(UTC)
    fact = AccountPaused(pause.account_id, user_id, exchange, pause.reason, paused_at)
    message_id = f"{pause.account_id}:paused:{paused_at.isoformat()}:{pause.reason}"
    return _account_event(subjects.account_paused(user_id), message_id, fact)


def account_resumed(
    account_id: UUID, user_id: UUID, exchange: str, paused_at: datetime, resumed_at: datetime
) -> Outgoing:
    """Tell the world that an account that was paused is synced again."""
    fact = AccountResumed(account_id, user_id, exchange, resumed_at.astimezone(UTC))
    message_id = f"{account_id}:resumed:{paused_at.astimezone(UTC).isoformat()}"
    return _account_event(subjects.account_resumed(user_id), message_id, fact)


def _account_event(
    subject: str, message_id: str, fact: AccountSynced | AccountPaused | AccountResumed
) -> Outgoing:
    headers = attributes(fact, SOURCE, message_id)
    return Outgoing(message_id, subject, _name(ACCOUNT_EVENTS.name), headers, encode(fact))


def _name(name: str | None) -> str:
    assert name is not None  # noqa: S101 - every stream of the topology has a name
    return name
