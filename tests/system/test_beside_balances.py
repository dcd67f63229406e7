"""Open positions and drift in the API, from the exchange to the user."""

from decimal import Decimal

from tests.system.person import Person


async def test_worth_that_no_list_shows_is_said_from_end_to_end(person: Person) -> None:
    """Simple Earn Fixed is a named difference of the wallet, of the sync and in the series."""
    account = await person.connect("fixed-earner")
    path = f"/accounts/{account['id']}"

    sync = await person.post(f"{path}/sync")
    drift = await person.get(f"{path}/drift")
    earn = (await person.get(f"{path}/balances"))["wallets"][2]

    assert (sync["status"], sync["error_code"]) == ("partial", "unlisted_worth")
    assert (earn["state"], earn["error_code"]) == ("incomplete", "unlisted_worth")
    assert Decimal(earn["difference_usd"]) == Decimal("310.5")
    assert "310.50 USD" in earn["error"]
    assert [(row["asset"], row["total"]) for row in earn["balances"]] == [("USDT", "60")]
    missing = {row["wallet"]: Decimal(row["missing"]) for row in drift["items"]}
    assert missing == {"trading": 0, "funding": 0, "earn": Decimal("310.5")}
    assert drift["next_cursor"] is None


async def test_open_positions_are_shown_from_end_to_end(person: Person) -> None:
    """Each with its instrument, side and prices; holdings are those of the balances alone."""
    account = await person.connect("margin")
    path = f"/accounts/{account['id']}"
    before = await person.get(f"{path}/positions")
    await person.post(f"{path}/sync")

    (trading,) = (await person.get(f"{path}/positions"))["wallets"]

    assert before["wallets"][0]["positions"] is None
    assert (trading["state"], trading["error_code"]) == ("fresh", None)
    swap = next(each for each in trading["positions"] if each["kind"] == "swap")
    assert (swap["side"], swap["size"], swap["entry"], swap["liquidation"]) == ("short", "12", "3250.5", None)
    holdings = (await person.get(f"{path}/holdings"))["holdings"]
    assert {row["asset"] for row in holdings} == {"BTC", "ETH", "USDC", "USDT"}
