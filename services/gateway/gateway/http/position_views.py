"""Open positions, and the differences to the exchange's totals, in API responses."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from contracts.exchanges.types import Exchange
from contracts.faults import Code, CodeText
from contracts.positions import Position
from contracts.syncs import LEFT_OUT_CODES
from contracts.values import AmountText, amount_text
from gateway.portfolio.holdings import WalletState
from gateway.rows.balances import StoredWallet
from gateway.rows.drift import Drift, StoredPositions

# With these codes the newest positions are stored, and not all of them.
NOT_WHOLE = frozenset({Code.UNREADABLE_ROWS, Code.TOO_MANY_ASSETS})


class PositionView(msgspec.Struct, frozen=True):
    """An open position; its worth is part of the wallet's balances already, so add it to none.

    `size` is in contracts, or in units of `size_currency` if that is not null. A value that the exchange did
    not report is null, never zero.
    """

    position_id: str
    instrument: str
    kind: str
    side: str
    size: AmountText
    size_currency: str | None
    margin_mode: str | None
    currency: str | None
    entry: AmountText | None
    mark: AmountText | None
    leverage: AmountText | None
    liquidation: AmountText | None
    unrealised: AmountText | None


class WalletPositionsView(msgspec.Struct, frozen=True):
    """The open positions of a wallet at `as_of`; `positions` is null if they were never read.

    `error_code` says why the last read failed, did not give all of them, or was left out.
    """

    wallet: str
    state: WalletState
    as_of: datetime | None
    error_code: CodeText | None
    positions: tuple[PositionView, ...] | None


class PositionsView(msgspec.Struct, frozen=True):
    """The open positions of an account, by wallet."""

    account_id: UUID
    wallets: tuple[WalletPositionsView, ...]


class DriftView(msgspec.Struct, frozen=True):
    """The worth of a wallet's list and the exchange's own total for it in one sync, in USD.

    `ours` is null if an asset has no price. `missing` is the exchange's total less ours.
    """

    wallet: str
    at: datetime
    ours: AmountText | None
    theirs: AmountText | None
    missing: AmountText | None


class DriftPage(msgspec.Struct, frozen=True):
    """The comparisons of syncs, newest first; `next_cursor` is null on the last page."""

    items: tuple[DriftView, ...]
    next_cursor: str | None


def positions_view(
    account_id: UUID,
    exchange: Exchange,
    stored: Sequence[StoredPositions],
    wallets: Sequence[StoredWallet] = (),
) -> PositionsView:
    """Return the view of the positions of every wallet that can have some; `wallets` are the stored ones."""
    kept, left_out = {each.wallet: each for each in stored}, {each.wallet: each for each in wallets}
    views = (
        _wallet(kept.get(wallet) or StoredPositions(wallet, 0), left_out.get(wallet))
        for wallet in exchange.position_wallets
    )
    return PositionsView(account_id, tuple(views))


def drift_page(listed: Sequence[Drift], *, more: bool) -> DriftPage:
    """Return a page of comparisons; `more` says whether older ones exist."""
    items = tuple(
        DriftView(each.wallet, each.at, _text(each.ours), _text(each.theirs), _text(each.missing))
        for each in listed
    )
    return DriftPage(items, str(listed[-1].sync_number) if more else None)


def _wallet(stored: StoredPositions, wallet: StoredWallet | None) -> WalletPositionsView:
    positions = stored.positions
    if wallet is not None and wallet.error_code in LEFT_OUT_CODES:
        state = WalletState.NOT_COVERED if positions is None else WalletState.STALE
        stored = msgspec.structs.replace(stored, error_code=wallet.error_code)
    else:
        state = _state(stored)
    return WalletPositionsView(
        wallet=stored.wallet,
        state=state,
        as_of=stored.as_of,
        error_code=stored.error_code,
        positions=None if positions is None else tuple(map(_position, positions)),
    )


def _state(stored: StoredPositions) -> WalletState:
    if stored.listed is None:
        return WalletState.NEVER_READ
    if stored.error_code is None:
        return WalletState.FRESH
    return WalletState.INCOMPLETE if stored.error_code in NOT_WHOLE else WalletState.STALE


def _position(of: Position) -> PositionView:
    return PositionView(
        position_id=of.position_id,
        instrument=of.instrument,
        kind=of.kind,
        side=of.side,
        size=amount_text(of.size),
        size_currency=of.size_currency,
        margin_mode=of.margin_mode,
        currency=of.currency,
        entry=_text(of.entry),
        mark=_text(of.mark),
        leverage=_text(of.leverage),
        liquidation=_text(of.liquidation),
        unrealised=_text(of.unrealised),
    )


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else amount_text(amount)
