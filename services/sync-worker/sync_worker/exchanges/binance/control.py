"""Binance's valuation of every wallet: the control total, prices, and the wallets that no sync reads. Pure.

Source: https://developers.binance.com/docs/wallet/asset/query-user-wallet-balance. All values are in BTC.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from contracts.exchanges.binance import BINANCE
from contracts.faults import Failure
from contracts.uncovered import MAX_LISTED, MAX_NAME, Reason, Uncovered, UncoveredEntry
from sync_worker.exchanges.binance.lists import NAMING, rows_in
from sync_worker.exchanges.parts import EXACT
from sync_worker.exchanges.rows import MAX_ROWS, Fields, or_none
from sync_worker.exchanges.values import ZERO, amount_or_none, fields_of
from sync_worker.verdicts import Fetched, parsed, sendable

PART, NAME = "wallets", "Wallets that we do not read"
UNNAMED = "A wallet without a readable name"
# Binance's names of the wallets that a sync reads.
WALLETS = {
    "Spot": "spot",
    "Funding": "funding",
    "Earn": "earn",
    "Cross Margin": "margin",
    "Isolated Margin": "isolated_margin",
    "USD\u24c8-M Futures": "usdm_futures",
    "COIN-M Futures": "coinm_futures",
    "Options": "options",
}
# In other wallets a valuation may be less debts, so that its row does not show the price of its asset.
WITHOUT_DEBT = ("Spot", "Funding", "Earn")
OURS = {wallet.key: wallet.name for wallet in BINANCE.wallets}
AMOUNTS = ("free", "locked", "freeze", "withdrawing")
ONE = Decimal(1)
# A valuation of so much, rounded to eight places, is exact to a tenth of a percent.
EXACT_BTC = Decimal("0.00001")


class Other(msgspec.Struct, frozen=True):
    """A wallet that our table does not know, with its worth in BTC, None if unreadable."""

    name: str
    btc: Decimal | None


class Control(msgspec.Struct, frozen=True):
    """The worth in BTC of the wallets that we know, the other wallets, and rows that are prices."""

    btc: Mapping[str, Decimal]
    others: tuple[Other, ...] = ()
    rows: Mapping[str, tuple[Any, ...]] = {}

    def valued(self, wallet: str, btc_usd: Decimal | None) -> Decimal | None:
        """Return the worth of a wallet in USD; None if unknown."""
        return _usd(self.btc.get(wallet), btc_usd)

    def holds(self, wallet: str) -> bool:
        """Return whether a wallet is known to be worth something."""
        return bool(self.btc.get(wallet))


NOTHING = Control({})


def parse_control(data: Any) -> Control:
    """Parse a response; the parser skips an unreadable row. Raises UnexpectedResponse."""
    rows = [fields_of(row) for row in rows_in(data)[:MAX_ROWS]]
    worths = [(_name(row), amount_or_none(row.get("balance"))) for row in rows]
    times = Counter(name for name, _ in worths)
    known = {
        WALLETS[name]: btc
        for name, btc in worths
        if name in WALLETS and btc is not None and times[name] == 1  # of two rows either may be right
    }
    others = tuple(Other(_printable(name), btc) for name, btc in worths if name not in WALLETS)
    details = {WALLETS[_name(each)]: tuple(_details(each)) for each in rows if _name(each) in WITHOUT_DEBT}
    return Control(known, others, details)


def control_of(fetched: Fetched | Failure) -> Control:
    """Return the control total, empty if it is unknown."""
    try:
        return parsed(parse_control, fetched)
    except (Failure, ValueError, ArithmeticError):
        return NOTHING


def prices_by_wallet(rows: Mapping[str, Sequence[Any]]) -> Callable[[str], dict[str, Decimal]]:
    """Return what finds the prices in BTC for a wallet, from the rows with valuations of all wallets.

    A small valuation has few digits, or is 0: it prices only the wallet that it stands in. A larger amount
    in another wallet would multiply its rounding.
    """
    everywhere = prices_in((row for each in rows.values() for row in each), EXACT_BTC)
    return lambda wallet: {**prices_in(rows.get(wallet, ())), **everywhere}


def prices_in(rows: Iterable[Any], least: Decimal = ZERO) -> dict[str, Decimal]:
    """Return the prices in BTC at which Binance values rows, each from its row of the highest worth.

    Binance rounds a valuation to eight places, so that the highest one is the most exact, and one of 0 is
    worth nothing to it: these prices are only held against its own totals, and no user sees them. A valuation
    below `least` is no price.
    """
    best: dict[str, tuple[Decimal, Decimal]] = {}
    for row in rows:
        fields = fields_of(row)
        asset, btc = or_none(NAMING.asset_of, fields), amount_or_none(fields.get("btcValuation"))
        held = _held(fields)
        if asset is None or btc is None or btc < least or not held or held < 0:
            continue
        if asset not in best or btc > best[asset][0]:
            best[asset] = (btc, held)
    return {"BTC": ONE, **{asset: btc / held for asset, (btc, held) in best.items() if asset != "BTC"}}


def in_usd(prices: Mapping[str, Decimal], btc_usd: Decimal | None) -> dict[str, Decimal]:
    """Return prices in USD, none without the price of BTC, which is in USDT: USDT counts as USD here."""
    if btc_usd is None:
        return {}
    return {"USDT": ONE, **{asset: price * btc_usd for asset, price in prices.items()}}


def uncovered(fetched: Fetched | Failure, refused: Collection[str], btc_usd: Decimal | None) -> Uncovered:
    """Return the wallets that exist and are not read; only a refused right opens the `refused` ones.

    Binance does not document whether it values these for a key without that right: 0 is unknown there.
    """
    if isinstance(fetched, Failure):
        return Uncovered(PART, NAME, error_code=fetched.code)
    try:
        control = parse_control(fetched.data)
    except Failure as fault:
        return Uncovered(PART, NAME, error_code=fault.code)
    listed = [_refused(wallet, control, btc_usd) for wallet in OURS if wallet in refused]
    listed += [
        UncoveredEntry(each.name, Reason.NOT_READ, _usd(each.btc, btc_usd))
        for each in control.others
        if each.btc != 0
    ]
    return Uncovered(PART, NAME, fetched.as_of, tuple(listed[:MAX_LISTED]))


def _refused(wallet: str, control: Control, btc_usd: Decimal | None) -> UncoveredEntry:
    worth = control.valued(wallet, btc_usd) or None
    return UncoveredEntry(OURS[wallet], Reason.REFUSED_RIGHT, worth)


def _usd(btc: Decimal | None, btc_usd: Decimal | None) -> Decimal | None:
    if btc is None or (btc_usd is None and btc):
        return None
    return sendable(EXACT.multiply(btc, btc_usd or ZERO))


def _details(row: Fields) -> Sequence[Any]:
    details = row.get("assetBalances")
    return details[:MAX_ROWS] if isinstance(details, list) else ()


def _held(fields: Fields) -> Decimal | None:
    """Return the amount that a row values; None if a part of it is unreadable."""
    total = ZERO
    for name in (*AMOUNTS, "ipoable"):
        amount = amount_or_none(fields.get(name))
        if amount is None and fields.get(name) not in (None, ""):
            return None
        total = EXACT.add(total, amount or ZERO)
    return total


def _name(row: Fields) -> str:
    name = row.get("walletName")
    return name if isinstance(name, str) else ""


def _printable(name: str) -> str:
    text = "".join(each for each in name if each.isprintable())
    return text.strip()[:MAX_NAME].strip() or UNNAMED
