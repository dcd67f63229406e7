"""Money that no wallet holds, and an asset that no market trades, from the exchange to the user."""

from decimal import Decimal

from tests.system.person import Person

COLLATERAL = {"BTC": Decimal("0.6"), "ETH": Decimal("1.25")}


async def test_a_loan_is_named_beside_every_total_and_in_none(person: Person) -> None:
    """The collateral is in no list of balances: its worth less the debt stands apart."""
    account = await person.connect("borrower")
    path = f"/accounts/{account['id']}"
    assert account["uncovered"] == []

    sync = await person.post(f"{path}/sync")
    (of_account,) = (await person.get(path))["uncovered"]
    (listed,) = (await person.get("/accounts"))[0]["uncovered"]
    portfolio = await person.get("/portfolio")
    (of_portfolio,) = portfolio["uncovered"]

    assert sync["status"] == "completed"
    assert (of_account["name"], of_account["code"]) == ("Flexible loans", "loan")
    assert Decimal(of_account["worth_usd"]) == Decimal("28905.5")
    assert {each["asset"]: Decimal(each["amount"]) for each in of_account["holds"]} == COLLATERAL
    assert {each["asset"]: Decimal(each["amount"]) for each in of_account["owes"]} == {
        "USDC": Decimal("1500.5"),
        "USDT": 12000,
    }
    assert listed == of_account
    assert of_portfolio == of_account | {"worth": of_account["worth_usd"]}
    assert {asset["asset"] for asset in portfolio["assets"]} == {"OLDT", "USDT"}
    assert Decimal(portfolio["total_usd"]) < 1000


async def test_interest_stands_beside_the_debt_and_changes_no_amount(person: Person) -> None:
    """In balances and holdings, as OKX reports it."""
    account = await person.connect("borrower")
    path = f"/accounts/{account['id']}"
    await person.post(f"{path}/sync")

    trading = (await person.get(f"{path}/balances"))["wallets"][0]["balances"]
    holdings = (await person.get(f"{path}/holdings"))["holdings"]

    for listed in (trading, holdings):
        (usdt,) = (each for each in listed if each["asset"] == "USDT")
        assert (usdt["total"], usdt["borrowed"], usdt["interest"]) == ("500", "20", "0.0123")
        (other,) = (each for each in listed if each["asset"] == "OLDT")
        assert other["interest"] is None


async def test_an_asset_without_a_market_is_worth_what_the_exchange_values_it_at(person: Person) -> None:
    """In every wallet; the price says so, and when the exchange valued it."""
    account = await person.connect("borrower")
    path = f"/accounts/{account['id']}"
    await person.post(f"{path}/sync")

    holdings = {each["asset"]: each for each in (await person.get(f"{path}/holdings"))["holdings"]}
    trading = (await person.get(f"{path}/balances"))["wallets"][0]
    price = await person.get("/prices/OLDT")

    held = holdings["OLDT"]
    assert (held["total"], Decimal(held["value_usd"])) == ("120", Decimal(30))
    assert (held["price"]["method"], held["price"]["source"]) == ("exchange_valued", "okx")
    assert held["price"]["observed_at"] == trading["as_of"]
    assert (price["method"], price["value_usd"]) == ("exchange_valued", "0.25")
