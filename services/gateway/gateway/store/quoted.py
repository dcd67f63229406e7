"""The prices by which exchanges themselves value the lists of a user's wallets."""

from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

import msgspec

from gateway.rows.uncovered import QuotedList
from gateway.store.pool import Connection

# The lists of the query's accounts as JSON. A wallet that an earlier gateway has written has no prices.
QUOTED_JSON: LiteralString = """coalesce(json_agg(json_build_object(
            'account_id', accounts.id, 'exchange', exchange, 'wallet', wallet, 'as_of', as_of,
            'prices', detail->'prices')), '[]')"""
QUOTED_WALLETS: LiteralString = """accounts join account_wallets wallets on wallets.account_id = accounts.id
            and as_of is not null and detail->'prices' <> '{}'
            and (detail->>'number')::bigint = sync_number"""


async def find_quoted(connection: Connection, user_ids: Sequence[UUID]) -> dict[UUID, list[QuotedList]]:
    """Find the lists of users' accounts that are not deleted, by user."""
    rows = await connection.execute(
        f"""select user_id, {QUOTED_JSON}::text from {QUOTED_WALLETS}
            where user_id = any(%s) and deleted_at is null group by user_id""",  # noqa: S608 - constants
        [list(user_ids)],
    )
    return {
        user_id: msgspec.json.decode(text, type=list[QuotedList]) for user_id, text in await rows.fetchall()
    }
