"""Changes are listed page by page, as syncs record them."""

import pytest

from gateway.accounts.changes import list_changes, place_of
from gateway.errors import InvalidInput
from gateway.http.change_views import ChangeView, changes_page
from gateway.rows.accounts import Account
from gateway.store.pool import Pool
from tests.gateway.syncs.recorded import failed
from tests.gateway.syncs.test_recorder import another
from tests.gateway.syncs.test_snapshot import read, synced

pytestmark = pytest.mark.usefixtures("unpublished")


async def test_changes_of_all_accounts_are_listed_newest_first(pool: Pool, account: Account) -> None:
    """Each once, whatever the size of a page; a move between wallets changes no asset."""
    other = await another(pool, account, 1)
    await synced(pool, account, read("trading", BTC="1"), read("funding"))
    await synced(pool, other, read("trading", ETH="5"), failed("funding"))
    await synced(pool, account, read("trading", BTC="0.25"), read("funding", BTC="0.75"))
    await synced(pool, other, read("trading", ETH="6"), failed("funding"))
    await synced(pool, other, failed("trading"), failed("funding"))

    found: list[ChangeView] = []
    cursor: str | None = None
    for _ in range(3):
        before = None if cursor is None else place_of(cursor)
        page = changes_page(await list_changes(pool, account.user_id, None, before, 2))
        found += page.items
        cursor = page.next_cursor

    assert cursor is None
    told = [
        [(each.asset, each.cause, each.old_quantity, each.new_quantity) for each in change.assets]
        for change in found
    ]
    assert told == [
        [],
        [("ETH", "quantity", "5", "6")],
        [],
        [("ETH", "coverage", None, "5")],
        [("BTC", "coverage", None, "1")],
    ]
    assert [each.account_id for each in found] == [other.id, other.id, account.id, other.id, account.id]
    assert [(each.wallet, each.new_state) for each in found[0].wallets] == [
        ("trading", "stale"),
        ("earn", "stale"),
    ]
    assert all(each.unchanged_until is None for each in found[3:])
    assert all(each.unchanged_until and each.unchanged_until <= each.at for each in found[:3])
    since = await list_changes(pool, account.user_id, found[1].at, None, 100)
    assert [each.step.id for each in since.changes] == [each.snapshot_id for each in found[:2]]
    with pytest.raises(InvalidInput):
        place_of(f"20261301T000000.000000Z~{account.id}")
