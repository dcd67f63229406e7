"""The worth of accounts at past times: the snapshots that held, with the prices of then. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from contracts.syncs import TotalCheck
from gateway.portfolio.grouping import groups_of, regrouped
from gateway.portfolio.holdings import EXACT, Holdings, WalletState
from gateway.portfolio.identity import Identity, sources_of
from gateway.portfolio.prices import FRESH, PRICED_FOR
from gateway.portfolio.shown_prices import Shown, by_hand
from gateway.portfolio.snapshots import CONFIRMED, confirmed_at, fresh_for
from gateway.portfolio.values import AccountValues, DoubtCode, PriceRecord, Summed, values_of, worth
from gateway.rows.balances import StoredBalance
from gateway.rows.prices import Manual, ManualSpan, Method, PriceCode
from gateway.rows.restores import Restore
from gateway.rows.schedules import Pace
from gateway.rows.snapshots import Past, Snapshot

# These count at any time.
TIMELESS = frozenset({Method.MANUAL, Method.UNIT})
# Finds the price of an exchange's name of an asset at a time.
PointOf = Callable[[str, str, datetime], PriceRecord | None]


class State(StrEnum):
    """How far a value of the past can be trusted.

    It is `fresh` if every account was read around that time, whole, and every asset was priced; `stale` if
    it is carried on or lacks something; `unknown` if nothing is known, which is never zero.
    """

    FRESH = "fresh"
    STALE = "stale"
    UNKNOWN = "unknown"


class PastCode(StrEnum):
    """Why a value of the past is not fresh, beside the codes of a worth."""

    OLD = "balances_old"
    UNREAD = "account_unread"
    THINNED = "history_thinned"


class AccountThen(msgspec.Struct, frozen=True):
    """An account at a time, with the snapshot that held; None before the first one.

    Where it `is_thinned`, a later one held, of which only the last one of each hour is kept.
    """

    past: Past
    snapshot: Snapshot | None
    values: AccountValues | None
    is_old: bool
    is_thinned: bool = False


class Then(msgspec.Struct, frozen=True):
    """The accounts that were connected at a time, and their worth."""

    time: datetime
    accounts: tuple[AccountThen, ...]
    worth: Summed

    @property
    def codes(self) -> tuple[str, ...]:
        """Return the reasons why the value is not fresh, and those to read prices with care."""
        own = [PastCode.OLD for each in self.accounts if each.is_old]
        own += [PastCode.UNREAD for each in self.accounts if each.snapshot is None]
        own += [PastCode.THINNED for each in self.accounts if each.is_thinned]
        of_worth = {doubt.code for doubt in self.worth.doubts}
        return tuple(sorted({*own, *of_worth} - ({DoubtCode.NO_ACCOUNTS} if self.accounts else set())))

    @property
    def state(self) -> State:
        """Return how far the value can be trusted."""
        if self.worth.total is None:
            return State.UNKNOWN
        whole = all(
            each.snapshot is not None and not each.is_old and not each.is_thinned for each in self.accounts
        )
        doubted = any(doubt.wallet is not None for doubt in self.worth.doubts)
        return State.FRESH if whole and not doubted and not self.worth.unpriced else State.STALE


class History:
    """Accounts with their snapshots, which are prepared once for all times."""

    def __init__(  # noqa: PLR0913 - all that the past depends on
        self,
        pasts: Sequence[Past],
        point_of: PointOf,
        asset: str | None = None,
        *,
        manual: Iterable[ManualSpan] = (),
        restores: Sequence[Restore] = (),
        identity: Identity | None = None,
        regroups: bool = True,
    ) -> None:
        self._point_of, self._restores, self._identity = point_of, restores, identity
        self._by_hand: dict[str, list[ManualSpan]] = {}
        for span in manual:
            self._by_hand.setdefault(span.asset, []).append(span)
        self._accounts = [(past, snapshots_of(past)) for past in pasts]
        # A close has the exchanges' own names.
        regrouping = identity if regroups else None
        self._groups = None if regrouping is None else groups_of(places_of(pasts), regrouping)
        self._listed = {
            each.id: [one for one in _listed(each) if asset in (None, self._text(past.exchange, one.asset))]
            for past, snapshots in self._accounts
            for each in snapshots
        }

    def at(self, time: datetime) -> Then:
        """Return the worth at a time."""
        found = tuple(
            self._account_at(past, snapshots, time)
            for past, snapshots in self._accounts
            if past.created_at <= time or (snapshots and snapshots[0].since <= time)
        )
        return Then(time, found, worth([each.values for each in found if each.values is not None]))

    def _account_at(self, past: Past, snapshots: Sequence[Snapshot], time: datetime) -> AccountThen:
        number = bisect_right(snapshots, time, key=lambda each: each.since)
        if number == 0:
            return AccountThen(past, None, None, is_old=False)
        held = snapshots[number - 1]
        prices = held.content.prices

        def price_of(asset: str) -> Shown:
            kept, point = prices.get(asset), self._point_of(past.exchange, asset, time)
            return price_then(time, kept, point, self._spans(past.exchange, asset))

        parts = values_of(self._listed[held.id], price_of)
        if self._groups is not None:
            parts = regrouped(past.exchange, parts, self._groups)
        holdings, confirmed = _holdings(held, time), min(time, held.until)
        is_lost = any(each.may_have_lost(time, confirmed) for each in self._restores)
        older = frozenset(holdings.states) if is_lost else frozenset[str]()
        values = AccountValues(past.account_id, holdings, parts, older)
        is_old = time > held.until + timedelta(seconds=held.fresh_seconds)
        is_thinned = held.changed_at is not None and time >= held.changed_at
        return AccountThen(past, held, values, is_old, is_thinned)

    def _text(self, exchange: str, name: str) -> str:
        return name if self._groups is None else self._groups[exchange, name].text

    def _spans(self, exchange: str, name: str) -> Sequence[ManualSpan]:
        """Return when a price by hand counted; a bare name has none if it means two assets."""
        if self._identity is None:
            return self._by_hand.get(name, ())
        asset = self._identity.of(exchange, name)
        own = () if asset.power else self._by_hand.get(asset.text, ())
        is_other = asset.power or asset.exchange is None or self._identity.is_split(asset.name)
        return own or (() if is_other else self._by_hand.get(asset.name, ()))


def places_of(pasts: Iterable[Past]) -> set[tuple[str, str]]:
    """Return the exchanges' names of the assets of all snapshots."""
    return {
        (past.exchange, amount.asset)
        for past in pasts
        for each in snapshots_of(past)
        for amount in each.content.amounts
    }


