"""Connected accounts: connecting, repairing, renaming, deleting, and what they hold."""

from uuid import UUID

import msgspec
from litestar import Response, delete, get, patch, post, put

from contracts.exchanges import EXCHANGES
from contracts.remedies import Situation
from contracts.values import Secret
from gateway.accounts.connect import Accepted, Submission
from gateway.accounts.pasted import trimmed
from gateway.accounts.submission import check_region, find_exchange, read_values
from gateway.advice import Advice
from gateway.context import Gateway
from gateway.http.answers import documented
from gateway.http.problems import invalid_input, not_found
from gateway.http.rate_limits import RATE_LIMIT, USER_ALONE
from gateway.http.situations import Doing
from gateway.limits import rate_limit_fields
from gateway.portfolio.views import (
    AccountView,
    BalancesView,
    HoldingsView,
    account_view,
    balances_view,
    holdings_view,
)
from gateway.routes.auth import SignedInRequest, client_address
from gateway.store import accounts, audit, balances, pauses
from gateway.store.accounts import Account
from gateway.store.audit import Action
from gateway.store.balances import StoredBalance, StoredWallet
from gateway.store.pauses import Stand

MAX_NAME = 64
CONNECTING = documented(401, 409, 422, 429, 502)
REPLACING = documented(401, 404, 422, 429, 502)


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parts of a read-only API key."""

    api_key: Secret
    api_secret: Secret
    passphrase: Secret


class Connect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account to connect; GET /api/v1/exchanges lists exchanges and regions."""

    exchange: str
    name: str
    region: str
    credentials: Credentials


