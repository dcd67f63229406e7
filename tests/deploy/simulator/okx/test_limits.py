"""Calls beyond an endpoint's limit are refused, for this user and this endpoint only."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.simulator.limits import Addresses, Counts, Limit, Limiter, parse_limit
from deploy.simulator.okx.accounts import Accounts
from deploy.simulator.okx.endpoints import PRIVATE, PUBLIC
from deploy.simulator.okx.exchange import Okx
from deploy.simulator.types import Answer, Request

Signed = Callable[..., Request]
TOO_MANY = Answer(429, {"msg": "Too Many Requests", "code": "50011"})
BALANCE = "/api/v5/account/balance"


@pytest.fixture(name="exchange")
def _exchange(accounts: Accounts) -> Okx:
    return Okx(accounts, Limiter(strict=False))


def test_every_limit_is_the_documented_one(facts: Path) -> None:
    """Each served endpoint has the number of calls and the seconds of the exchange's documentation."""
    documented = {
        (row["method"], row["path"]): row["limit"]
        for row in json.loads((facts / "data" / "okx-rate-limits.json").read_text())
    }
    for place, endpoint in (PUBLIC | PRIVATE).items():
        words = documented[place].split()
        seconds = 1 if words[-1] == "second" else int(words[-2])

        assert (endpoint.limit.calls, endpoint.limit.seconds) == (int(words[0]), seconds), place


@pytest.mark.parametrize(("place", "endpoint"), (PUBLIC | PRIVATE).items())
def test_one_call_more_than_the_limit_is_refused(
    exchange: Okx, signed: Signed, place: tuple[str, str], endpoint: object
) -> None:
    """A burst up to the limit passes, the next call gets 50011 with HTTP 429."""
    account = {"/api/v5/asset/withdrawal": "withdraw-enabled"}.get(place[1], "trade-enabled")
    request = signed(place[1], account, place[0])
    calls = (PUBLIC | PRIVATE)[place].limit.calls

    answers = [exchange.answer(request) for _ in range(calls + 1)]

    assert answers.pop() == TOO_MANY
    assert TOO_MANY not in answers


def test_the_window_slides(exchange: Okx, signed: Signed) -> None:
    """Every call is free again two seconds after it was made, and a refused call does not count."""
    request = signed(BALANCE)
    start = request.received_at

    def codes(milliseconds: int, calls: int) -> list[str]:
        now = start + timedelta(milliseconds=milliseconds)
        request = signed(BALANCE, received_at=now)
        return [exchange.answer(request).body["code"] for _ in range(calls)]

    assert codes(0, 4) == ["0"] * 4
    assert codes(1000, 9) == ["0"] * 6 + ["50011"] * 3
    assert codes(1999, 1) == ["50011"]
    assert codes(2000, 5) == ["0"] * 4 + ["50011"]
    assert codes(3000, 7) == ["0"] * 6 + ["50011"]


def test_users_and_endpoints_are_counted_apart(exchange: Okx, signed: Signed) -> None:
    """A sub-account has a separate count, and so has each endpoint."""
    for _ in range(10):
        exchange.answer(signed(BALANCE))

    assert exchange.answer(signed(BALANCE)) == TOO_MANY
    assert exchange.answer(signed(BALANCE, "sub-account")).status == 200
    assert exchange.answer(signed("/api/v5/asset/balances")).status == 200


def test_a_public_endpoint_counts_addresses(exchange: Okx, signed: Signed) -> None:
    """An address can request the time ten times in two seconds."""
    answers = [exchange.answer(signed("/api/v5/public/time", headers={})) for _ in range(11)]
    other = exchange.answer(signed("/api/v5/public/time", address="127.0.0.2"))

    assert answers[-1] == TOO_MANY
    assert {"code": "0", "data": [{"ts": "1782561600123"}], "msg": ""} == answers[0].body == other.body


def test_a_refused_key_uses_up_no_limit(exchange: Okx, signed: Signed) -> None:
    """The limit is checked after the key, so an attacker who guesses cannot lock the user out."""
    for _ in range(20):
        exchange.answer(signed(BALANCE, headers={"ok-access-sign": "guessed"}))

    assert exchange.answer(signed(BALANCE)).status == 200


def test_strict_limits_allow_no_burst(accounts: Accounts, signed: Signed) -> None:
    """Ten calls in two seconds mean one in each fifth of a second."""
    exchange = Okx(accounts, Limiter(strict=True))
    start = signed(BALANCE).received_at
    moments = [start + timedelta(milliseconds=elapsed) for elapsed in (0, 1, 199, 200, 400)]

    codes = [exchange.answer(signed(BALANCE, received_at=now)).body["code"] for now in moments]

    assert codes == ["0", "50011", "50011", "0", "0"]


def test_an_address_above_its_limit_is_banned() -> None:
    """All its calls count; one too many begins the ban, which calls in it do not lengthen."""
    addresses = Addresses(Limit(3, 2.0), 20.0)
    start = datetime(2026, 11, 29, tzinfo=UTC)

    def refused(seconds: float, address: str = "192.0.2.1") -> float | None:
        return addresses.refuses(address, start + timedelta(seconds=seconds))

    assert [refused(0.5 * call) for call in range(4)] == [None, None, None, 20.0]
    assert refused(1.6, "192.0.2.2") is None
    assert refused(11.5) == 10.0
    assert refused(21.4) == pytest.approx(0.1)
    assert refused(21.5) is None
    assert addresses.counts.latest_in_ban == pytest.approx(19.9)
    assert replace(addresses.counts, latest_in_ban=0.0) == Counts(admitted=5, refused=3, in_ban=2)


def test_an_address_without_bursts_calls_evenly() -> None:
    """Two calls closer than the window divided by the limit are one too many."""
    addresses = Addresses(parse_limit("4/2"), 0.0, strict=True)
    start = datetime(2026, 11, 29, tzinfo=UTC)
    calls = (0.0, 0.5, 0.9, 1.0)

    assert [addresses.refuses("192.0.2.1", start + timedelta(seconds=each)) for each in calls] == [
        *(None, None, 2.0, None)
    ]