def no_point(_exchange: str, _name: str, _time: datetime) -> PriceRecord | None:
    """Find no price: a close has its own."""
    return None


def point_at(
    found: Mapping[tuple[str, str, datetime], tuple[datetime, PriceRecord]],
    identity: Identity,
) -> PointOf:
    """Return a finder of the newest price of an asset; of equal times, the first exchange counts."""

    def point_of(exchange: str, name: str, time: datetime) -> PriceRecord | None:
        asset = identity.of(exchange, name)
        points = [
            (*each, asset.power - power)
            for source, other, power in sources_of(asset)
            if (each := found.get((source, other, time))) is not None
        ]
        if not points:
            return None
        _, price, power = max(points, key=lambda each: each[0])
        if not power or price.value is None:
            return price
        return msgspec.structs.replace(price, value=EXACT.scaleb(price.value, power))

    return point_of


def snapshots_of(past: Past) -> list[Snapshot]:
    """Return all snapshots of an account by time; the one that holds is confirmed by its stored wallets."""
    if past.open is None:
        return past.ended
    amounts = {each.wallet for each in past.open.content.amounts}
    limit = fresh_for(Pace(past.account_id, past.interval_seconds, 0, None))
    until = max(confirmed_at(past.wallets, amounts) or past.open.since, past.open.since)
    seconds = int(limit.total_seconds())
    held = Snapshot(past.open.id, past.open.since, until, seconds, past.open.content)
    return [*past.ended, held]