class Rename(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another name for an account."""

    name: str


class ReplaceCredentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another key of the same account of the exchange; `region` only where it was wrong."""

    credentials: Credentials
    region: str | None = None


@post(
    "/api/v1/accounts",
    status_code=201,
    response_headers=RATE_LIMIT,
    responses=CONNECTING,
    tags=["accounts"],
    situation=Situation.CONNECT,
)
async def connect_account(data: Connect, request: SignedInRequest, gateway: Gateway) -> Response[AccountView]:
    """Connect an account after its key was verified to be read-only; a key that is refused is destroyed."""
    advice = Advice(Situation.CONNECT, find_exchange(data.exchange), data.region, gateway.egress)
    submission, notes = _submission(request, advice, data.credentials)
    return _shown(gateway, await gateway.connecting.connect(submission, _checked_name(data.name)), notes)


@get("/api/v1/accounts", responses=documented(401), tags=["accounts"])
async def list_accounts(request: SignedInRequest, gateway: Gateway) -> tuple[AccountView, ...]:
    """List the connected accounts."""
    async with gateway.pool.transaction(snapshot=True) as connection:
        listed = await accounts.list_accounts(connection, request.user.id)
        paused = await pauses.find(connection, [account.id for account in listed])
    return tuple(account_view(account, gateway.egress, paused.get(account.id)) for account in listed)


@get("/api/v1/accounts/{account_id:uuid}", responses=documented(401, 404), tags=["accounts"])
async def show_account(account_id: UUID, request: SignedInRequest, gateway: Gateway) -> AccountView:
    """Show an account."""
    async with gateway.pool.transaction(snapshot=True) as connection:
        account = await accounts.find_account(connection, request.user.id, account_id)
        if account is None:
            raise not_found()
        paused = await pauses.find(connection, [account_id])
    return account_view(account, gateway.egress, paused.get(account_id))


@patch(
    "/api/v1/accounts/{account_id:uuid}",
    responses=documented(400, 401, 404, 429),
    tags=["accounts"],
    situation=Doing.RENAME,
)
async def rename_account(
    account_id: UUID, data: Rename, request: SignedInRequest, gateway: Gateway
) -> AccountView:
    """Rename an account."""
    name = _checked_name(data.name)
    async with gateway.pool.transaction() as connection:
        account = await accounts.rename(connection, request.user.id, account_id, name)
        if account is None:
            raise not_found()
        paused = await pauses.find(connection, [account_id])
        await audit.record(connection, Action.ACCOUNT_RENAMED, user_id=request.user.id, subject=account_id)
    return account_view(account, gateway.egress, paused.get(account_id))


@delete(
    "/api/v1/accounts/{account_id:uuid}",
    status_code=204,
    responses=documented(401, 404, 429),
    tags=["accounts"],
    situation=Doing.DELETE_ACCOUNT,
)
async def delete_account(account_id: UUID, request: SignedInRequest, gateway: Gateway) -> None:
    """Delete an account with its balances; its secret is destroyed as soon as the vault can be reached."""
    await gateway.deleting.delete(request.user.id, account_id)


@put(
    "/api/v1/accounts/{account_id:uuid}/credentials",
    response_headers=RATE_LIMIT,
    responses=REPLACING,
    tags=["accounts"],
    opt=USER_ALONE,
    situation=Situation.REPLACE,
)
async def replace_credentials(
    account_id: UUID, data: ReplaceCredentials, request: SignedInRequest, gateway: Gateway
) -> Response[AccountView]:
    """Repair or rotate the key of an account; the old one works until the new one is verified."""
    account, stand = await _found(gateway, request, account_id)
    exchange, region = EXCHANGES[account.exchange], data.region or account.region
    advice = Advice(Situation.REPLACE, exchange, region, gateway.egress, stand.standing)
    submission, notes = _submission(request, advice, data.credentials, account_id)
    return _shown(gateway, await gateway.connecting.replace(submission, account), notes)


@get("/api/v1/accounts/{account_id:uuid}/balances", responses=documented(401, 404), tags=["balances"])
async def show_balances(account_id: UUID, request: SignedInRequest, gateway: Gateway) -> BalancesView:
    """Show the balances by wallet and asset, with the state of each wallet."""
    return balances_view(*await _kept(gateway, request, account_id))


@get("/api/v1/accounts/{account_id:uuid}/holdings", responses=documented(401, 404), tags=["balances"])
async def show_holdings(account_id: UUID, request: SignedInRequest, gateway: Gateway) -> HoldingsView:
    """Show the holdings summed by asset, and what is missing from the sums."""
    return holdings_view(*await _kept(gateway, request, account_id))


def _shown(gateway: Gateway, accepted: Accepted, notes: tuple[str, ...]) -> Response[AccountView]:
    view = account_view(accepted.account, gateway.egress, notes=notes)
    return Response(view, headers=rate_limit_fields(accepted.allowances))


async def _kept(
    gateway: Gateway, request: SignedInRequest, account_id: UUID
) -> tuple[Account, list[StoredWallet], list[StoredBalance]]:
    """Give an account with its wallets and balances as they were at one moment."""
    async with gateway.pool.transaction(snapshot=True) as connection:
        account = await accounts.find_account(connection, request.user.id, account_id)
        if account is None:
            raise not_found()
        wallets = await balances.list_wallets(connection, account_id)
        return account, wallets, await balances.list_balances(connection, account_id)


async def _found(gateway: Gateway, request: SignedInRequest, account_id: UUID) -> tuple[Account, Stand]:
    """Give an account and how it stands; raises Problem."""
    async with gateway.pool.transaction(snapshot=True) as connection:
        account = await accounts.find_account(connection, request.user.id, account_id)
        if account is None:
            raise not_found()
        stands = await pauses.find_stands(connection, [account_id])
    return account, stands[account_id]


def _submission(
    request: SignedInRequest, advice: Advice, given: Credentials, account_id: UUID | None = None
) -> tuple[Submission, tuple[str, ...]]:
    """Read what is submitted, and the notes on what was trimmed of it; raises Problem."""
    region = advice.region or ""
    check_region(advice.exchange, region, advice.situation, advice.standing)
    submitted = read_values(msgspec.structs.asdict(given), advice.situation, advice.standing)
    submission = Submission(
        user_id=request.user.id,
        exchange=advice.exchange,
        region=region,
        address=client_address(request),
        advice=advice,
        account_id=account_id,
        **submitted.values,
    )
    return submission, submitted.notes


def _checked_name(text: str) -> str:
    name = trimmed(text)
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise invalid_input(f"The name must have 1 to {MAX_NAME} printable characters.")
    return name
