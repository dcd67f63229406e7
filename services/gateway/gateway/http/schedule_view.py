"""The schedule of an account in API responses. Pure."""

from datetime import datetime

import msgspec

from contracts.faults import fault_of
from gateway.accounts.paused import way_out
from gateway.advice import Advice
from gateway.rows.pauses import Pause
from gateway.rows.schedules import Schedule

OFF = "off"
EXCHANGE_PAUSED = "exchange_paused"
OFF_WORDS = "You have turned the schedule off. Set `sync_interval` with PATCH /accounts/{id} to turn it on."


class ScheduleView(msgspec.Struct, frozen=True):
    """When an account is synced without a request: about every `interval` seconds; null if that is off.

    `next_at` is when it is due next. If it is not scheduled, `next_at` is null, `not_scheduled` is the reason
    (`off`, `exchange_paused`, or the code of a fault or pause), and `words` explains it.
    """

    interval: int | None
    next_at: datetime | None
    not_scheduled: str | None
    words: str | None


def schedule_view(schedule: Schedule | None, pause: Pause | None, advice: Advice) -> ScheduleView:
    """Return the view of an account's schedule."""
    reason = _reason(schedule, pause, advice)
    interval = schedule.interval_seconds if schedule else None
    if reason is not None:
        return ScheduleView(interval, None, *reason)
    return ScheduleView(interval, schedule.next_at if schedule else None, None, None)


def _reason(schedule: Schedule | None, pause: Pause | None, advice: Advice) -> tuple[str, str] | None:
    """Return why an account is not scheduled, as a code and in words; None if it is."""
    exchange = advice.exchange.name
    if schedule is None or schedule.interval_seconds is None:
        return OFF, OFF_WORDS
    if pause is not None:
        return pause.reason, way_out(pause, exchange)
    if schedule.stopped is not None:
        code = schedule.stopped
        return code, f"{fault_of(code).words} {advice.next_action(code)}"
    if schedule.exchange_paused:
        words = f"The operator of this service has paused {exchange}. Syncs go on minutes after its end."
        return EXCHANGE_PAUSED, words
    return None
