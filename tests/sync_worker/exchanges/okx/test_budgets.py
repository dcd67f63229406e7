"""The budgets of OKX's entry are the limits that it documents for an address."""

import json
from pathlib import Path

from contracts.exchanges.okx import OKX
from sync_worker.exchanges.okx.connector import TIME


def test_only_documented_limits_of_an_address_are_budgets(facts: Path) -> None:
    """Public reads have the documented one, signed reads are counted per user; none is invented."""
    documented = {
        row["path"]: (row["limit"], row["rule"])
        for row in json.loads((facts / "data" / "okx-rate-limits.json").read_text())
        if row["method"] == "GET"
    }
    budgets = {each.key: each for each in OKX.budgets}
    status = OKX.status_read
    assert status is not None
    assert documented[status.target][0] == "1 request per 5 seconds"
    assert (budgets[status.name].most, budgets[status.name].seconds) == (1, 5.0)
    public = {each.name: each.target.partition("?")[0] for each in OKX.price_reads} | {TIME.name: TIME.target}

    for read, path in public.items():
        words, rule = documented[path]
        (own,) = OKX.cost(read).keys() - {"address"}
        assert f"{budgets[own].most} requests per {budgets[own].seconds:.0f} seconds" == words
        assert rule.startswith("IP")
    assert budgets.keys() == {"address", status.name, *public}
    assert budgets["address"].most == 0
    assert all("User ID" in documented[each.path][1] for each in OKX.reads.values())
    assert all(OKX.cost(read) == {"address": 1} for read in OKX.reads)
