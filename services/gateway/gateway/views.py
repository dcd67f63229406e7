"""What the API shows of accounts, syncs and balances; amounts are decimal strings, times are UTC."""

from datetime import datetime
from decimal import Decimal, localcontext
from enum import StrEnum
from uuid import UUID

import msgspec

from contracts.catalogue import EXCHANGES, Exchange
from contracts.faults import Code, CodeText, fault_of
from contracts.syncs import Status, TotalCheck
from contracts.values import Balance, amount_text
from gateway.store.accounts import Account
from gateway.store.balances import StoredBalance, StoredWallet
from gateway.store.syncs import Sync, WalletVerdict

EXACT_DIGITS = 200
PARTIAL_WORDS = "Some wallets could not be read; what is shown of them is older or missing."


class WalletState(StrEnum):
    """What a stored wallet is: `stale` when the last read failed, `never_read` when none succeeded yet."""

    FRESH = "fresh"
    STALE = "stale"
    NEVER_READ = "never_read"
    NOT_COVERED = "not_covered"


class AccountView(msgspec.Struct, frozen=True):
    """A connected account."""

    id: UUID
    exchange: str
    region: str
    name: str
    exchange_uid: str
    account_type: str
    permissions: tuple[str, ...]
    ip_bound: bool
    api_key_hint: str
    created_at: datetime
    last_synced_at: datetime | None
    last_attempt_at: datetime | None
    last_error_code: CodeText | None
    next_action: str | None


class SyncView(msgspec.Struct, frozen=True):
    """A sync and its outcome; `success` is null while it is queued and true only when it is complete."""

    account_id: UUID
    sync_id: UUID
    status: Status
    success: bool | None
    holdings_count: int | None
    error: str | None
    error_code: CodeText | None
    next_action: str | None
    requested_at: datetime
    finished_at: datetime | None
    wallets: tuple[WalletVerdict, ...]


class BatchView(msgspec.Struct, frozen=True):
    """The syncs of one sync-all."""

    batch_id: UUID
    total: int
    successful: int
    failed: int
    pending: int
    results: tuple[SyncView, ...]


class SyncPage(msgspec.Struct, frozen=True):
    """Syncs, newest first; `next_cursor` is null on the last page."""

    items: tuple[SyncView, ...]
    next_cursor: UUID | None


class AmountView(msgspec.Struct, frozen=True):
    """One asset; null where the exchange did not say, never zero."""

    asset: str
    total: str
    available: str | None
    locked: str | None
    borrowed: str | None


class WalletView(msgspec.Struct, frozen=True):
    """One wallet: its state, when it was read, and its balances, null when it was never read."""

    wallet: str
    name: str
    state: WalletState
    as_of: datetime | None
    total_check: TotalCheck | None
    error_code: CodeText | None
    error: str | None
    balances: tuple[AmountView, ...] | None


class BalancesView(msgspec.Struct, frozen=True):
    """All wallets of an account."""

    account_id: UUID
    exchange: str
    last_synced_at: datetime | None
    wallets: tuple[WalletView, ...]


class HoldingView(msgspec.Struct, frozen=True):
    """One asset summed over the wallets that hold it."""

    asset: str
    total: str
    available: str | None
    locked: str | None
    borrowed: str | None
    wallets: tuple[str, ...]


class HoldingsView(msgspec.Struct, frozen=True):
    """Holdings by asset; `complete` only when every covered wallet is fresh, null when none was ever read."""

    account_id: UUID
    complete: bool
    missing_wallets: tuple[str, ...]
    stale_wallets: tuple[str, ...]
    not_covered_wallets: tuple[str, ...]
    as_of: datetime | None
    holdings: tuple[HoldingView, ...] | None


def next_action(
    code: CodeText | None, exchange: Exchange, region: str | None, egress: tuple[str, ...]
) -> str | None:
    """Say what the user can do about a fault: a wrong region and a bound key name what to choose."""
    if code is None:
        return None
    if code == Code.KEY_UNKNOWN and region is not None:
        others = ", ".join(f"{each.key} ({each.name})" for each in exchange.regions if each.key != region)
        return f"Check that the key exists and was copied whole, or use the account's own region: {others}."
    if code in (Code.IP_NOT_ALLOWED, Code.IP_BINDING_REQUIRED) and egress:
        return f"Add {', '.join(egress)} to the key's IP allow-list at {exchange.name}."
    return fault_of(code).next_action


def account_view(account: Account, egress: tuple[str, ...]) -> AccountView:
    """Show an account."""
    exchange = EXCHANGES[account.exchange]
    return AccountView(
        id=account.id,
        exchange=account.exchange,
        region=account.region,
        name=account.name,
        exchange_uid=account.exchange_uid,
        account_type="master" if account.exchange_uid == account.master_uid else "sub_account",
        permissions=tuple(account.permissions),
        ip_bound=account.ip_bound,
        api_key_hint=account.api_key_hint,
        created_at=account.created_at,
        last_synced_at=account.last_synced_at,
        last_attempt_at=account.last_attempt_at,
        last_error_code=account.last_error_code,
        next_action=next_action(account.last_error_code, exchange, account.region, egress),
    )


