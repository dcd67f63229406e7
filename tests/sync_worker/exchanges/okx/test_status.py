"""Only a maintenance of OKX's whole trading service that is under way closes it."""

from collections.abc import Mapping

import msgspec
import pytest

from contracts.faults import Failure
from sync_worker.closures.hearing import Maintenance
from sync_worker.exchanges.okx.status import parse_status

# The documented row, with its documented fields.
ROW = {
    "begin": "1782561600000",
    "end": "1782565200000",
    "env": "1",
    "href": "",
    "maintType": "1",
    "preOpenBegin": "",
    "scheDesc": "",
    "serviceType": "5",
    "state": "ongoing",
    "system": "unified",
    "title": "Spot System Upgrade",
}


def said(*rows: Mapping[str, str]) -> Maintenance | None:
    """Parse a response with these rows."""
    return parse_status(msgspec.json.encode({"code": "0", "msg": "", "data": rows}))


def test_the_latest_end_of_what_is_under_way_counts() -> None:
    """In seconds since the epoch, without one that can not be read."""
    later = ROW | {"end": "1782568800000"}

    assert said(ROW) == Maintenance(1_782_565_200.0)
    assert said(ROW, later, ROW | {"end": ""}) == Maintenance(1_782_568_800.0)
    assert said(ROW | {"end": "9" * 40}) == said(ROW | {"end": ""}) == Maintenance(None)


@pytest.mark.parametrize(
    "change",
    [{"state": state} for state in ("scheduled", "pre_open", "completed", "canceled", "new")]
    + [{"env": "2"}, {"env": ""}, {"serviceType": "8"}, {"serviceType": "0"}, {"serviceType": ""}],
    ids=lambda change: "-".join(f"{key}-{value}" for key, value in change.items()),
)
def test_other_rows_close_nothing(change: Mapping[str, str]) -> None:
    """What is only planned, demo trading, other services, and batches of accounts leave accounts open."""
    assert said({**ROW, **change}) is None
    assert said({**ROW, **change}, ROW) == said(ROW)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"data":{}}', b'{"data":[1]}', b"[" * 5000])
def test_what_can_not_be_read_says_nothing(body: bytes) -> None:
    """It is a fault, not a sign that the exchange is open."""
    with pytest.raises(Failure):
        parse_status(body)


def test_nothing_planned_is_an_empty_list() -> None:
    """As OKX documents it."""
    assert said() is None
