"""The demonstration prints what a portfolio is worth, and every reason to doubt it."""

import json
from typing import Any

from deploy.local.worth import worth_lines
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
