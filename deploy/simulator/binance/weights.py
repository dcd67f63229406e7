"""The weights of calls, counted per minute and address as the exchange does, and its bans."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil

from deploy.simulator.binance.refusals import Refused

MINUTE = 60.0
# So many calls of an address after its first 429 in the same minute begin a ban. The exchange documents the
# ban, and does not say after how many calls it begins.
GOING_ON = 5
# The documented shortest and longest ban; each ban of an address lasts twice as long as the one before.
FIRST_BAN, LONGEST_BAN = timedelta(minutes=2), timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Budget:
    """A weight per minute, its name among the counters of an address, and its headers."""

    name: str
    limit: int
    headers: tuple[str, ...]


@dataclass(slots=True)
class _Window:
    minute: int = 0
    used: int = 0
    refused: int = 0
    free_at: datetime = field(default=datetime.min.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class _Ban:
    until: datetime
    length: timedelta


class Weights:
    """Counts the weights of all addresses; `strict` spreads each budget evenly over its minute.

    A ban holds for an address at all hosts, which is the strictest reading of the documentation. The memory
    is bounded by the loopback addresses times the budgets.
    """

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._windows: dict[tuple[str, str], _Window] = {}
        self._bans: dict[str, _Ban] = {}

    def spend(self, address: str, budget: Budget, weight: int, now: datetime) -> dict[str, str]:
        """Count a call and return the headers of its response; raises Refused above the budget."""
        self._check_ban(address, now)
        window = self._window(address, budget, now)
        if self._too_much(window, budget, weight, now):
            raise self._refused(address, budget, window, now)
        window.used += weight
        window.free_at = now + timedelta(seconds=MINUTE * weight / budget.limit)
        return dict.fromkeys(budget.headers, str(window.used))

    def _check_ban(self, address: str, now: datetime) -> None:
        ban = self._bans.get(address)
        if ban is not None and ban.until - ban.length <= now < ban.until:
            raise _banned(ban, now)

    def _window(self, address: str, budget: Budget, now: datetime) -> _Window:
        window = self._windows.setdefault((address, budget.name), _Window())
        minute = int(now.timestamp() // MINUTE)
        if window.minute != minute:
            window.minute, window.used, window.refused = minute, 0, 0
        return window

    def _too_much(self, window: _Window, budget: Budget, weight: int, now: datetime) -> bool:
        early = self._strict and now < window.free_at <= now + timedelta(seconds=MINUTE)
        return early or window.used + weight > budget.limit

    def _refused(self, address: str, budget: Budget, window: _Window, now: datetime) -> Refused:
        window.refused += 1
        if window.refused > GOING_ON:
            last = self._bans.get(address)
            length = FIRST_BAN if last is None else min(2 * last.length, LONGEST_BAN)
            self._bans[address] = ban = _Ban(now + length, length)
            window.refused = 0
            return _banned(ban, now)
        seconds = 1 if self._strict else ceil(MINUTE - now.timestamp() % MINUTE)
        headers = dict.fromkeys(budget.headers, str(window.used)) | {"Retry-After": str(seconds)}
        return Refused("-1003", str(budget.limit), "1 MINUTE", headers=headers)


def _banned(ban: _Ban, now: datetime) -> Refused:
    seconds = ceil((ban.until - now).total_seconds())
    until = str(int(ban.until.timestamp() * 1000))
    return Refused("-1003", until, status=418, headers={"Retry-After": str(seconds)})
