"""The demonstration prints what a portfolio is worth, and every reason to doubt it."""

import json
from typing import Any

from deploy.local.worth import drift_table, worth_lines
from gateway.http.examples import FILE

EXAMPLES: dict[str, Any] = json.loads(FILE.read_text())["PortfolioView"]


def test_a_portfolio_is_printed_with_its_verdict() -> None:
    """The total in both currencies; an unpriced asset is unknown, not zero; reasons have words."""
    dollars, euros = EXAMPLES["dollars"], EXAMPLES["euros_incomplete"]

    known, doubted = "\n".join(worth_lines(dollars, euros)), "\n".join(worth_lines(euros, None))

    assert known.startswith("Worth 12029.89 USD, ")
    assert "EUR at the fixing of 2026-11-27: unchecked, 5 of 5 assets have a price" in known
    assert "funding total_unchecked: We could not compare" in known
    (pepe,) = (line for line in doubted.splitlines() if line.startswith("PEPE  "))
    assert pepe.split()[2:] == ["unknown", "unknown", "unpriced"]
    assert "incomplete, 4 of 5 assets have a price" in doubted
    assert "PEPE unpriced: We know no price" in doubted
    assert "Flexible loans, 20000.50 USD, in no total: No wallet lists" in known


def test_the_newest_drift_of_each_wallet_is_printed() -> None:
    """A sum that is not known is unknown, and not zero."""
    newest = {"wallet": "trading", "ours": "100.125", "theirs": "101.5", "missing": "1.375"}
    earlier = {"wallet": "trading", "ours": "1", "theirs": "1", "missing": "0"}
    unknown = {"wallet": "funding", "ours": None, "theirs": "7", "missing": None}

    lines = drift_table([newest, unknown, earlier]).splitlines()[2:]

    assert [line.split() for line in lines] == [
        ["trading", "100.12", "101.50", "1.38"],
        ["funding", "unknown", "7.00", "unknown"],
    ]
