"""Documented and made-up responses of Binance, decoded as they come from the wire."""

import json
from pathlib import Path
from typing import Any

from sync_worker.exchanges.lenient_json import read_body
from sync_worker.verdicts import Fetched
from tests.sync_worker.wording import NOW

SPOT_ROW = dict.fromkeys(("free", "locked", "freeze", "withdrawing", "ipoable"), "0")
FLAGS = {
    "vipLevel": 0,
    "isMarginEnabled": True,
    "isFutureEnabled": True,
    "isOptionsEnabled": True,
    "isPortfolioMarginRetailEnabled": False,
}


def data_of(document: Any) -> Any:
    """Decode a document as a response with it would be."""
    return read_body(json.dumps(document).encode())


def fetched(document: Any) -> Fetched:
    """Return a document as it was read."""
    return Fetched(NOW, data_of(document))


def documented(facts: Path, name: str) -> Any:
    """Return a documented response."""
    return read_body((facts / "doc-examples" / "binance" / f"{name}.json").read_bytes())


def assets(*rows: Any) -> Fetched:
    """Return a response of getUserAsset."""
    return fetched([SPOT_ROW | row for row in rows])


def account(*rows: Any) -> Fetched:
    """Return a response of the account with balances."""
    balances = [{"locked": "0.00000000"} | row for row in rows]
    return fetched({"balances": balances, "uid": 354937868})


def page(*rows: Any, total: int | None = None, name: str = "rows") -> Fetched:
    """Return one page of a list of positions."""
    return fetched({name: rows, "total": len(rows) if total is None else total})
