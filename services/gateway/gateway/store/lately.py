"""The wallets that a sync may leave unread: lately they held nothing, or the exchange refused them."""

from typing import LiteralString
from uuid import UUID

from gateway.portfolio.emptiness import LATELY
from gateway.portfolio.omitted import REFUSED_FOR
from gateway.rows.accounts import Account, Lately
from gateway.store.pool import Connection, execute, fetch_one

# The wallets of an account of the query, as JSON; `lately_seconds` has the parameters. The last sync of a
# refused wallet must have said so, about the key that the account has now.
LATELY_JSON: LiteralString = """json_build_object('empty', array(
            select kept.wallet from account_wallets kept
            where kept.account_id = accounts.id and kept.error_code is null
                and kept.as_of > now() - make_interval(secs => %(lately)s)
                and not exists (select from balances where balances.account_id = kept.account_id
                                and balances.wallet = kept.wallet)), 'refused', array(
            select kept.wallet from account_wallets kept
            where kept.account_id = accounts.id and kept.error_code = 'refused_right'
                and kept.detail ->> 'number' = kept.sync_number::text
                and kept.detail -> 'omitted' ->> 'credential_id' = accounts.credential_id::text
                and (kept.detail -> 'omitted' ->> 'refused_at')::timestamptz
                    between now() - make_interval(secs => %(refused)s) and now()))"""


def lately_seconds() -> dict[str, float]:
    """Return the parameters of LATELY_JSON."""
    return {"lately": LATELY.total_seconds(), "refused": REFUSED_FOR.total_seconds()}


async def find_lately(connection: Connection, account_id: UUID) -> Lately:
    """Find the wallets of an account that were empty in a whole read lately, and wallets refused lately."""
    found = await fetch_one(
        connection,
        Lately,
        f"""select lately -> 'empty' as empty, lately -> 'refused' as refused
            from (select {LATELY_JSON} as lately from accounts where id = %(id)s) as found""",  # noqa: S608 - constants
        id=account_id,
        **lately_seconds(),
    )
    return found or Lately()


async def forget_refusals(connection: Connection, account: Account) -> None:
    """Let the next sync ask the exchange again for wallets that it refused to the account's key."""
    await execute(
        connection,
        """update account_wallets set detail = detail #- '{omitted,refused_at}'
           where account_id = %(id)s and detail -> 'omitted' ->> 'refused_at' is not null""",
        id=account.id,
    )
