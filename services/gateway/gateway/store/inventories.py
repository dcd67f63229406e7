"""The accounts of a user with their balances, and what is needed to price them, as of one moment."""

from collections.abc import Mapping
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import msgspec

from gateway.portfolio.identity import Identity
from gateway.rows.assets import Names
from gateway.rows.balances import Held
from gateway.rows.prices import Manual
from gateway.rows.uncovered import QuotedList
from gateway.store.assets import NAMES_JSON
from gateway.store.balances import BALANCES_JSON, WALLETS_JSON
from gateway.store.pool import Connection, fetch_value
from gateway.store.prices import Standing
from gateway.store.quoted import QUOTED_JSON, QUOTED_WALLETS
from gateway.store.uncovered import LISTING_JSON, UNCOVERED_JSON


class Inventory(msgspec.Struct, frozen=True):
    """Accounts, oldest first, the user's own prices, the last readings of prices, and the database's time.

    `quoted` has the prices by which exchanges value the lists of all accounts of the user, `names` the
    findings and decisions about equal names.
    """

    held: list[Held]
    manual: Mapping[str, Manual]
    standings: list[Standing]
    now: datetime
    quoted: list[QuotedList] = []
    names: Names = Names()

    @property
    def identity(self) -> Identity:
        """Return which assets the names mean now."""
        return Identity(self.names, self.now)


def _query(which: LiteralString) -> LiteralString:
    return f"""select json_build_object(
            'held', coalesce((select json_agg(json_build_object('account', to_json(accounts),
                    'wallets', {WALLETS_JSON}, 'balances', {BALANCES_JSON},
                    'uncovered', {UNCOVERED_JSON}, 'listing', {LISTING_JSON}) order by created_at, id)
                from accounts where user_id = %(user_id)s and deleted_at is null{which}), '[]'),
            'manual', coalesce((select json_object_agg(asset, json_build_object('value', value::text,
                    'set_at', set_at)) from manual_prices where user_id = %(user_id)s), '{{}}'),
            'standings', coalesce((select json_agg(json_build_object('source', source,
                    'reading_id', reading_id, 'read_at', read_at, 'now', clock_timestamp()) order by source)
                from price_readings), '[]'),
            'quoted', (select {QUOTED_JSON} from {QUOTED_WALLETS}
                where user_id = %(user_id)s and deleted_at is null),
            'names', {NAMES_JSON},
            'now', clock_timestamp())::text"""  # noqa: S608 - constants


EVERY, ONE = _query(""), _query(" and id = %(id)s")


async def find_inventory(connection: Connection, user_id: UUID, account_id: UUID | None = None) -> Inventory:
    """Find all accounts of a user that are not deleted, or the one with this id, by one statement."""
    query = EVERY if account_id is None else ONE
    found = await fetch_value(connection, query, user_id=user_id, id=account_id)
    return msgspec.json.decode(found, type=Inventory)
