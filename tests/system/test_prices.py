"""Prices come from the exchange's public lists to every user, with where they come from; lies are told."""

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal, localcontext
from typing import Any

import httpx
import pytest
import pytest_asyncio

from deploy.local.stack import Stack
from tests.conformance.simulated import Admin
from tests.system.conftest import NewPerson
from tests.system.gateways import another_gateway
from tests.system.person import Person
from tests.waiting import until

TICKERS = "market/tickers"


@pytest_asyncio.fixture(name="priced")
async def _priced(stack: Stack, person: Person, admin: Admin) -> AsyncIterator[Person]:
    """Yield a user with an account, and request prices every second meanwhile."""
    await person.connect("plain")
    async with another_gateway(stack, PRICE_SECONDS="1"):
        yield person
    await admin.clear("global", TICKERS)


async def shown(person: Person, asset: str, **expected: Any) -> dict[str, Any]:
    """Wait until the price of an asset has these fields, and return it."""
    seen: dict[str, Any] = {}

    async def as_expected() -> bool:
        answer = await person.client.get(f"/prices/{asset}")
        if answer.status_code == 200:
            seen.update(answer.json())
        return answer.status_code == 200 and expected.items() <= seen.items()

    await until(as_expected)
    return seen


async def test_prices_are_read_shown_and_lied_about(priced: Person, admin: Admin) -> None:
    """A price has its legs and its index; a zero has a code, and the last known price stays."""
    sol = await shown(priced, "SOL", method="cross")
    legs = [Decimal(leg["price"]) for leg in sol["legs"]]
    assert [leg["pair"] for leg in sol["legs"]] == ["SOL-USDT", "USDT-USD"]
    assert Decimal(sol["value_usd"]) == legs[0] * legs[1]
    assert (sol["source"], sol["disputed"], sol["code"]) == ("okx", False, None)
    assert sol["age_seconds"] < 60
    assert {each["method"] for each in sol["alternatives"]} >= {"cross", "index"}
    assert (await shown(priced, "BTC"))["method"] == "direct"
    usdt = await shown(priced, "USDT")
    assert (usdt["method"], usdt["value_usd"], usdt["market_rate"]) == ("peg", "0.9995", "0.9995")

    await admin.put("global", TICKERS, {"fault": "edited", "row": "OKB-USDT", "fields": {"last": "0"}})
    okb = await shown(priced, "OKB", code="price_invalid")
    assert (okb["method"], Decimal(okb["value_usd"]) > 40) == ("last_known", True)


async def test_a_refused_list_leaves_the_last_known_prices(priced: Person, admin: Admin) -> None:
    """The worker publishes the index that it could read, and the prices stay."""
    before = await shown(priced, "SOL", method="cross")
    await admin.put("global", TICKERS, {"fault": "refusal", "code": "50011"})

    async def struck() -> bool:
        return await admin.struck("global", TICKERS) >= 2

    await until(struck)
    after = await shown(priced, "SOL")
    assert Decimal(after["value_usd"]) == pytest.approx(Decimal(before["value_usd"]), rel=Decimal("0.01"))


async def test_a_user_sets_a_price(stack: Stack, person: Person, new_person: NewPerson) -> None:
    """It counts for this user, in every answer, and for no other; unknown assets have words."""
    assert (await person.get("/prices/HOUSE", 404))["code"] == "not_found"
    own = await person.put("/prices/HOUSE/manual", {"value_usd": "0.25"})
    assert (own["value_usd"], own["method"], own["code"]) == ("0.25", "manual", "price_manual")
    assert (await person.get("/prices/HOUSE"))["value_usd"] == "0.25"
    assert (await (await new_person()).get("/prices/HOUSE", 404))["code"] == "not_found"
    for wrong in ("0", "-1", "NaN", "1,5", ""):
        problem = await person.put("/prices/HOUSE/manual", {"value_usd": wrong}, 400)
        assert problem["code"] == "invalid_input"

    assert (await person.client.delete("/prices/HOUSE/manual")).status_code == httpx.codes.NO_CONTENT
    assert (await person.client.delete("/prices/HOUSE/manual")).status_code == httpx.codes.NOT_FOUND


