"""What was last read of each wallet."""

from datetime import datetime
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from contracts.faults import CodeText, EndpointName, ExchangeCode
from contracts.syncs import TotalCheck
from contracts.values import Balance
from gateway.losses import Missing
from gateway.store.pool import Connection, execute, fetch_all


class HeldList(msgspec.Struct, frozen=True):
    """The newest list of a wallet, which lacks assets without a confirmation, and when it was read."""

    as_of: datetime
    balances: tuple[Balance, ...]


class Detail(msgspec.Struct, frozen=True):
    """What is known of a wallet beside its list; `number` is that of the sync that said it.

    `incomplete` says that the list is the newest one but not whole. The rest is of the last read: rows that
    could not be read and why, the difference to the total of its own answer in USD, when the exchange last
    looked, and the exchange's own error code.
    """

    number: int
    incomplete: bool = False
    unreadable_rows: int = 0
    unreadable: tuple[str, ...] = ()
    difference_usd: str | None = None
    reported_at: datetime | None = None
    exchange_code: ExchangeCode | None = None
    endpoint: EndpointName | None = None
    held: HeldList | None = None
    missing: Missing | None = None


class StoredWallet(msgspec.Struct, frozen=True):
    """A wallet's last good set and, when it is stale, why; `as_of` None means never read."""

    wallet: str
    as_of: datetime | None
    total_check: TotalCheck | None
    error_code: CodeText | None
    error: str | None
    sync_number: int = 0
    detail: Detail | None = None

    @property
    def known(self) -> Detail:
        """Give what is known beside the list; nothing when another version has written the wallet since."""
        if self.detail is None or self.detail.number != self.sync_number:
            return Detail(self.sync_number)
        return self.detail


class StoredBalance(Balance, frozen=True, kw_only=True):
    """A balance with its wallet; `stale_as_of` is set where the wallet's last list could not give it."""

    wallet: str
    stale_as_of: datetime | None = None


async def write_wallets(connection: Connection, account_id: UUID, wallets: list[StoredWallet]) -> None:
    """Write what is known of wallets; what a later sync has written stays."""
    await execute(
        connection,
        """insert into account_wallets (account_id, wallet, as_of, total_check, sync_number, error_code,
                                        error, detail)
           select %(account_id)s, * from unnest(%(wallet)s::text[], %(as_of)s::timestamptz[],
               %(total_check)s::text[], %(number)s::bigint[], %(error_code)s::text[], %(error)s::text[],
               %(detail)s::jsonb[])
           on conflict (account_id, wallet) do update
           set as_of = excluded.as_of, total_check = excluded.total_check, sync_number = excluded.sync_number,
               error_code = excluded.error_code, error = excluded.error, detail = excluded.detail
           where account_wallets.sync_number < excluded.sync_number""",
        account_id=account_id,
        wallet=[each.wallet for each in wallets],
        as_of=[each.as_of for each in wallets],
        total_check=[each.total_check for each in wallets],
        number=[each.sync_number for each in wallets],
        error_code=[each.error_code for each in wallets],
        error=[each.error for each in wallets],
        detail=[Jsonb(msgspec.to_builtins(each.detail)) for each in wallets],
    )


async def replace_balances(
    connection: Connection, account_id: UUID, wallet: str, balances: list[StoredBalance]
) -> None:
    """Put a list in the place of a wallet's old one."""
    await execute(
        connection,
        "delete from balances where account_id = %(account_id)s and wallet = %(wallet)s",
        account_id=account_id,
        wallet=wallet,
    )
    await execute(
        connection,
        """insert into balances (account_id, wallet, asset, total, available, locked, borrowed, stale_as_of)
           select %(account_id)s, %(wallet)s, * from unnest(%(assets)s::text[], %(totals)s::numeric[],
               %(available)s::numeric[], %(locked)s::numeric[], %(borrowed)s::numeric[],
               %(stale)s::timestamptz[])""",
        account_id=account_id,
        wallet=wallet,
        assets=[balance.asset for balance in balances],
        totals=[balance.total for balance in balances],
        available=[balance.available for balance in balances],
        locked=[balance.locked for balance in balances],
        borrowed=[balance.borrowed for balance in balances],
        stale=[balance.stale_as_of for balance in balances],
    )


async def delete_balances(
    connection: Connection, account_id: UUID, wallet: str, assets: frozenset[str]
) -> None:
    """Take assets out of a wallet's list."""
    await execute(
        connection,
        """delete from balances
           where account_id = %(account_id)s and wallet = %(wallet)s and asset = any(%(assets)s)""",
        account_id=account_id,
        wallet=wallet,
        assets=sorted(assets),
    )


async def list_wallets(connection: Connection, account_id: UUID) -> list[StoredWallet]:
    """List what is kept of each wallet."""
    return await fetch_all(
        connection,
        StoredWallet,
        """select wallet, as_of, total_check, error_code, error, sync_number, detail from account_wallets
           where account_id = %(id)s""",
        id=account_id,
    )


async def list_balances(
    connection: Connection, account_id: UUID, wallet: str | None = None
) -> list[StoredBalance]:
    """List the balances of one wallet or of all by asset."""
    return await fetch_all(
        connection,
        StoredBalance,
        """select wallet, asset, total, available, locked, borrowed, stale_as_of from balances
           where account_id = %(id)s and (%(wallet)s::text is null or wallet = %(wallet)s)
           order by asset, wallet""",
        id=account_id,
        wallet=wallet,
    )