def price_then(
    time: datetime,
    kept: PriceRecord | None,
    point: PriceRecord | None,
    spans: Sequence[ManualSpan] = (),
) -> Shown:
    """Return the price of an asset at a time: the newest of two records, neither of which is later.

    A price that the user set counts alone, in its `spans`, which stand by time. `kept` is the record of the
    snapshot; if the user set it and its span is not known, it counts as long as the snapshot, or until the
    next span. A price that is older than a day is unknown.
    """
    unit = kept is not None and kept.method == Method.UNIT
    span = None if unit else _set_by(time, spans)
    if span is not None:
        return by_hand(Manual(span.value, span.since), time)
    if kept is not None and kept.method in TIMELESS:
        if unit or not _has_ended(kept, time, spans):
            return _shown(kept, time, kept.method, kept.code)
        kept = None
    times = {
        each.observed_at: each
        for each in (kept, point)
        if each is not None and each.observed_at is not None and each.observed_at <= time
    }
    newest = max(times, default=None)
    if newest is None or time - newest > PRICED_FOR:
        return Shown(None, None, None, PriceCode.UNPRICED)
    is_old = time - newest > FRESH
    best = times[newest]
    method = Method.LAST_KNOWN if is_old else best.method
    return _shown(best, time, method, best.code or (PriceCode.LAST_KNOWN if is_old else None))


def _set_by(time: datetime, spans: Sequence[ManualSpan]) -> ManualSpan | None:
    """Return the span of the price that the user had set last by a time; None if it was deleted by then.

    One that ended as it began was set by a clock that was set back. A user may have a thousand spans, and a
    history asks for each balance at each time.
    """
    number = bisect_right(spans, time, key=_since)
    while number and spans[number - 1].until == spans[number - 1].since:
        number -= 1
    return spans[number - 1] if number and spans[number - 1].counts(time) else None


def _has_ended(kept: PriceRecord, time: datetime, spans: Sequence[ManualSpan]) -> bool:
    """Return whether a price by hand that counts in no span has ended, by its own span or a later one."""
    if kept.observed_at is None:
        return False
    number = bisect_left(spans, kept.observed_at, key=_since)
    return number < len(spans) and spans[number].since <= max(time, kept.observed_at)


def _since(span: ManualSpan) -> datetime:
    return span.since


def _shown(of: PriceRecord, time: datetime, method: str | None, code: str | None) -> Shown:
    age = None if of.observed_at is None else max(time - of.observed_at, timedelta(0))
    return Shown(of.value, method, of.source, code, of.pair, (), of.observed_at, age)


def _listed(of: Snapshot) -> list[StoredBalance]:
    return [
        StoredBalance(
            each.asset,
            each.quantity,
            borrowed=each.borrowed,
            wallet=each.wallet,
            stale_as_of=each.stale_as_of,
        )
        for each in of.content.amounts
    ]


def _holdings(held: Snapshot, time: datetime) -> Holdings:
    """Return the states of the wallets then, and the time of their oldest amount.

    Until its last confirmation a snapshot is as of each time.
    """
    wallets = held.content.wallets
    states: Mapping[str, WalletState] = {each.wallet: _state(each.state) for each in wallets}
    checks = {each.wallet: TotalCheck.DISAGREES if each.disagrees else None for each in wallets}
    confirmed = [min(time, held.until)] if CONFIRMED & {*states.values()} else []
    carried = [each.as_of for each in wallets if each.state == WalletState.STALE]
    carried += [each.stale_as_of for each in held.content.amounts]
    times = [*confirmed, *(each for each in carried if each is not None)]
    return Holdings({**states}, {**checks}, min(times, default=None), None)


def _state(text: str) -> WalletState:
    """Return the state of a wallet; one of a later release is not trusted."""
    return WalletState(text) if text in {*WalletState} else WalletState.STALE
