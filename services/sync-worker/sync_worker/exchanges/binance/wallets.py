"""The wallets of Binance beside spot and earn: which reads make each, and which of them a sync asks. Pure."""

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from contracts.exchanges.binance import BINANCE
from contracts.exchanges.types import Read
from contracts.faults import Code, Failure, fault_of
from contracts.syncs import Totals, Verdict, WalletRead
from sync_worker.exchanges.binance.control import Control
from sync_worker.exchanges.binance.futures import futures_position
from sync_worker.exchanges.binance.lists import (
    Prices,
    funding_row,
    futures_row,
    margin_row,
    options_row,
    parse_isolated,
    parse_list,
    portfolio_row,
    rows_in,
)
from sync_worker.exchanges.binance.payloads import Flags
from sync_worker.exchanges.positions import with_positions
from sync_worker.verdicts import Fetched, Listed, judge

ParseList = Callable[[Any, Prices], Listed]
Reads = Mapping[str, Fetched | Failure]
PORTFOLIO = "portfolio_margin"
REPLACED = BINANCE.replacing_wallets[PORTFOLIO]


class Place(msgspec.Struct, frozen=True):
    """A wallet that one read lists, and perhaps another its positions; a user may not have it enabled."""

    wallet: str
    read: Read
    parse: ParseList
    enabled: Callable[[Flags], bool] = lambda _flags: True
    positions: Read | None = None
    refusable: bool = True

    @property
    def reads(self) -> tuple[Read, ...]:
        """Return its reads."""
        return (self.read,) if self.positions is None else (self.read, self.positions)


def _futures(data: Any, prices: Prices) -> Listed:
    return parse_list(rows_in(data, "assets"), futures_row, prices)


FUNDING = Place(
    "funding",
    Read("funding_assets", {"needBtcValuation": "true"}),
    lambda data, prices: parse_list(data, funding_row, prices),
    refusable=False,
)
PLACES = (
    Place(
        "margin",
        Read("margin_account"),
        lambda data, prices: parse_list(rows_in(data, "userAssets"), margin_row, prices),
        lambda flags: flags.margin,
    ),
    Place("isolated_margin", Read("isolated_account"), parse_isolated, lambda flags: flags.margin),
    Place(
        "usdm_futures",
        Read("usdm_account"),
        _futures,
        lambda flags: flags.futures,
        Read("usdm_positions"),
    ),
    Place(
        "coinm_futures",
        Read("coinm_account"),
        _futures,
        lambda flags: flags.futures,
        Read("coinm_positions"),
    ),
    Place(
        "options",
        Read("options_account"),
        lambda data, prices: parse_list(rows_in(data, "asset"), options_row, prices),
        lambda flags: flags.options,
    ),
    Place(
        PORTFOLIO,
        Read("portfolio_balance"),
        lambda data, prices: parse_list(data, portfolio_row, prices),
        lambda flags: flags.portfolio_margin,
    ),
)


def left_out(flags: Flags, control: Control, lately_refused: Collection[str]) -> dict[str, Code]:
    """Return the wallets that a sync does not ask for, with the reason of each.

    A wallet that is worth something exists, whatever its flag says.
    """
    codes: dict[str, Code] = {}
    for place in PLACES:
        if flags.portfolio_margin and place.wallet in REPLACED:
            codes[place.wallet] = Code.HELD_ELSEWHERE
        elif not place.enabled(flags) and not control.holds(place.wallet):
            codes[place.wallet] = Code.NOT_ENABLED
        elif place.wallet in lately_refused:
            codes[place.wallet] = Code.REFUSED_RIGHT
    return codes


def not_covered(wallet: str, code: Code, valued: Decimal | None, fault: Failure | None = None) -> WalletRead:
    """Return a wallet as left out, with the reason, the exchange's valuation, and the fault that said so."""
    return WalletRead(
        wallet,
        Verdict.NOT_COVERED,
        error_code=code,
        error=fault_of(code).words,
        totals=None if valued is None else Totals(valued=valued),
        exchange_code=None if fault is None else fault.exchange_code,
        endpoint=None if fault is None else fault.endpoint,
    )


def judge_place(place: Place, reads: Reads, prices: Prices, valued: Decimal | None) -> WalletRead:
    """Return the verdict on a wallet from its reads."""
    fetched = reads[place.read.name]
    if place.refusable and isinstance(fetched, Failure) and fetched.code == Code.PERMISSION_MISSING:
        return not_covered(place.wallet, Code.REFUSED_RIGHT, valued, fetched)
    told = judge(place.wallet, lambda data: place.parse(data, prices), fetched, valued)
    if place.positions is not None:
        told = with_positions(told, reads[place.positions.name], futures_position)
    if told.totals is None and valued is not None:
        told = msgspec.structs.replace(told, totals=Totals(valued=valued))
    return told
