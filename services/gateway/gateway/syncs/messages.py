"""The messages of the gateway's outbox: sync requests, its own outcomes, and public events."""

from collections.abc import Sequence
from datetime import UTC, datetime
from secrets import token_hex
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts import subjects
from contracts.events import (
    AccountPaused,
    AccountResumed,
    AccountSynced,
    AssetChanged,
    PortfolioChanged,
    WalletFact,
)
from contracts.exchanges import EXCHANGES
from contracts.faults import FAULTS, Code
from contracts.streams import ACCOUNT_EVENTS, PORTFOLIO_EVENTS, SYNC_OUTCOMES, SYNC_REQUESTS
from contracts.syncs import SyncFailed, SyncRequested
from contracts.values import amount_text
from contracts.wire.envelope import attributes, encode
from contracts.wire.grants import Grant, sign_grant, sync_purpose
from gateway.portfolio.differences import AssetDifference
from gateway.rows.accounts import Account, Asked, Lately
from gateway.rows.outbox import Outgoing
from gateway.rows.pauses import Pause
from gateway.rows.snapshots import Begun
from gateway.rows.sub_accounts import Source
from gateway.rows.syncs import Opening, Overdue, Sync

SOURCE = "gateway"
# An event with more changes would be larger than its stream takes.
MAX_CHANGES = 500
# The credential id in the grant for a deleted account, which has no credential.
NO_CREDENTIAL = UUID(int=0)


def sync_request(  # noqa: PLR0913 - the parts of one message
    sync: Sync | Opening,
    account: Account | Asked,
    key: Ed25519PrivateKey,
    lately: Lately = Lately(),  # noqa: B008 - it never changes
    *,
    scheduled: bool = False,
    source: Source | None = None,
) -> Outgoing | None:
    """Return the request of a sync; None if the account has no credential.

    `source` is how the account is read, by default with its own credential. The request names the wallets
    that were empty `lately` and that the exchange values. Each publication has a new message id, because the
    stream drops a second message with the same id. Only the first one of a scheduled sync has the subject of
    the schedule, which a worker of the version before does not know.
    """
    source = source or Source(account.credential_id)
    if source.credential_id is None:
        return None
    request = _request(sync, account, (source, source.credential_id), lately, key)
    message_id = f"{sync.id}:{sync.publications}"
    return Outgoing(
        message_id,
        (subjects.sync_scheduled if scheduled else subjects.sync_requested)(sync.exchange),
        SYNC_REQUESTS,
        attributes(request, SOURCE, message_id, sync.deadline),
        encode(request),
        sync.id,
    )


def _request(
    sync: Sync | Opening,
    account: Account | Asked,
    read: tuple[Source, UUID],
    lately: Lately,
    key: Ed25519PrivateKey,
) -> SyncRequested:
    (source, credential_id), exchange = read, EXCHANGES[sync.exchange]
    return SyncRequested(
        sync_id=sync.id,
        account_id=account.id,
        credential_id=credential_id,
        exchange=sync.exchange,
        region=account.region,
        deadline=sync.deadline,
        grant=sync_grant(sync, credential_id, key),
        lately_empty=tuple(each for each in exchange.valued_wallets if each in lately.empty),
        lately_refused=tuple(each for each in exchange.covered_wallets if each in lately.refused),
        sub_account=source.sub_account,
        list_sub_accounts=source.list_sub_accounts,
    )


def sync_grant(sync: Sync | Opening | Overdue, credential_id: UUID | None, key: Ed25519PrivateKey) -> str:
    """Return the signed grant of a sync, valid until its deadline; its holder may publish the outcome."""
    purpose = sync_purpose(sync.id)
    return sign_grant(Grant(credential_id or NO_CREDENTIAL, sync.exchange, purpose, sync.deadline), key)


def failed_outcome(sync: Sync | Overdue, code: Code, times: int = 1, *, grant: str | None = None) -> Outgoing:
    """Return a failed outcome that settles a sync; `times` counts the settlements, including this one.

    Its message id differs from those of a worker's outcome and of earlier settlements, because the stream
    would drop a duplicate although the other message may be lost, unreadable or not recordable. The id ends
    in random hex digits, because a worker with the grant could otherwise publish a message with the id first.
    Of several outcomes, the first one that can be recorded stays.
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
        SYNC_OUTCOMES,
        attributes(outcome, SOURCE, message_id),
        encode(outcome),
    )


def account_synced(sync: Sync, recorded_at: datetime) -> Outgoing:
    """Return the public event that a sync has an outcome, without amounts."""
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
        cause=sync.cause,
        retry_at=sync.retry_at,
    )
    return _account_event(subjects.account_synced(sync.user_id), f"{sync.id}:synced", fact)


def account_paused(user_id: UUID, exchange: str, pause: Pause) -> Outgoing:
    """Return the public event that an account is paused, with the reason."""
    paused_at = pause.paused_at.astimezone(UTC)
    fact = AccountPaused(pause.account_id, user_id, exchange, pause.reason, paused_at)
    message_id = f"{pause.account_id}:paused:{paused_at.isoformat()}:{pause.reason}"
    return _account_event(subjects.account_paused(user_id), message_id, fact)


def account_resumed(
    account_id: UUID, user_id: UUID, exchange: str, paused_at: datetime, resumed_at: datetime
) -> Outgoing:
    """Return the public event that the pause of an account has ended."""
    fact = AccountResumed(account_id, user_id, exchange, resumed_at.astimezone(UTC))
    message_id = f"{account_id}:resumed:{paused_at.astimezone(UTC).isoformat()}"
    return _account_event(subjects.account_resumed(user_id), message_id, fact)


def portfolio_changed(begun: Begun, exchange: str, assets: Sequence[AssetDifference]) -> Outgoing:
    """Return the event, with amounts, that an account holds something else."""
    listed = tuple(
        AssetChanged(
            each.asset,
            each.cause,
            amount_text(each.new),
            None if each.old is None else amount_text(each.old),
        )
        for each in assets[:MAX_CHANGES]
    )
    since, more = begun.since.astimezone(UTC), len(assets) - len(listed)
    fact = PortfolioChanged(begun.id, begun.account_id, begun.user_id, exchange, since, listed, more)
    message_id = f"{begun.id}:changed"
    headers = attributes(fact, SOURCE, message_id)
    subject = subjects.portfolio_changed(begun.user_id)
    return Outgoing(message_id, subject, PORTFOLIO_EVENTS, headers, encode(fact))


def _account_event(
    subject: str, message_id: str, fact: AccountSynced | AccountPaused | AccountResumed
) -> Outgoing:
    headers = attributes(fact, SOURCE, message_id)
    return Outgoing(message_id, subject, ACCOUNT_EVENTS, headers, encode(fact))