def sync_view(sync: Sync, egress: tuple[str, ...]) -> SyncView:
    """Show a sync."""
    queued = sync.status is Status.QUEUED
    partial = sync.status is Status.PARTIAL
    return SyncView(
        account_id=sync.account_id,
        sync_id=sync.id,
        status=sync.status,
        success=None if queued else sync.status is Status.COMPLETED,
        holdings_count=sync.holdings_count,
        error=f"{PARTIAL_WORDS} {sync.error or ''}".strip() if partial else sync.error,
        error_code=sync.error_code,
        next_action=next_action(sync.error_code, EXCHANGES[sync.exchange], None, egress),
        requested_at=sync.requested_at,
        finished_at=sync.finished_at,
        wallets=tuple(_not_after(wallet, sync.finished_at) for wallet in sync.wallets),
    )


def _not_after(wallet: WalletVerdict, recorded: datetime | None) -> WalletVerdict:
    """Show no time later than that of the recording, whatever a worker's clock said."""
    if wallet.as_of is None or recorded is None or wallet.as_of <= recorded:
        return wallet
    return msgspec.structs.replace(wallet, as_of=recorded)


def batch_view(batch_id: UUID, syncs: list[Sync], egress: tuple[str, ...]) -> BatchView:
    """Show the syncs of a batch; a partial one counts as failed."""
    results = tuple(sync_view(sync, egress) for sync in syncs)
    return BatchView(
        batch_id=batch_id,
        total=len(results),
        successful=sum(result.success is True for result in results),
        failed=sum(result.success is False for result in results),
        pending=sum(result.success is None for result in results),
        results=results,
    )


def balances_view(
    account: Account, stored: list[StoredWallet], balances: list[StoredBalance]
) -> BalancesView:
    """Show every wallet of the exchange's catalogue entry with what is kept of it."""
    kept = {wallet.wallet: wallet for wallet in stored}
    wallets: list[WalletView] = []
    for entry in EXCHANGES[account.exchange].wallets:
        wallet = kept.get(entry.key)
        state = wallet_state(wallet) if entry.covered else WalletState.NOT_COVERED
        read = wallet is not None and wallet.as_of is not None
        inside = tuple(_amounts(balance) for balance in balances if balance.wallet == entry.key)
        wallets.append(
            WalletView(
                wallet=entry.key,
                name=entry.name,
                state=state,
                as_of=wallet.as_of if wallet else None,
                total_check=wallet.total_check if wallet else None,
                error_code=wallet.error_code if wallet else None,
                error=wallet.error if wallet else None,
                balances=inside if read else None,
            )
        )
    return BalancesView(account.id, account.exchange, account.last_synced_at, tuple(wallets))


def holdings_view(
    account: Account, stored: list[StoredWallet], balances: list[StoredBalance]
) -> HoldingsView:
    """Sum the balances by asset and say what is missing from the sum."""
    exchange = EXCHANGES[account.exchange]
    kept = {wallet.wallet: wallet for wallet in stored}
    states = {wallet: wallet_state(kept.get(wallet)) for wallet in exchange.covered_wallets}
    missing = tuple(wallet for wallet, state in states.items() if state is WalletState.NEVER_READ)
    times = [wallet.as_of for wallet in stored if wallet.as_of is not None]
    return HoldingsView(
        account_id=account.id,
        complete=set(states.values()) == {WalletState.FRESH},
        missing_wallets=missing,
        stale_wallets=tuple(wallet for wallet, state in states.items() if state is WalletState.STALE),
        not_covered_wallets=tuple(wallet.key for wallet in exchange.wallets if not wallet.covered),
        as_of=min(times, default=None),
        holdings=None if len(missing) == len(states) else tuple(_holdings(balances)),
    )


def wallet_state(wallet: StoredWallet | None) -> WalletState:
    """Tell what a covered wallet is."""
    if wallet is None or wallet.as_of is None:
        return WalletState.NEVER_READ
    return WalletState.FRESH if wallet.error_code is None else WalletState.STALE


def _holdings(balances: list[StoredBalance]) -> list[HoldingView]:
    by_asset: dict[str, list[StoredBalance]] = {}
    for balance in balances:
        by_asset.setdefault(balance.asset, []).append(balance)
    return [
        HoldingView(
            asset=asset,
            total=amount_text(_exact_sum([balance.total for balance in parts])),
            available=_sum_known([balance.available for balance in parts]),
            locked=_sum_known([balance.locked for balance in parts]),
            borrowed=_sum_known([balance.borrowed for balance in parts if balance.borrowed is not None]),
            wallets=tuple(balance.wallet for balance in parts),
        )
        for asset, parts in sorted(by_asset.items())
        if any(balance.total or balance.borrowed for balance in parts)
    ]


def _amounts(balance: Balance) -> AmountView:
    return AmountView(
        balance.asset,
        amount_text(balance.total),
        _text(balance.available),
        _text(balance.locked),
        _text(balance.borrowed),
    )


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else amount_text(amount)


def _sum_known(amounts: list[Decimal | None]) -> str | None:
    """Sum amounts; None when there are none or when one of them is not known."""
    known = [amount for amount in amounts if amount is not None]
    return amount_text(_exact_sum(known)) if known and len(known) == len(amounts) else None


def _exact_sum(amounts: list[Decimal]) -> Decimal:
    """Sum without rounding: the default context keeps 28 digits only."""
    with localcontext() as context:
        context.prec = EXACT_DIGITS
        return sum(amounts, Decimal(0))
