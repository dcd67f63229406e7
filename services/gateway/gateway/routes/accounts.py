"""Connected accounts: connecting, repairing, renaming, deleting, and what they hold."""

from uuid import UUID

import msgspec
from litestar import Response, delete, get, patch, post, put

from contracts.catalogue import EXCHANGES, Exchange
from contracts.values import Secret
from gateway.connecting import Accepted, Submission
from gateway.context import Gateway
from gateway.errors import invalid_input, not_found
from gateway.limits import rate_limit_fields
from gateway.routes.auth import SignedInRequest, client_address
from gateway.routes.limiting import RATE_LIMIT
from gateway.routes.problems import documented
from gateway.store import accounts, audit, balances
from gateway.store.accounts import Account
from gateway.store.audit import Action
from gateway.store.balances import StoredBalance, StoredWallet
from gateway.views import AccountView, BalancesView, HoldingsView, account_view, balances_view, holdings_view

MAX_NAME = 64
MAX_SECRET = 256
CONNECTING = documented(400, 401, 404, 409, 422, 429, 502, 503)


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
)
async def connect_account(data: Connect, request: SignedInRequest, gateway: Gateway) -> Response[AccountView]:
    """Connect an account after its key was verified to be read-only; a key that is refused is destroyed."""
    exchange = EXCHANGES.get(data.exchange)
    if exchange is None:
        raise invalid_input(f"This exchange is not known: choose one of {', '.join(EXCHANGES)}.")
    submission = _submission(request, exchange, data.region, data.credentials)
    return _shown(gateway, await gateway.connecting.connect(submission, _checked_name(data.name)))


@get("/api/v1/accounts", responses=documented(401), tags=["accounts"])
async def list_accounts(request: SignedInRequest, gateway: Gateway) -> tuple[AccountView, ...]:
    """List the connected accounts."""
    async with gateway.pool.transaction() as connection:
        listed = await accounts.list_accounts(connection, request.user.id)
    return tuple(account_view(account, gateway.egress) for account in listed)


@get("/api/v1/accounts/{account_id:uuid}", responses=documented(401, 404), tags=["accounts"])
async def show_account(account_id: UUID, request: SignedInRequest, gateway: Gateway) -> AccountView:
    """Show an account."""
    return account_view(await _found(gateway, request, account_id), gateway.egress)


@patch("/api/v1/accounts/{account_id:uuid}", responses=documented(400, 401, 404, 429), tags=["accounts"])
async def rename_account(
    account_id: UUID, data: Rename, request: SignedInRequest, gateway: Gateway
) -> AccountView:
    """Rename an account."""
    name = _checked_name(data.name)
    async with gateway.pool.transaction() as connection:
        account = await accounts.rename(connection, request.user.id, account_id, name)
        if account is None:
            raise not_found()
        await audit.record(connection, Action.ACCOUNT_RENAMED, user_id=request.user.id, subject=account_id)
    return account_view(account, gateway.egress)


@delete(
    "/api/v1/accounts/{account_id:uuid}",
    status_code=204,
    responses=documented(401, 404, 429),
    tags=["accounts"],
)
async def delete_account(account_id: UUID, request: SignedInRequest, gateway: Gateway) -> None:
    """Delete an account with its balances; its secret is destroyed as soon as the vault can be reached."""
    await gateway.deleting.delete(request.user.id, account_id)


@put(
    "/api/v1/accounts/{account_id:uuid}/credentials",
    response_headers=RATE_LIMIT,
    responses=CONNECTING,
    tags=["accounts"],
)
async def replace_credentials(
    account_id: UUID, data: ReplaceCredentials, request: SignedInRequest, gateway: Gateway
) -> Response[AccountView]:
    """Repair or rotate the key of an account; the old one works until the new one is verified."""
    account = await _found(gateway, request, account_id)
    exchange = EXCHANGES[account.exchange]
    submission = _submission(request, exchange, data.region or account.region, data.credentials)
    return _shown(gateway, await gateway.connecting.replace(submission, account))


@get("/api/v1/accounts/{account_id:uuid}/balances", responses=documented(401, 404), tags=["balances"])
async def show_balances(account_id: UUID, request: SignedInRequest, gateway: Gateway) -> BalancesView:
    """Show the balances by wallet and asset, with the state of each wallet."""
    return balances_view(*await _kept(gateway, request, account_id))


@get("/api/v1/accounts/{account_id:uuid}/holdings", responses=documented(401, 404), tags=["balances"])
async def show_holdings(account_id: UUID, request: SignedInRequest, gateway: Gateway) -> HoldingsView:
    """Show the holdings summed by asset, and what is missing from the sums."""
    return holdings_view(*await _kept(gateway, request, account_id))


def _shown(gateway: Gateway, accepted: Accepted) -> Response[AccountView]:
    return Response(
        account_view(accepted.account, gateway.egress), headers=rate_limit_fields(accepted.allowances)
    )


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


async def _found(gateway: Gateway, request: SignedInRequest, account_id: UUID) -> Account:
    async with gateway.pool.transaction() as connection:
        account = await accounts.find_account(connection, request.user.id, account_id)
    if account is None:
        raise not_found()
    return account


def _submission(
    request: SignedInRequest, exchange: Exchange, region: str, submitted: Credentials
) -> Submission:
    if exchange.region(region) is None:
        known = ", ".join(each.key for each in exchange.regions)
        raise invalid_input(f"This region is not known for {exchange.name}: choose one of {known}.")
    return Submission(
        user_id=request.user.id,
        exchange=exchange,
        region=region,
        api_key=_checked_secret("api_key", submitted.api_key),
        api_secret=_checked_secret("api_secret", submitted.api_secret),
        passphrase=_checked_secret("passphrase", submitted.passphrase),
        address=client_address(request),
    )


def _checked_secret(field: str, secret: Secret) -> Secret:
    """Refuse what can not be a part of a key: header fields of the exchange are printable ASCII."""
    text = secret.reveal()
    if (
        not 0 < len(text) <= MAX_SECRET
        or not text.isascii()
        or not text.isprintable()
        or text != text.strip()
    ):
        raise invalid_input(
            f"{field} must be 1 to {MAX_SECRET} printable characters without spaces around them."
        )
    return secret


def _checked_name(text: str) -> str:
    name = text.strip()
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise invalid_input(f"A name has 1 to {MAX_NAME} printable characters.")
    return name
