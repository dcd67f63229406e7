"""An export has each close once, in the order of days, and no text of it is a formula."""

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import date, timedelta

import pytest

from deploy.local.postgres import Postgres
from gateway.accounts.closing import Closer
from gateway.accounts.export import MOST_AT_ONCE, MOST_DAYS, export, find_range
from gateway.errors import InvalidInput
from gateway.http.export import as_csv, as_json
from gateway.portfolio.lines import Line
from gateway.rows.accounts import Account
from gateway.store.pool import Pool
from tests.gateway.accounts import test_closing
from tests.gateway.accounts.test_closing import day, midnight
from tests.system.test_sweeper import run

pytestmark = pytest.mark.usefixtures("unpublished")
past = test_closing._past


async def text(parts: AsyncIterator[str]) -> str:
    """Return a whole export."""
    return "".join([part async for part in parts])


async def lines_of(pool: Pool, account: Account) -> list[Line]:
    """Return the lines of ten days."""
    return [line async for part in export(pool, account.user_id, day(10), day(0)) for line in part]


async def test_an_export_has_each_close_once(pool: Pool, past: Account) -> None:
    """Values are exact; what was old at midnight says so, with its time."""
    await Closer(pool).close_due()

    found = await lines_of(pool, past)

    held = [(line.day, line.quantity, line.value_usd, line.wallet_state) for line in found if line.asset]
    assert held[-4:] == [
        (day(3), "2", "194", "fresh"),
        (day(2), "2", "196", "stale"),
        (day(1), "3", "297", "fresh"),
        (day(0), "3", "300", "stale"),
    ]
    assert [line.day for line in found] == sorted(line.day for line in found)
    assert {line.account_id for line in found} == {past.id}


async def test_a_line_that_a_restore_may_have_made_old_is_stale(
    pool: Pool, past: Account, database: Postgres
) -> None:
    """The database went back to before the end of that day."""
    await Closer(pool).close_due()
    restored = "insert into restores (restored_at, database_at) values (%s, %s)"
    await run(database, restored, midnight(4) + timedelta(hours=1), midnight(5) + timedelta(hours=1))

    found = await lines_of(pool, past)

    await run(database, "delete from restores")
    states = {line.day: line.wallet_state for line in found if line.asset}
    assert [states[day(ago)] for ago in (5, 4, 3)] == ["fresh", "stale", "fresh"]


async def test_both_forms_say_the_same(pool: Pool, past: Account) -> None:
    """An empty cell is a null, and both are whole also without a line."""
    await Closer(pool).close_due()

    table = await text(as_csv(export(pool, past.user_id, day(10), day(0))))
    array = json.loads(await text(as_json(export(pool, past.user_id, day(10), day(0)))))

    rows = [*csv.DictReader(io.StringIO(table, newline=""))]
    assert [{name: cell or None for name, cell in row.items()} for row in rows] == array
    assert len(array) >= 7
    assert json.loads(await text(as_json(export(pool, past.user_id, day(30), day(20))))) == []
    assert len((await text(as_csv(export(pool, past.user_id, day(30), day(20))))).splitlines()) == 1


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@sum(a)", "\t=1", '=1,"2"', "Me, myself\nand I"])
async def test_no_name_is_a_formula(pool: Pool, past: Account, database: Postgres, name: str) -> None:
    """A spreadsheet would run it; other names stay as they are."""
    await run(database, "update accounts set name = %s", name)
    await Closer(pool).close_due()

    table = await text(as_csv(export(pool, past.user_id, day(10), day(0))))

    names = {row["account"] for row in csv.DictReader(io.StringIO(table, newline=""))}
    assert names == {name if name.startswith("Me") else f"'{name}"}


async def test_an_export_is_read_in_parts(pool: Pool, past: Account) -> None:
    """A month at a time, whatever its length; the last day is included."""
    parts = [part async for part in export(pool, past.user_id, date(2025, 1, 1), date(2026, 1, 1))]

    assert len(parts) == -(-366 // MOST_AT_ONCE)


async def test_a_waiting_export_holds_no_connection(pool: Pool, past: Account) -> None:
    """A client may read as slowly as it likes; others have the whole pool."""
    await Closer(pool).close_due()
    exports = [as_csv(export(pool, past.user_id, day(10), day(0))) for _ in range(20)]

    for each in exports:
        for _ in range(2):
            assert await anext(each)

    assert pool.connections()[0] == 0


async def test_a_long_part_is_sent_in_short_chunks(pool: Pool, past: Account) -> None:
    """A slow connection takes each in time, and together they are the whole."""
    await Closer(pool).close_due()
    line = (await lines_of(pool, past))[0]

    async def parts() -> AsyncIterator[list[Line]]:
        yield [line] * 1000

    chunks = [chunk async for chunk in as_json(parts())]
    table = [chunk async for chunk in as_csv(parts())]

    assert len(json.loads("".join(chunks))) == 1000
    assert len("".join(table).splitlines()) == 1001
    assert max(map(len, chunks)) < 200_000
    assert len(chunks) == len(table) == 6


async def test_a_part_of_many_lines_is_short(
    pool: Pool, past: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many accounts and assets there are, a part needs little memory; each line comes once."""
    await Closer(pool).close_due()
    whole = await lines_of(pool, past)
    monkeypatch.setattr("gateway.accounts.export.BYTES_AT_ONCE", 1)

    parts = [part async for part in export(pool, past.user_id, day(40), day(0))]

    assert [line for part in parts for line in part] == whole
    assert max(len({line.day for line in part}) for part in parts) == 1  # though the days before were empty
    assert len(parts) > 3


async def test_a_range_is_bounded(pool: Pool) -> None:
    """A range that is empty or too long is refused."""
    first, last = await find_range(pool, None, None)
    assert last - first == timedelta(days=365)
    assert await find_range(pool, None, date(1, 1, 5)) == (date.min, date(1, 1, 5))
    for wrong in ((day(1), day(2)), (last - timedelta(days=MOST_DAYS), last), (date.min, None)):
        with pytest.raises(InvalidInput):
            await find_range(pool, *wrong)
