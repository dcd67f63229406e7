"""The API shows what an account held before: at a time, over time, and each change, to its owner alone."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.conformance.simulated import Admin
from tests.system.conftest import NewPerson
from tests.system.person import Person

UNREADABLE = {"fault": "replaced", "field": "data", "text": "7"}


def amounts(listed: list[dict[str, Any]], quantity: str) -> set[tuple[str, str, Decimal]]:
    """Return the amounts of wallets that are not zero."""
    told = {(each["wallet"], each["asset"], Decimal(each[quantity])) for each in listed}
    return {each for each in told if each[2]}


async def statement(person: Person, at: datetime, status: int = 200) -> Any:
    """Return the statement of a time."""
    return await person.get(f"/portfolio/at?time={at:%Y-%m-%dT%H:%M:%S.%fZ}", status)


async def test_the_past_stays_as_it_was(new_person: NewPerson, admin: Admin) -> None:
    """A statement has the balances of its time, whatever came later, and a failed wallet changes none."""
    person = await new_person()
    account = await person.connect("plain")
    path = f"/accounts/{account['id']}"
    before = datetime.now(UTC)
    await person.post(f"{path}/sync?fresh=true")
    balances = (await person.get(f"{path}/balances"))["wallets"]
    held = [row | {"wallet": each["wallet"]} for each in balances for row in each["balances"] or ()]
    synced = datetime.now(UTC)
    await admin.put("plain", "asset/balances", UNREADABLE)
    await person.post(f"{path}/sync?fresh=true")
    await admin.clear("plain", "asset/balances")

    first = await statement(person, synced)
    last = await statement(person, datetime.now(UTC))
    assert amounts(first["statement"][0]["amounts"], "quantity") == amounts(held, "total")
    assert amounts(last["statement"][0]["amounts"], "quantity") == amounts(held, "total")
    states = [
        {each["wallet"]: each["state"] for each in said["statement"][0]["wallets"]} for said in (first, last)
    ]
    assert [each["funding"] for each in states] == ["fresh", "stale"]
    assert (await statement(person, before))["state"] == "unknown"

    failure, beginning = (await person.get("/portfolio/changes"))["items"]
    assert (failure["assets"], [each["wallet"] for each in failure["wallets"]]) == ([], ["funding"])
    assert {each["cause"] for each in beginning["assets"]} == {"coverage"}
    assert (await person.get("/portfolio/changes?limit=1"))["items"] == [failure]

    summary = await person.get(f"/portfolio/changes/summary?from={synced:%Y-%m-%dT%H:%M:%S.%fZ}")
    assert summary["before"]["total_usd"] == first["total_usd"]
    assert not {part["cause"] for part in summary["parts"]} & {"quantity", "coverage"}
    await person.get("/portfolio/changes/summary?from=yesterday", 400)


async def test_histories_are_asked_for_with_words_and_shown_to_their_owner(new_person: NewPerson) -> None:
    """A time or a form that is wrong is refused; a stranger sees nothing."""
    person, stranger = await new_person(), await new_person()
    account = await person.connect("plain")
    path, before = f"/accounts/{account['id']}", datetime.now(UTC)
    await person.post(f"{path}/sync?fresh=true")
    synced = datetime.now(UTC)

    hour = f"{before - timedelta(hours=3):%Y-%m-%dT%H:%M:%SZ}"
    for history in ("/portfolio/history", f"{path}/history", "/portfolio/assets/BTC/history"):
        points = (await person.get(f"{history}?from={hour}&currency=EUR"))["points"]
        assert {each["state"] for each in points} <= {"unknown", "fresh", "stale"}
        assert len(points) in {3, 4}
    for wrong in ("?interval=minute", "?from=yesterday", "?from=2015-01-01T00:00:00Z", "?currency=E"):
        await person.get(f"/portfolio/history{wrong}", 400)
    await statement(person, datetime(2099, 1, 1, tzinfo=UTC), 400)
    await stranger.get(f"{path}/history", 404)
    assert (await stranger.get("/portfolio/changes"))["items"] == []
    assert (await stranger.get("/portfolio/changes/summary"))["assets"] == []
    assert (await statement(stranger, synced))["statement"] == []
