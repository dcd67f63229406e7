"""The rights of each user by the topology, and every subject of the bus that it could try."""

from itertools import chain, product

import msgspec

from contracts import subjects
from contracts.wire.bus_accounts import SERVICE, imports
from contracts.wire.bus_users import USERS, User
from contracts.wire.subscribers import Subscriber
from contracts.wire.topology import CONSUMERS, STREAMS
from tests.chassis.bus.conftest import OF_AMOUNTS, SUBSCRIBERS

SUBSCRIBED = [
    Subscriber(name, f"U{'A' * 55}", heard, name in OF_AMOUNTS) for name, heard in SUBSCRIBERS.items()
]
TRIED = [*(user for user in USERS if not user.unrestricted), *(each.user for each in SUBSCRIBED)]
ROLES = ("gateway", "worker", "broker", "admin", "subscriber")
STREAM_API = (
    *("CREATE", "UPDATE", "DELETE", "INFO", "PURGE", "MSG.GET", "MSG.DELETE", "SNAPSHOT", "RESTORE"),
    *("LEADER.STEPDOWN", "PEER.REMOVE"),
)
CONSUMER_API = ("INFO", "MSG.NEXT", "CREATE", "DURABLE.CREATE", "DELETE", "PAUSE", "RESET", "UNPIN")
SERVER_API = (
    *("$JS.API.INFO", "$JS.API.STREAM.LIST", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.CREATE.MINE"),
    *("$JS.API.META.LEADER.STEPDOWN", "$JS.API.SERVER.REMOVE", "$JS.API.ACCOUNT.PURGE.BUTLER"),
    # Another KV bucket.
    *("$KV.OTHER.x", "$JS.API.DIRECT.GET.KV_OTHER.$KV.OTHER.x", "$JS.API.STREAM.CREATE.KV_OTHER"),
    *("$SYS.REQ.SERVER.PING", "$SYS.REQ.ACCOUNT.BUTLER.CONNZ", "$SYS.REQ.USER.INFO", "$SRV.PING"),
)
WIDE = (
    ">",
    "*.>",
    "$SYS.>",
    "$JS.>",
    "$JS.API.>",
    "$JS.ACK.>",
    "$JS.EVENT.>",
    "$KV.>",
    "butler.>",
    "_INBOX.>",
    "_R_.>",
    "$SRV.>",
)


class Ear(msgspec.Struct, frozen=True):
    """A subject to subscribe to, in a queue group if given."""

    subject: str
    queue: str = ""


def may_publish(user: User, subject: str) -> bool:
    """Return whether the user's row lets it publish."""
    return any(_within(subject, pattern) for pattern in user.publish)


def reaches(user: User, subject: str) -> set[str]:
    """Return the accounts that receive a user's message: its own, and those of its row."""
    own = {crossing.exporter for crossing in imports(user) if _within(subject, crossing.subject)}
    others = {
        other.account
        for other in TRIED
        for crossing in imports(other)
        if crossing.kind != SERVICE
        and crossing.exporter == user.account
        and _within(subject, crossing.subject)
    }
    return {user.account, *own, *others}


def may_subscribe(user: User, ear: Ear) -> bool:
    """Return whether the user's row lets it subscribe; a row with a queue group holds for that group only."""
    rows = [Ear(*row.split(" ")) for row in user.subscribe]
    return any(_within(ear.subject, row.subject) and row.queue in {"", ear.queue} for row in rows)


def all_subjects() -> list[str]:
    """Return one subject for each kind of message on the bus."""
    patterns = chain.from_iterable((*user.publish, *_rows(user)) for user in TRIED)
    streams = chain.from_iterable(stream.subjects or [] for stream in STREAMS)
    inboxes = (f"{subjects.inbox_prefix(role)}x.y" for role in (*ROLES, "BOX"))
    concrete = {one_of(pattern) for pattern in (*patterns, *streams)}
    deeper = {f"{subject}.deeper" for subject in concrete}
    asked = (*_stream_api(), *_consumer_api(), *SERVER_API)
    return sorted({*concrete, *deeper, *inboxes, *asked, "_INBOX.x", "elsewhere"})


def all_ears() -> list[Ear]:
    """Return all possible subscriptions: each subject, pattern and wider pattern, in each queue group."""
    patterns = set(chain.from_iterable((*user.publish, *_rows(user)) for user in TRIED))
    wider = {f"{subject.rpartition('.')[0]}.>" for subject in all_subjects() if "." in subject}
    queues = {row.partition(" ")[2] for user in TRIED for row in user.subscribe} | {"spies"}
    tried = sorted({*patterns, *wider, *all_subjects(), *WIDE})
    return [Ear(subject, queue) for subject, queue in product(tried, sorted(queues))]


def one_of(pattern: str) -> str:
    """Return a subject that a pattern covers."""
    return pattern.replace("*", "x").replace(">", "x.y")


def _rows(user: User) -> list[str]:
    return [row.partition(" ")[0] for row in user.subscribe]


def _stream_api() -> list[str]:
    """Return the requests about each stream, including existing consumers and an attacker's own."""
    asked = []
    for stream in STREAMS:
        asked += [f"$JS.API.STREAM.{verb}.{stream.name}" for verb in STREAM_API]
        asked += [f"$JS.API.DIRECT.GET.{stream.name}", f"$JS.API.CONSUMER.LIST.{stream.name}"]
        asked += [f"$JS.API.CONSUMER.NAMES.{stream.name}", f"$JS.API.CONSUMER.CREATE.{stream.name}"]
        for pattern in stream.subjects or []:
            asked.append(f"$JS.API.DIRECT.GET.{stream.name}.{one_of(pattern)}")
            asked.append(f"$JS.API.CONSUMER.CREATE.{stream.name}.spy.{one_of(pattern)}")
    return asked


def _consumer_api() -> list[str]:
    """Return the requests and messages to each consumer, in both formats of acknowledgements."""
    consumers = [*CONSUMERS, *(each.consumer for each in SUBSCRIBED)]
    named = [(each.stream, each.name) for each in consumers] + [(str(each.name), "spy") for each in STREAMS]
    asked = [f"$JS.API.CONSUMER.{verb}.{stream}.{name}" for stream, name in named for verb in CONSUMER_API]
    asked += [f"$JS.ACK.{stream}.{name}.1.1.1.1.0" for stream, name in named]
    asked += [f"$JS.ACK._.hash.{stream}.{name}.1.1.1.1.0.x" for stream, name in named]
    return asked


def _within(subject: str, pattern: str) -> bool:
    """Return whether a pattern covers a subject or another pattern, as the server sees it.

    The server accepts `a.>` where `a.*` is allowed (2.15.1); deeper subjects are tried separately.
    """
    said, allowed = subject.split("."), pattern.split(".")
    if allowed[-1] == ">":
        allowed = allowed[:-1]
        if len(said) <= len(allowed):
            return False
        said = said[: len(allowed)]
    return len(said) == len(allowed) and all(
        theirs in {mine, "*"} for mine, theirs in zip(said, allowed, strict=True)
    )
