"""Lines of an export: one for each asset of each wallet in each daily close. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

import msgspec

from contracts.values import AmountText, amount_text
from gateway.portfolio.holdings import WalletState
from gateway.portfolio.values import PriceRecord
from gateway.rows.restores import Restore
from gateway.rows.snapshots import Past, Snapshot

NO_PRICE = PriceRecord(None)


class Line(msgspec.Struct, frozen=True):
    """An asset in a wallet at the end of a day; `value_usd` is null if it is unknown, never zero.

    A wallet without assets has one line, without asset and amounts. `wallet_state` is `stale` where the last
    read failed, the close is of balances that were old then, or a restore from a backup may have lost newer
    ones; `as_of` is their time.
    """

    day: date
    time: datetime
    account_id: UUID
    account: str
    exchange: str
    wallet: str
    wallet_state: str
    as_of: datetime | None
    asset: str | None = None
    quantity: AmountText | None = None
    borrowed: AmountText | None = None
    value_usd: AmountText | None = None
    price_usd: AmountText | None = None
    price_method: str | None = None
    price_source: str | None = None
    price_at: datetime | None = None
    price_code: str | None = None


def lines(pasts: Iterable[Past], restores: Sequence[Restore] = ()) -> Iterator[Line]:
    """Yield the lines of closes by day, account, wallet and asset."""
    closes = [(close.day, number, past, close) for number, past in enumerate(pasts) for close in past.ended]
    for day, _, past, close in sorted(closes, key=lambda each: each[:2]):
        if day is not None:
            yield from _of_close(day, past, close, restores)


def _of_close(day: date, past: Past, close: Snapshot, restores: Sequence[Restore]) -> Iterator[Line]:
    is_old = close.since > close.until + timedelta(seconds=close.fresh_seconds)
    is_old |= any(each.may_have_lost(close.since, close.until) for each in restores)
    for wallet in close.content.wallets:
        state, as_of = wallet.state, close.until if wallet.state == WalletState.FRESH else wallet.as_of
        if is_old and state == WalletState.FRESH:
            state = WalletState.STALE
        line = Line(day, close.since, past.account_id, past.name, past.exchange, wallet.wallet, state, as_of)
        held = [amount for amount in close.content.amounts if amount.wallet == wallet.wallet]
        for amount in held:
            price = close.content.prices.get(amount.asset, NO_PRICE)
            yield msgspec.structs.replace(
                line,
                as_of=amount.stale_as_of or as_of,
                asset=amount.asset,
                quantity=amount_text(amount.quantity),
                borrowed=None if amount.borrowed is None else amount_text(amount.borrowed),
                value_usd=None if amount.value is None else amount_text(amount.value),
                price_usd=None if price.value is None else amount_text(price.value),
                price_method=price.method,
                price_source=price.source,
                price_at=price.observed_at,
                price_code=price.code,
            )
        if not held:
            yield line
