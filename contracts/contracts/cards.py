"""One card per subject of the bus with the guarantees its readers rely on, and each message's stable name.

`contracts.wire.topology` sets the retention; `contracts/examples` has a golden example of each message.
"""

from collections.abc import Mapping

import msgspec

from contracts import subjects
from contracts.budgets import BudgetRefused, Leases
from contracts.closures import Closures, RegionTold
from contracts.credentials import (
    AskKeys,
    Authorize,
    Authorized,
    Destroy,
    Destroyed,
    KeyOffered,
    Keys,
    OfferKey,
    Refused,
    Store,
    Stored,
    Verified,
    VerifiedRights,
    Verify,
)
from contracts.events import AccountPaused, AccountResumed, AccountSynced, PortfolioChanged
from contracts.prices import PricesRead, PricesRequested
from contracts.syncs import SyncCompleted, SyncFailed, SyncRequested, SyncWaiting

Kind = type[msgspec.Struct]

# Programs see these names in `ce-type`. A name stays when its class is renamed; its version is its subject's.
NAMES: Mapping[Kind, str] = {
    SyncRequested: "sync.requested.v1",
    SyncCompleted: "sync.completed.v1",
    SyncFailed: "sync.failed.v1",
    SyncWaiting: "sync.waiting.v1",
    PricesRequested: "prices.requested.v1",
    PricesRead: "prices.read.v1",
    AccountSynced: "account.synced.v1",
    AccountPaused: "account.paused.v1",
    AccountResumed: "account.resumed.v1",
    PortfolioChanged: "portfolio.changed.v1",
    AskKeys: "vault.keys.requested.v1",
    Keys: "vault.keys.v1",
    Store: "credential.store.requested.v1",
    Stored: "credential.stored.v1",
    OfferKey: "key.offer.requested.v1",
    KeyOffered: "key.offered.v1",
    Destroy: "credential.destroy.requested.v1",
    Destroyed: "credential.destroyed.v1",
    Authorize: "reads.authorize.requested.v1",
    Authorized: "reads.authorized.v1",
    Verify: "credential.verify.requested.v1",
    Verified: "credential.verified.v1",
    VerifiedRights: "credential.rights.verified.v1",
    Refused: "request.refused.v1",
    Leases: "budget.leases.v1",
    BudgetRefused: "budget.refused.v1",
    Closures: "exchange.closures.v1",
    RegionTold: "exchange.region.told.v1",
}

UNORDERED = "No order is guaranteed."
AT_MOST_ONCE = "At most once: the bus does not store it."
ANSWERED = (
    "The caller gets one answer or none before its timeout; a `refused` answer says why nothing was done."
)
SETTLED = "At least once. The first terminal outcome of a sync counts, and a later one changes nothing."
KEPT = "The bucket keeps the last value; a worker replaces only the value that it read."
PUBLIC = "At least once from a consumer of the stream; at most once to a plain subscription."


class Card(msgspec.Struct, frozen=True):
    """A subject: its owner, which alone changes it, its senders and receivers, and their guarantees.

    `{...}` in the subject stands for one token; at the end of a dead letter's subject, for several. Each of
    `replies` may answer a request. A card without a message has no body of its own; `summary` describes it.
    """

    subject: str
    message: Kind | None
    owner: str
    senders: tuple[str, ...]
    receivers: tuple[str, ...]
    delivery: str
    ordering: str = UNORDERED
    replies: tuple[Kind, ...] = ()
    summary: str = ""

    @property
    def version(self) -> int:
        """Return the version of the subject; an incompatible change needs a new subject and version."""
        return int(NAMES[self.message].rpartition(".v")[2]) if self.message else 1


def _request(subject: str, message: Kind, sender: str, receiver: str, *replies: Kind) -> Card:
    return Card(subject, message, receiver, (sender,), (receiver,), ANSWERED, replies=(*replies, Refused))


def _outcome(subject: str, message: Kind, *senders: str) -> Card:
    return Card(subject, message, "sync-worker", senders, ("gateway",), SETTLED)


def _event(subject: str, message: Kind, repeat: str, newer: str) -> Card:
    """Return the card of a public fact; `repeat` and `newer` say which fields tell repeats and order."""
    delivery, ordering = f"{PUBLIC} {repeat}", f"{UNORDERED} {newer}"
    return Card(subject, message, "gateway", ("gateway",), ("subscribers",), delivery, ordering)


def _between_workers(subject: str, message: Kind, delivery: str, ordering: str = UNORDERED) -> Card:
    return Card(subject, message, "sync-worker", ("sync-worker",), ("sync-worker",), delivery, ordering)