async def test_rates_of_currencies_have_the_day_of_their_fixing(stack: Stack, person: Person) -> None:
    """They are read once for all users who have an account anywhere."""
    assert (await person.get("/currencies"))["rates"] == []
    await person.connect("plain")
    seen: dict[str, Any] = {}

    async def read() -> bool:
        seen.update(await person.get("/currencies"))
        return bool(seen["rates"])

    async with another_gateway(stack, PRICE_SECONDS="1"):
        await until(read)
    rates = {each["currency"]: each["rate"] for each in seen["rates"]}
    assert (seen["source"], seen["base"], rates["USD"]) == ("ecb", "EUR", "1.0866")
    assert date.fromisoformat(seen["fixed_on"]).weekday() < 5


async def worth_of(person: Person, query: str = "") -> dict[str, Any]:
    """Wait until all assets of a user have prices and the rates are known, and return the portfolio."""
    seen: dict[str, Any] = {}

    async def priced() -> bool:
        seen.update(await person.get(f"/portfolio{query}"))
        known = {reason["code"] for reason in seen["reasons"]}
        return bool(seen["assets"]) and not known & {"unpriced", "rate_unknown"}

    await until(priced)
    return seen


async def test_a_portfolio_is_worth_what_a_person_computes(priced: Person, admin: Admin) -> None:
    """Of two accounts, one with a debt, in USD and in EUR; a failed wallet changes no quantity."""
    margin = await priced.connect("margin")
    await priced.post("/accounts/sync-all")
    seen = await worth_of(priced)

    held = {each["asset"]: Decimal(each["quantity"]) for each in seen["assets"]}
    assert held["USDT"] == Decimal("1834.317093622894") + Decimal("250.75") - Decimal("5000.123456789")
    assert held["BTC"] == Decimal("0.049") + Decimal("0.75")
    assert held["ETH"] == Decimal("1.234567890123456789") + Decimal("2.000000000000000001")
    prices = {each["asset"]: Decimal(each["price"]["value_usd"]) for each in seen["assets"]}
    with localcontext(prec=200):
        total = sum((held[asset] * prices[asset] for asset in held), Decimal())
        for parts in ("assets", "accounts", "wallets"):
            values = [each["value_usd" if parts == "assets" else "total_usd"] for each in seen[parts]]
            assert sum(Decimal(value or 0) for value in values) == total
    assert (Decimal(seen["total_usd"]), seen["total"], seen["rate"]) == (total, seen["total_usd"], None)
    assert (seen["priced_share"], seen["unpriced"]) == ("1.0000", [])

    euros = await worth_of(priced, "?currency=eur")
    assert euros["rate"]["per_usd"] == "0.920301859010"
    with localcontext(prec=200):
        assert Decimal(euros["total"]) == Decimal(euros["total_usd"]) * Decimal("0.920301859010")
    problem = await priced.get("/portfolio?currency=XXX", 400)
    assert problem["errors"][0]["field"] == "currency"

    await admin.put("plain", "asset/balances", {"fault": "refusal", "code": "50120"})
    await priced.post("/accounts/sync-all")
    await admin.clear("plain", "asset/balances")
    stale = await worth_of(priced)
    assert {each["asset"]: Decimal(each["quantity"]) for each in stale["assets"]} == held
    assert stale["verdict"] == "incomplete"
    assert ("wallet_stale", "funding") in {(each["code"], each["wallet"]) for each in stale["reasons"]}

    assert (await priced.client.delete(f"/accounts/{margin['id']}")).status_code == httpx.codes.NO_CONTENT
    rest = await worth_of(priced)
    assert [each["name"] for each in rest["accounts"]] == ["plain"]
    assert "USDC" not in {each["asset"] for each in rest["assets"]}
