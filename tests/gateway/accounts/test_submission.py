"""An exchange or region that cannot be connected is refused by name, before the key is stored."""

from http import HTTPStatus

import pytest

from contracts.exchanges import EXCHANGES
from contracts.exchanges.types import Exchange
from contracts.remedies import NOT_STORED, Situation
from gateway.accounts.submission import check_region, find_exchange
from gateway.errors import InvalidInput, RegionNotServed
from gateway.http.problems import problem_of
from gateway.routes.exchanges import _view

OKX = EXCHANGES["okx"]
SUBMITTING = [Situation.CONNECT, Situation.REPLACE]


@pytest.mark.parametrize("situation", SUBMITTING)
@pytest.mark.parametrize("written", ["tr", "TR", " tr "])
def test_a_region_that_is_not_served_is_named(situation: Situation, written: str) -> None:
    """A user of OKX Türkiye reads that we do not serve it, not that the input is wrong."""
    with pytest.raises(RegionNotServed) as caught:
        check_region(OKX, written, situation)

    problem = problem_of(caught.value)
    assert (problem.status, problem.code) == (HTTPStatus.UNPROCESSABLE_ENTITY, "region_not_served")
    assert "We do not serve OKX Türkiye (tr.okx.com) yet" in problem.detail
    assert "eea (Europe (my.okx.com))" in problem.detail
    assert NOT_STORED[situation] in problem.detail
    assert "not valid" not in problem.detail


@pytest.mark.parametrize("situation", SUBMITTING)
@pytest.mark.parametrize("written", ["mars", "", "GLOBAL", "global "])
def test_a_region_that_is_not_known_names_those_that_are(situation: Situation, written: str) -> None:
    """The problem lists the valid keys."""
    with pytest.raises(InvalidInput) as caught:
        check_region(OKX, written, situation)

    assert caught.value.code == "invalid_input"
    assert all(f"{region.key} (" in caught.value.detail for region in OKX.regions)


@pytest.mark.parametrize("region", OKX.regions, ids=lambda region: region.key)
def test_a_region_that_is_served_passes(region: object) -> None:
    """The problem does not mention it."""
    check_region(OKX, str(getattr(region, "key", "")), Situation.CONNECT)


def test_an_exchange_that_is_not_known_names_those_that_are() -> None:
    """The problem lists the exchanges and says that nothing was stored."""
    with pytest.raises(InvalidInput) as caught:
        find_exchange("nowhere")

    assert f"choose one of {', '.join(sorted(EXCHANGES))}" in caught.value.detail
    assert NOT_STORED[Situation.CONNECT] in caught.value.detail


@pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=lambda exchange: exchange.key)
def test_regions_that_are_not_served_are_listed_apart(exchange: Exchange) -> None:
    """A program that lists `regions` never offers one that cannot be connected."""
    view = _view(exchange, (), None)

    assert view.unserved_regions == exchange.unserved_regions
    assert not {each.key for each in view.unserved_regions} & {each.key for each in view.regions}
    assert all(each.key == each.key.casefold() for each in view.unserved_regions)