CARDS = (
    Card(
        subjects.sync_requested("{exchange}"),
        SyncRequested,
        "gateway",
        ("gateway",),
        ("sync-worker",),
        "At least once, to one worker, until it acknowledges or the deadline is over.",
    ),
    Card(
        subjects.sync_scheduled("{exchange}"),
        SyncRequested,
        "gateway",
        ("gateway",),
        ("sync-worker",),
        "At least once, to one worker, as a request of a person, and after those. If it is lost, the gateway "
        "publishes it again as a request of a person.",
    ),
    _outcome(subjects.sync_completed("{exchange}"), SyncCompleted, "sync-worker", "gateway"),
    _outcome(subjects.sync_failed("{exchange}"), SyncFailed, "sync-worker", "gateway"),
    _event(
        subjects.account_synced("{user_id}"),
        AccountSynced,
        "`sync_id` tells a repeat.",
        "`recorded_at` tells which sync is newer.",
    ),
    _event(
        subjects.account_paused("{user_id}"),
        AccountPaused,
        "`account_id`, `paused_at` and `reason` tell a repeat.",
        "`paused_at` tells which is newer.",
    ),
    _event(
        subjects.account_resumed("{user_id}"),
        AccountResumed,
        "`account_id` and `resumed_at` tell a repeat.",
        "`resumed_at` tells which is newer.",
    ),
    _event(
        subjects.portfolio_changed("{user_id}"),
        PortfolioChanged,
        "`snapshot_id` tells a repeat.",
        "`changed_at` tells which is newer.",
    ),
    Card(
        subjects.prices_requested("{exchange}"),
        PricesRequested,
        "gateway",
        ("gateway",),
        ("sync-worker",),
        "At least once, to one worker, until its deadline or until a later request replaces it.",
    ),
    Card(
        subjects.prices_read("{exchange}"),
        PricesRead,
        "sync-worker",
        ("sync-worker",),
        ("gateway",),
        "At least once, to one gateway; the stream keeps the last one of each exchange.",
        f"{UNORDERED} `read_at` tells which is newer.",
    ),
    Card(
        subjects.sync_waiting("{exchange}"),
        SyncWaiting,
        "sync-worker",
        ("sync-worker",),
        ("gateway",),
        AT_MOST_ONCE,
    ),
    Card(
        subjects.recorded("{sync_id}"),
        None,
        "gateway",
        ("gateway",),
        ("gateway", "vault-broker"),
        AT_MOST_ONCE,
        summary="The outcome of a sync is in the database; the body is empty.",
    ),
    _between_workers(
        subjects.budgets("{group}", "{exchange}"),
        Leases,
        KEPT,
        "The sequence of a value tells which is newer.",
    ),
    _between_workers(
        subjects.budget_refused("{group}", "{exchange}"),
        BudgetRefused,
        f"{AT_MOST_ONCE} The leases say the same.",
    ),
    _between_workers(
        subjects.closures("{group}", "{exchange}"),
        Closures,
        KEPT,
        "The sequence of a value tells which is newer.",
    ),
    _between_workers(
        subjects.region_told("{group}", "{exchange}"),
        RegionTold,
        f"{AT_MOST_ONCE} The bucket says the same.",
        "`sequence` tells which is newer.",
    ),
    Card(
        subjects.dead("{subject}"),
        None,
        "gateway",
        ("gateway", "sync-worker"),
        ("operator",),
        "At least once.",
        summary="A message that no service could read or handle, as it came; `butler-reason` says why.",
    ),
    _request(subjects.KEYS, AskKeys, "gateway", "vault-broker", Keys),
    _request(subjects.STORE, Store, "gateway", "vault-broker", Stored),
    _request(subjects.OFFER, OfferKey, "gateway", "vault-broker", KeyOffered),
    _request(subjects.DESTROY, Destroy, "gateway", "vault-broker", Destroyed),
    _request(subjects.AUTHORIZE, Authorize, "sync-worker", "vault-broker", Authorized),
    _request(subjects.verify("{exchange}"), Verify, "gateway", "sync-worker", Verified, VerifiedRights),
)


def event_type(kind: Kind) -> str:
    """Return the CloudEvents type of a message: a reverse domain name that ends with the version."""
    return f"io.pocketbutler.{NAMES[kind]}"


def schema_uri(kind: Kind) -> str:
    """Return the URI that names the schema of a message: the schema's `$id`, which cannot be fetched."""
    return f"urn:pocketbutler:schema:{NAMES[kind]}"
