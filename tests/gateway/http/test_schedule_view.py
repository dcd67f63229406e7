"""The API says when an account is due next, or why it is not scheduled."""

from datetime import UTC, datetime

import pytest

from contracts.exchanges import EXCHANGES
from contracts.faults import Code
from contracts.remedies import Situation
from gateway.advice import Advice
from gateway.http.schedule_view import OFF_WORDS, ScheduleView, schedule_view
from gateway.rows.pauses import Pause
from gateway.rows.schedules import Schedule
from tests.gateway.http.test_views import ACCOUNT

ADVICE = Advice(Situation.SYNC, EXCHANGES["okx"], "global", ())
NOW = datetime.now(UTC)
assert ACCOUNT.credential_id is not None
PAUSE = Pause(ACCOUNT.id, ACCOUNT.credential_id, Code.OVER_PRIVILEGED_KEY, ("trade",), NOW, None)


def schedule(
    interval: int | None = 3600, stopped: str | None = None, *, exchange_paused: bool = False
) -> Schedule:
    """Return the schedule of an account."""
    next_at = NOW if interval and not stopped else None
    return Schedule(ACCOUNT.id, interval, 0, stopped, next_at=next_at, exchange_paused=exchange_paused)


def test_a_scheduled_account_shows_when_it_is_due() -> None:
    """And nothing else."""
    assert schedule_view(schedule(), None, ADVICE) == ScheduleView(3600, NOW, None, None)


@pytest.mark.parametrize(
    ("kept", "pause", "code", "words"),
    [
        (schedule(None), None, "off", OFF_WORDS),
        (None, None, "off", OFF_WORDS),
        (schedule(stopped=Code.KEY_UNKNOWN), None, Code.KEY_UNKNOWN, "Submit"),
        (schedule(), PAUSE, Code.OVER_PRIVILEGED_KEY, "The account is paused"),
        (
            schedule(exchange_paused=True),
            None,
            "exchange_paused",
            "The operator of this service has paused",
        ),
    ],
)
def test_an_account_that_is_not_scheduled_says_why(
    kept: Schedule | None, pause: Pause | None, code: str, words: str
) -> None:
    """A code for programs, and words with what to do for people; no time is promised."""
    view = schedule_view(kept, pause, ADVICE)

    assert (view.not_scheduled, view.next_at) == (code, None)
    assert view.words is not None
    assert words in view.words
