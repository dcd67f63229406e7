"""A user exports the daily closes over HTTP, and one that ends early is not taken for a whole one."""

import httpx
import pytest

from deploy.local.postgres import Postgres
from tests.system.person import Person
from tests.system.test_sweeper import run


async def test_an_export_is_a_file(person: Person) -> None:
    """Of CSV or JSON; without a close it is empty and whole."""
    table = await person.client.get("/portfolio/export?from=2026-11-01&to=2026-11-03")
    array = await person.client.get("/portfolio/export?format=json")

    assert table.headers["Content-Type"] == "text/csv; header=present; charset=utf-8"
    assert table.headers["Content-Disposition"] == (
        'attachment; filename="portfolio-2026-11-01-2026-11-03.csv"'
    )
    assert table.text.startswith("day,time,account_id,account,exchange,wallet,")
    assert (array.headers["Content-Type"], array.json()) == ("application/json", [])


async def test_an_export_is_bounded_and_limited(person: Person) -> None:
    """More than 366 days are refused with words, and so is the request after the last one of a minute."""
    longer = await person.client.get("/portfolio/export?from=2024-01-01&to=2025-06-01")
    assert longer.status_code == 400
    assert "Ask for 1 to 366 days" in longer.json()["detail"]
    assert longer.json()["errors"][0]["field"] == "from"

    answers = [await person.client.get("/portfolio/export?format=json") for _ in range(12)]
    assert [each.status_code for each in answers] == [200] * 11 + [429]
    assert answers[0].headers["RateLimit-Policy"] == '"export";q=12;w=60'
    assert answers[-1].json()["code"] == "rate_limit_exceeded"
    assert (await person.get("/portfolio/changes"))["items"] == []


async def test_an_export_that_can_not_go_on_ends_the_connection(person: Person, database: Postgres) -> None:
    """The client sees that it is not whole."""
    await run(database, "alter table closes rename to elsewhere")
    try:
        with pytest.raises(httpx.RemoteProtocolError):
            await person.client.get("/portfolio/export")
    finally:
        await run(database, "alter table elsewhere rename to closes")

    assert (await person.client.get("/portfolio/export")).is_success
