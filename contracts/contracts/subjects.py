"""The subjects of the bus; `contracts.cards` describes each."""

from uuid import UUID

KEYS = "butler.vault.gateway.keys"
STORE = "butler.vault.gateway.store"
DESTROY = "butler.vault.gateway.destroy"
OFFER = "butler.vault.gateway.offer"
AUTHORIZE = "butler.vault.worker.authorize"

SYNC_REQUESTED_ALL = "butler.sync.requested.*"
SYNC_SCHEDULED_ALL = "butler.sync.scheduled.*"
SYNC_COMPLETED_ALL = "butler.sync.completed.*"
SYNC_FAILED_ALL = "butler.sync.failed.*"
PRICES_REQUESTED_ALL = "butler.prices.requested.*"
PRICES_READ_ALL = "butler.prices.read.*"
SYNC_WAITING_ALL = "butler.sync.waiting.*"
RECORDED_ALL = "butler.gateway.recorded.*"
ACCOUNT_EVENTS_ALL = "butler.account.>"
PORTFOLIO_EVENTS_ALL = "butler.portfolio.>"
BUDGETS_ALL = "$KV.BUDGETS.*.*"
BUDGET_REFUSED_ALL = "butler.worker.refused.*.*"
CLOSURES_ALL = "$KV.BUDGETS.*.*.closed"
REGION_TOLD_ALL = "butler.worker.closed.*.*"
DEAD_LETTERS_ALL = "butler.dead.>"
# The server replaces the reply subject by one with this prefix if a request comes from another account.
OTHER_ACCOUNT = "_R_."
MAX_DELIVERIES_ALL = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>"
TERMINATED_ALL = "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>"


def sync_requested(exchange: str) -> str:
    """Return the subject of one exchange's sync requests, a work queue."""
    return f"butler.sync.requested.{exchange}"


def sync_scheduled(exchange: str) -> str:
    """Return the subject of one exchange's requests by the schedule, which go after those of persons."""
    return f"butler.sync.scheduled.{exchange}"


def is_scheduled(subject: str) -> bool:
    """Return whether a request for a sync came from the schedule."""
    return subject.startswith("butler.sync.scheduled.")


def sync_completed(exchange: str) -> str:
    """Return the subject of one exchange's completed and partial outcomes."""
    return f"butler.sync.completed.{exchange}"


def sync_failed(exchange: str) -> str:
    """Return the subject of one exchange's failed outcomes."""
    return f"butler.sync.failed.{exchange}"


def sync_waiting(exchange: str) -> str:
    """Return the subject on which a worker announces that a sync waits for one exchange."""
    return f"butler.sync.waiting.{exchange}"


def prices_requested(exchange: str) -> str:
    """Return the subject of the requests to read one exchange's public prices, a work queue."""
    return f"butler.prices.requested.{exchange}"


def prices_read(exchange: str) -> str:
    """Return the subject of one exchange's public prices as a worker read them."""
    return f"butler.prices.read.{exchange}"


def budgets(group: str, exchange: str) -> str:
    """Return the subject of the leases of one egress address at one exchange, a key of a KV bucket."""
    return f"$KV.BUDGETS.{group}.{exchange}"


def budget_refused(group: str, exchange: str) -> str:
    """Return the subject that announces that an exchange refused one of our egress addresses."""
    return f"butler.worker.refused.{group}.{exchange}"


def closures(group: str, exchange: str) -> str:
    """Return the subject of the closed regions of one exchange for one egress address, in the same bucket."""
    return f"$KV.BUDGETS.{group}.{exchange}.closed"


def region_told(group: str, exchange: str) -> str:
    """Return the subject that announces that a region of an exchange is closed, or open again."""
    return f"butler.worker.closed.{group}.{exchange}"


def verify(exchange: str) -> str:
    """Return the subject on which the gateway asks a worker to verify a credential at one exchange."""
    return f"butler.exchange.gateway.verify.{exchange}"


def recorded(sync_id: UUID | str) -> str:
    """Return the subject that announces that a sync's outcome is in the database."""
    return f"butler.gateway.recorded.{sync_id}"


def account_events(user_id: UUID) -> str:
    """Return the pattern of all public facts about the accounts of one user."""
    return f"butler.account.*.{user_id}"


def recorded_sync(subject: str) -> UUID | None:
    """Return the sync that the subject of an announcement names; None for any other subject."""
    try:
        return UUID(subject.rpartition(".")[2])
    except ValueError:
        return None


def account_synced(user_id: UUID | str) -> str:
    """Return the subject of the public fact that an account of one user was synced."""
    return f"butler.account.synced.{user_id}"


def account_paused(user_id: UUID | str) -> str:
    """Return the subject of the public fact that an account of one user is paused."""
    return f"butler.account.paused.{user_id}"


def account_resumed(user_id: UUID | str) -> str:
    """Return the subject of the public fact that the pause of an account of one user has ended."""
    return f"butler.account.resumed.{user_id}"


def portfolio_changed(user_id: UUID | str) -> str:
    """Return the subject of the fact, with amounts, that an account of one user holds something else."""
    return f"butler.portfolio.changed.{user_id}"


def dead(subject: str) -> str:
    """Return the subject of the dead letter of a message, kept for the operator."""
    return f"butler.dead.{subject}"


def inbox_prefix(role: str) -> str:
    """Return the prefix of one role's inboxes, with the closing dot: `_INBOX_gateway.`."""
    return f"_INBOX_{role}."
