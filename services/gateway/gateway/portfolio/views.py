"""What the API shows of accounts, syncs and balances; amounts are decimal strings, times are UTC."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, localcontext
from enum import StrEnum
from uuid import UUID

import msgspec

from contracts.exchanges import EXCHANGES
from contracts.exchanges.types import Wallet
from contracts.faults import CodeText, EndpointName, ExchangeCode
from contracts.remedies import Situation
from contracts.syncs import Status, TotalCheck
from contracts.values import AmountText, Balance, amount_text
from gateway.accounts.paused import PausedView, next_action, paused_view
from gateway.advice import Advice
from gateway.store.accounts import Account
from gateway.store.balances import Detail, StoredBalance, StoredWallet
from gateway.store.pauses import Pause, Stand
from gateway.store.syncs import Sync, WalletVerdict

EXACT_DIGITS = 200
PARTIAL_WORDS = "We could not read or confirm some wallets whole; each says what is older or missing."


class WalletState(StrEnum):
    """What a stored wallet is: `stale` when the last read failed, `never_read` when none succeeded yet.

    An `incomplete` one shows its newest list, which is not whole.
    """

    FRESH = "fresh"
    INCOMPLETE = "incomplete"
    STALE = "stale"
    NEVER_READ = "never_read"
    NOT_COVERED = "not_covered"


class AccountView(msgspec.Struct, frozen=True):
    """A connected account; while it is `paused` its key is not used.

    `notes` tell what a request changed of the values that it was sent with.
    """

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
    paused: PausedView | None
    notes: tuple[str, ...] = ()


class SyncView(msgspec.Struct, frozen=True):
    """A sync and its outcome; `success` is null while it is queued and true only when it is complete.

    `rights_unproven` says that wallets were read and the rights of the key could not be.
    """

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
    rights_unproven: bool


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
    """One asset; null where the exchange did not say, never zero.

    `stale_as_of` tells when the amount was read, where the newest list could not give it.
    """

    asset: str
    total: AmountText
    available: AmountText | None
    locked: AmountText | None
    borrowed: AmountText | None
    stale_as_of: datetime | None


class UnconfirmedView(msgspec.Struct, frozen=True):
    """The newest list of a wallet, which lacks assets without a confirmation; `since` that is so.

    `missing` names these assets; what the wallet shows is the last confirmed list.
    """

    as_of: datetime
    since: datetime
    missing: tuple[str, ...]
    balances: tuple[AmountView, ...]
    total_check: TotalCheck | None
    unreadable_rows: int


class WalletView(msgspec.Struct, frozen=True):
    """One wallet: its state, when it was read, and its balances, null when it was never read.

    `unreadable_rows` counts rows that could not be read and `unreadable` says why; `difference_usd` is what
    the list lacks (negative: has too much) beside the total of its own answer. `reported_at` tells that the
    exchange's data are more than a day older than `as_of`.
    """

    wallet: str
    name: str
    state: WalletState
    as_of: datetime | None
    total_check: TotalCheck | None
    error_code: CodeText | None
    error: str | None
    balances: tuple[AmountView, ...] | None
    unreadable_rows: int
    unreadable: tuple[str, ...]
    difference_usd: AmountText | None
    reported_at: datetime | None
    exchange_code: ExchangeCode | None
    endpoint: EndpointName | None
    unconfirmed: UnconfirmedView | None


class BalancesView(msgspec.Struct, frozen=True):
    """All wallets of an account."""

    account_id: UUID
    exchange: str
    last_synced_at: datetime | None
    wallets: tuple[WalletView, ...]


class HoldingView(msgspec.Struct, frozen=True):
    """One asset summed over the wallets that hold it."""

    asset: str
    total: AmountText
    available: AmountText | None
    locked: AmountText | None
    borrowed: AmountText | None
    wallets: tuple[str, ...]
    stale_as_of: datetime | None


class HoldingsView(msgspec.Struct, frozen=True):
    """Holdings by asset, null when no wallet was ever read.

    `complete` only when every covered wallet is fresh and none disagrees with the exchange's total;
    `total_checks` says for each wallet how that comparison went, null where the wallet was never read.
    """

    account_id: UUID
    complete: bool
    missing_wallets: tuple[str, ...]
    stale_wallets: tuple[str, ...]
    incomplete_wallets: tuple[str, ...]
    not_covered_wallets: tuple[str, ...]
    total_checks: dict[str, TotalCheck | None]
    as_of: datetime | None
    holdings: tuple[HoldingView, ...] | None


def account_view(
    account: Account, egress: tuple[str, ...], pause: Pause | None = None, notes: tuple[str, ...] = ()
) -> AccountView:
    """Show an account."""
    advice = Advice(Situation.SYNC, EXCHANGES[account.exchange], account.region, egress)
    paused = paused_view(pause, account.exchange)
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
        next_action=paused.next_action if paused else next_action(account.last_error_code, advice, Stand()),
        paused=paused,
        notes=notes,
    )


def sync_view(sync: Sync, egress: tuple[str, ...], stand: Stand) -> SyncView:
    """Show a sync; what is to be done about its fault holds for its account as it stands now."""
    advice = Advice(Situation.SYNC, EXCHANGES[sync.exchange], None, egress)
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
        next_action=next_action(sync.error_code, advice, stand),
        requested_at=sync.requested_at,
        finished_at=sync.finished_at,
        wallets=sync.wallets,
        rights_unproven=sync.rights_unproven,
    )


def batch_view(
    batch_id: UUID, syncs: list[Sync], egress: tuple[str, ...], stands: Mapping[UUID, Stand]
) -> BatchView:
    """Show the syncs of a batch; a partial one counts as failed."""
    results = tuple(sync_view(sync, egress, stands[sync.account_id]) for sync in syncs)
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
    wallets = tuple(
        _wallet(entry, kept.get(entry.key), [each for each in balances if each.wallet == entry.key])
        for entry in EXCHANGES[account.exchange].wallets
    )
    return BalancesView(account.id, account.exchange, account.last_synced_at, wallets)


def _wallet(entry: Wallet, kept: StoredWallet | None, inside: list[StoredBalance]) -> WalletView:
    wallet = kept or StoredWallet(entry.key, None, None, None, None)
    known = wallet.known
    return WalletView(
        wallet=entry.key,
        name=entry.name,
        state=wallet_state(kept) if entry.covered else WalletState.NOT_COVERED,
        as_of=wallet.as_of,
        total_check=wallet.total_check,
        error_code=wallet.error_code,
        error=wallet.error,
        balances=None if wallet.as_of is None else tuple(map(_amounts, inside)),
        unreadable_rows=known.unreadable_rows,
        unreadable=known.unreadable,
        difference_usd=known.difference_usd,
        reported_at=known.reported_at,
        exchange_code=known.exchange_code,
        endpoint=known.endpoint,
        unconfirmed=_unconfirmed(known),
    )


def _unconfirmed(known: Detail) -> UnconfirmedView | None:
    held, missing = known.held, known.missing
    if held is None or missing is None:
        return None
    return UnconfirmedView(
        as_of=held.as_of,
        since=missing.since,
        missing=tuple(sorted(missing.assets)),
        balances=tuple(map(_amounts, held.balances)),
        total_check=held.total_check,
        unreadable_rows=held.unreadable_rows,
    )


def holdings_view(
    account: Account, stored: list[StoredWallet], balances: list[StoredBalance]
) -> HoldingsView:
    """Sum the balances by asset and say what is missing from the sum."""
    exchange = EXCHANGES[account.exchange]
    kept = {wallet.wallet: wallet for wallet in stored}
    states = {wallet: wallet_state(kept.get(wallet)) for wallet in exchange.covered_wallets}
    checks = {wallet: kept[wallet].total_check if wallet in kept else None for wallet in states}
    missing = _in_state(states, WalletState.NEVER_READ)
    times = [wallet.as_of for wallet in stored if wallet.as_of is not None]
    times += [balance.stale_as_of for balance in balances if balance.stale_as_of is not None]
    fresh = set(states.values()) == {WalletState.FRESH}
    return HoldingsView(
        account_id=account.id,
        complete=fresh and TotalCheck.DISAGREES not in checks.values(),
        missing_wallets=missing,
        stale_wallets=_in_state(states, WalletState.STALE),
        incomplete_wallets=_in_state(states, WalletState.INCOMPLETE),
        not_covered_wallets=tuple(wallet.key for wallet in exchange.wallets if not wallet.covered),
        total_checks=checks,
        as_of=min(times, default=None),
        holdings=None if len(missing) == len(states) else tuple(_holdings(balances)),
    )


def wallet_state(wallet: StoredWallet | None) -> WalletState:
    """Tell what a covered wallet is."""
    if wallet is None or wallet.as_of is None:
        return WalletState.NEVER_READ
    if wallet.known.incomplete:
        return WalletState.INCOMPLETE
    return WalletState.FRESH if wallet.error_code is None else WalletState.STALE


def _in_state(states: dict[str, WalletState], state: WalletState) -> tuple[str, ...]:
    return tuple(wallet for wallet, each in states.items() if each is state)


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
            stale_as_of=min((each.stale_as_of for each in parts if each.stale_as_of), default=None),
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
        balance.stale_as_of if isinstance(balance, StoredBalance) else None,
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
