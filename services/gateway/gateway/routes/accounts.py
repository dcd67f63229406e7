"""Connected accounts: connecting, repairing, renaming, deleting, and their balances."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, delete, get, patch, post, put
from litestar.di import NamedDependency

from contracts.credentials import Fields
from contracts.exchanges import EXCHANGES
from contracts.remedies import Situation
from gateway.accounts import look
from gateway.accounts.change import Changes, change
from gateway.accounts.claims import find_open
from gateway.accounts.connect import connect
from gateway.accounts.delete import Deleting
from gateway.accounts.intake import Accepted, Intake
from gateway.accounts.pending import Submission
from gateway.accounts.replace import replace
from gateway.accounts.submission import check_offer, check_region, find_exchange, read_fields
from gateway.accounts.worth import find_priced
from gateway.advice import Advice
from gateway.http.account_views import AccountView, account_view
from gateway.http.allowances import rate_limit_fields
from gateway.http.answers import documented
from gateway.http.holdings_views import HoldingsView, holdings_view
from gateway.http.rate_limits import RATE_LIMIT, USER_ALONE
from gateway.http.schemas import CREDENTIALS
from gateway.http.situations import Doing
from gateway.http.views import BalancesView, balances_view
from gateway.portfolio.uncovered import NotCovered
from gateway.prices.readings import Readings
from gateway.routes.parameters import Database, Egress, Restored, SignedInRequest, client_address
from gateway.rows.accounts import Account
from gateway.store.pool import Pool

SyncInterval = Annotated[int, msgspec.Meta(ge=300, le=86400)]

CONNECTING = documented(401, 404, 409, 410, 422, 429, 502)
REPLACING = documented(401, 404, 409, 410, 422, 429, 502)


class Connect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account to connect; GET /api/v1/exchanges lists exchanges, regions and the fields of keys.

    A key that was born in our vault has the `offer` of POST /api/v1/key-offers.
    """

    exchange: str
    name: str
    region: str
    credentials: Annotated[Fields, CREDENTIALS]
    offer: UUID | None = None


class ChangeAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another name for an account, and how often the schedule syncs it; a field that is left out stays.

    `sync_interval` is in seconds, from five minutes to a day; null turns the schedule off. With
    `sub_accounts`, each sub-account that the key of a master account lists is an account of its own; false
    deletes these accounts.
    """

    name: str | msgspec.UnsetType = msgspec.UNSET
    sync_interval: SyncInterval | msgspec.UnsetType | None = msgspec.UNSET
    sub_accounts: bool | msgspec.UnsetType = msgspec.UNSET


class ReplaceCredentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another key of the same exchange account; send `region` only to correct a wrong one.

    A key that was born in our vault has the `offer` of POST /api/v1/key-offers.
    """

    credentials: Annotated[Fields, CREDENTIALS]
    region: str | None = None
    offer: UUID | None = None


@post(
    "/accounts",
    response_headers=RATE_LIMIT,
    responses=CONNECTING,
    tags=["accounts"],
    situation=Situation.CONNECT,
)
async def connect_account(
    data: Connect, request: SignedInRequest, intake: NamedDependency[Intake], egress: Egress
) -> Response[AccountView]:
    """Connect an account after verifying that its key is read-only; a refused key is destroyed."""
    advice = Advice(Situation.CONNECT, find_exchange(data.exchange), data.region, egress)
    submission, notes = await _submission(request, intake.pool, advice, data)
    return await _shown(await connect(intake, submission, data.name), intake.pool, egress, notes)


@get("/accounts", responses=documented(401), tags=["accounts"])
async def list_accounts(
    request: SignedInRequest, pool: Database, egress: Egress, restored: Restored
) -> tuple[AccountView, ...]:
    """List the connected accounts."""
    listed = await look.list_accounts(pool, request.user.id)
    ids = [account.id for account, _ in listed]
    found, related = await look.find_schedules(pool, ids), await look.find_relations(pool, ids)
    beside, keys = (
        await look.find_not_covered(pool, [each for each, _ in listed]),
        await look.find_keys(pool, ids),
    )
    return tuple(
        account_view(
            account,
            egress,
            pause,
            restored=restored,
            schedule=found.get(account.id),
            beside=beside.get(account.id, ()),
            relations=related.get(account.id),
            key=keys.get(account.id),
        )
        for account, pause in listed
    )


@get("/accounts/{account_id:uuid}", responses=documented(401, 404), tags=["accounts"])
async def show_account(
    account_id: UUID, request: SignedInRequest, pool: Database, egress: Egress, restored: Restored
) -> AccountView:
    """Show an account."""
    account, stand = await look.find_account(pool, request.user.id, account_id)
    schedule = (await look.find_schedules(pool, [account_id])).get(account_id)
    beside, related = await _beside(pool, account), await look.find_relations(pool, [account_id])
    return account_view(
        account,
        egress,
        stand.pause,
        restored=restored,
        schedule=schedule,
        beside=beside,
        relations=related.get(account_id),
        key=(await look.find_keys(pool, [account_id])).get(account_id),
    )


