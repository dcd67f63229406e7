"""The pace of scheduled syncs: when an account is due again, and how an outcome moves that. Pure."""

import random

import msgspec

from contracts.faults import Actor, Code, CodeText, fault_of
from contracts.syncs import Status
from gateway.rows.schedules import Move, Pace

# Accounts that are due together drift apart.
JITTER = 0.1
LONGEST_SECONDS = 86400
# No account is due later than this: the longest wait with its jitter, and the time of a transaction.
LATEST_SECONDS = LONGEST_SECONDS * (1 + JITTER) + 60
# A paused account, or one of a disabled user, is looked at again after this time.
CLOSED_SECONDS = 300
MOST_DOUBLINGS = 16
# Faults that may end with the same key: at the exchange, or because our own addresses are right again.
WITH_THIS_KEY = frozenset(
    {
        Code.IP_NOT_ALLOWED,
        Code.IP_BINDING_REQUIRED,
        Code.PERMISSION_MISSING,
        Code.ACCOUNT_BLOCKED,
        Code.ACCOUNT_RESTRICTED,
        Code.COMPLIANCE_REQUIRED,
    }
)


class Result(msgspec.Struct, frozen=True):
    """The end of a sync; `scheduled` if the schedule opened it.

    `of_key` is true if a fault would concern the account's present key, and no pause answers it.
    `retry_after` are the seconds until the exchange may answer again, None if they are not known.
    """

    status: Status
    code: CodeText | None
    scheduled: bool
    of_key: bool
    retry_after: float | None = None


def spread(seconds: float) -> float:
    """Return about as many seconds: up to a tenth more or less."""
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - jitter, no secret


def moved(pace: Pace, result: Result) -> Move | None:
    """Return how the end of a sync moves the schedule; None if it stays.

    A fault that only another key repairs stops it. After one that the user repairs otherwise, a scheduled
    sync waits a day. Where the exchange is closed or limits us, it waits until the time that is known for the
    end of that, and a bit that doubles with each further failure. Any other failure of one doubles the wait,
    up to a day. A sync that read something, whoever asked for it, ends all of these.
    """
    if result.status is not Status.FAILED:
        if not pace.failures and pace.stopped is None:
            return None
        return Move(pace.account_id, 0, None, _wait(pace, 0), sooner=True)
    if result.of_key and result.code is not None and needs_another_key(result.code):
        return None if pace.stopped else Move(pace.account_id, 0, result.code, None)
    if not result.scheduled or pace.stopped:
        return None
    if result.retry_after is not None:
        return Move(pace.account_id, pace.failures + 1, None, _after(pace, result.retry_after))
    failures = MOST_DOUBLINGS if result.code in WITH_THIS_KEY else pace.failures + 1
    return Move(pace.account_id, pace.failures + 1, None, _wait(pace, failures))


def needs_another_key(code: CodeText) -> bool:
    """Return whether only another key repairs a fault."""
    fault = fault_of(code)
    return fault.actor is Actor.USER and not fault.retryable and code not in WITH_THIS_KEY


def _after(pace: Pace, seconds: float) -> float | None:
    """Return a wait of at least so many seconds; accounts that wait for one exchange are spread out.

    They are spread further with each failure, because a time that an overloaded exchange names is too short.
    """
    if pace.interval_seconds is None:
        return None
    widest = JITTER * pace.interval_seconds * 2 ** min(pace.failures, MOST_DOUBLINGS)
    return min(seconds + random.uniform(0, widest), LONGEST_SECONDS)  # noqa: S311 - jitter, no secret


def _wait(pace: Pace, failures: int) -> float | None:
    if pace.interval_seconds is None:
        return None
    return spread(min(pace.interval_seconds * 2 ** min(failures, MOST_DOUBLINGS), LONGEST_SECONDS))
