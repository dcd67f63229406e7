"""Weights count per minute of the clock and address; an address that goes on after 429 is banned."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tests.deploy.simulator.binance.conftest import NOW

BALANCE = "/sapi/v1/asset/wallet/balance"
MINUTE = timedelta(minutes=1)


def spent(client: Any, times: int, **parts: Any) -> Any:
    """Ask for the heaviest list so often, and return the last answer."""
    return [client.ask(BALANCE, **parts) for _ in range(times)][-1]


def test_each_answer_tells_the_used_weight(client: Any) -> None:
    """Endpoints under /api share a counter; each one under /sapi has its own; other hosts have theirs."""
    client.ask("/api/v3/account")
    together = client.raw("/api/v3/time")
    spent(client, 2)
    own = client.ask("/sapi/v1/account/info")

    assert together.headers["X-MBX-USED-WEIGHT-1M"] == "21"
    assert own.headers == {"X-SAPI-USED-IP-WEIGHT-1M": "1"}


def test_a_window_begins_with_the_minute_of_the_clock(client: Any) -> None:
    """The budget of 12,000 is used up until the clock's next minute, which Retry-After names."""
    at = NOW.replace(second=59)
    assert spent(client, 200).status == 200
    refused = spent(client, 1, received_at=at, account="plain")
    elsewhere = client.ask("/sapi/v1/account/info")

    assert (refused.status, refused.body["code"]) == (429, -1003)
    assert "current limit is 12000 request weight per 1 MINUTE" in refused.body["msg"]
    assert refused.headers["Retry-After"] == "1"
    assert elsewhere.status == 200


def test_a_client_that_goes_on_is_banned(client: Any) -> None:
    """The ban holds for every endpoint of the address and lasts two minutes, the next one twice as long."""
    spent(client, 200)
    banned = spent(client, 6)
    everywhere = client.raw("/api/v3/time")
    elsewhere = client.raw("/api/v3/time", address="192.0.2.1")

    assert (banned.status, banned.body["code"], banned.headers["Retry-After"]) == (418, -1003, "120")
    assert "IP banned until 17825617" in banned.body["msg"]
    assert (everywhere.status, elsewhere.status) == (418, 200)
    assert client.raw("/api/v3/time", received_at=NOW + 2 * MINUTE).status == 200


def test_strict_weights_are_spread(strict: Callable[[], Any]) -> None:
    """Without bursts, a call of 60 of 12,000 takes 0.3 seconds of the minute."""
    client = strict()
    first, second = spent(client, 1), spent(client, 1)

    assert (first.status, second.status, second.headers["Retry-After"]) == (200, 429, "1")
    assert strict().ask(BALANCE).status == 200