@patch(
    "/accounts/{account_id:uuid}",
    responses=documented(400, 401, 404, 429),
    tags=["accounts"],
    situation=Doing.CHANGE_ACCOUNT,
)
async def change_account(
    account_id: UUID,
    data: ChangeAccount,
    request: SignedInRequest,
    pool: Database,
    egress: Egress,
    deleting: NamedDependency[Deleting],
) -> AccountView:
    """Rename an account, or change how often the schedule syncs it, or whether it lists its sub-accounts."""
    changes = Changes(data.name, data.sync_interval, data.sub_accounts)
    changed = await change(pool, request.user.id, account_id, changes, deleting.drop_sub_accounts)
    if data.sub_accounts is False:
        deleting.wake()
    return account_view(
        changed.account,
        egress,
        changed.pause,
        schedule=changed.schedule,
        beside=await _beside(pool, changed.account),
        relations=changed.relations,
        key=(await look.find_keys(pool, [account_id])).get(account_id),
    )


@delete(
    "/accounts/{account_id:uuid}",
    responses=documented(401, 404, 409, 429),
    tags=["accounts"],
    situation=Doing.DELETE_ACCOUNT,
)
async def delete_account(
    account_id: UUID, request: SignedInRequest, deleting: NamedDependency[Deleting]
) -> None:
    """Delete an account with its balances; its secret is destroyed as soon as the vault is reachable."""
    await deleting.delete(request.user.id, account_id)


@put(
    "/accounts/{account_id:uuid}/credentials",
    response_headers=RATE_LIMIT,
    responses=REPLACING,
    tags=["accounts"],
    opt=USER_ALONE,
    situation=Situation.REPLACE,
)
async def replace_credentials(
    account_id: UUID,
    data: ReplaceCredentials,
    request: SignedInRequest,
    pool: Database,
    intake: NamedDependency[Intake],
    egress: Egress,
) -> Response[AccountView]:
    """Repair or rotate the key of an account; the old key works until the new one is verified."""
    account, stand = await look.find_account(pool, request.user.id, account_id)
    await look.require_own_key(pool, account_id)
    exchange, region = EXCHANGES[account.exchange], data.region or account.region
    advice = Advice(Situation.REPLACE, exchange, region, egress, stand.standing)
    submission, notes = await _submission(request, pool, advice, data, account_id)
    return await _shown(await replace(intake, submission, account), pool, egress, notes)


@get("/accounts/{account_id:uuid}/balances", responses=documented(401, 404), tags=["balances"])
async def show_balances(
    account_id: UUID, request: SignedInRequest, pool: Database, restored: Restored
) -> BalancesView:
    """Show the balances by wallet and asset, with the state of each wallet."""
    return balances_view(await look.find_held(pool, request.user.id, account_id), restored)


@get("/accounts/{account_id:uuid}/holdings", responses=documented(401, 404), tags=["balances"])
async def show_holdings(
    account_id: UUID,
    request: SignedInRequest,
    pool: Database,
    restored: Restored,
    readings: NamedDependency[Readings],
) -> HoldingsView:
    """Show the holdings by asset with values, and the wallets that are missing, stale or incomplete."""
    held, book = await find_priced(pool, readings, request.user.id, account_id)
    return holdings_view(held, restored, book)


async def _beside(pool: Pool, account: Account) -> tuple[NotCovered, ...]:
    return (await look.find_not_covered(pool, [account])).get(account.id, ())


async def _shown(
    accepted: Accepted, pool: Pool, egress: tuple[str, ...], notes: tuple[str, ...]
) -> Response[AccountView]:
    account = accepted.account
    schedule = (await look.find_schedules(pool, [account.id])).get(account.id)
    beside, related = await _beside(pool, account), await look.find_relations(pool, [account.id])
    relations = related.get(account.id)
    key = (await look.find_keys(pool, [account.id])).get(account.id)
    view = account_view(
        account, egress, notes=notes, schedule=schedule, beside=beside, relations=relations, key=key
    )
    return Response(view, headers=rate_limit_fields(accepted.allowances))


async def _submission(
    request: SignedInRequest,
    pool: Pool,
    advice: Advice,
    data: Connect | ReplaceCredentials,
    account_id: UUID | None = None,
) -> tuple[Submission, tuple[str, ...]]:
    """Read a submission, with notes on trimmed values.

    Raises InvalidInput, RegionNotServed, and for its offer NotFound and OfferOver.
    """
    region, offer, born = advice.region or "", None, None
    if data.offer is not None:
        async with pool.transaction() as connection:
            offer = await find_open(connection, request.user.id, data.offer)
        advice = msgspec.structs.replace(advice, offered=True)
    check_region(advice.exchange, region, advice.situation, advice.standing, offered=advice.offered)
    if offer is not None:
        born = check_offer(offer, advice.exchange, region)
    submitted = read_fields(advice.exchange, data.credentials, advice.situation, advice.standing, born)
    submission = Submission(
        user_id=request.user.id,
        exchange=advice.exchange,
        region=region,
        address=client_address(request),
        advice=advice,
        account_id=account_id,
        fields=submitted.fields,
        offer=offer,
        kind_key=submitted.kind.key,
    )
    return submission, submitted.notes
