"""The wallets that held nothing when they were read last, a short while ago."""

from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

from gateway.store.pool import Connection

# Those of an account of the query; `lately` is a parameter in seconds.
LATELY_EMPTY: LiteralString = """array(
            select kept.wallet from account_wallets kept
            where kept.account_id = accounts.id and kept.error_code is null
                and kept.as_of > now() - make_interval(secs => %(lately)s)
                and not exists (select from balances where balances.account_id = kept.account_id
                                and balances.wallet = kept.wallet))"""


async def find_lately_empty(
    connection: Connection, account_ids: Sequence[UUID], seconds: float
) -> dict[UUID, tuple[str, ...]]:
    """Find the wallets of accounts that were read whole in the last seconds, and were empty."""
    rows = await connection.execute(
        f"select id, {LATELY_EMPTY} from accounts where id = any(%(ids)s)",  # noqa: S608 - constants
        {"ids": list(account_ids), "lately": seconds},
    )
    return {account_id: tuple(wallets) for account_id, wallets in await rows.fetchall()}
