"""Accounts in API responses; times are UTC. Pure."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from contracts.exchanges import EXCHANGES
from contracts.faults import CodeText
from contracts.remedies import Situation
from gateway.accounts.paused import next_action, way_out
from gateway.advice import Advice
from gateway.http.schedule_view import ScheduleView, schedule_view
from gateway.http.sub_account_views import MasterView, SubAccountsView, master_view, sub_accounts_view
from gateway.http.uncovered_views import UncoveredView, uncovered_view
from gateway.portfolio.uncovered import NotCovered
from gateway.rows.accounts import Account
from gateway.rows.offers import Key
from gateway.rows.pauses import Pause, Stand
from gateway.rows.restores import Restore
from gateway.rows.schedules import Schedule
from gateway.rows.sub_accounts import Relations


class PausedView(msgspec.Struct, frozen=True):
    """The pause of an account: its reason, its start, and the action that ends it.

    `rights` are the key's excess rights. If `secret_destroyed` is true, only a new key ends the pause.
    """

    reason: CodeText
    since: datetime
    rights: tuple[str, ...]
    secret_destroyed: bool
    next_action: str


class KeyView(msgspec.Struct, frozen=True):
    """The key of an account: its kind, and the facts that the exchange states; null is not stated.

    `fingerprint` is the SHA-256 of the public key if the key was born in our vault. `warnings` name the
    rights that the exchange shows on this key though it may only read.
    """

    kind: str
    born: bool
    fingerprint: str | None
    created_at: datetime | None
    expires_at: datetime | None
    ip_bound: bool
    warnings: tuple[str, ...]


class AccountView(msgspec.Struct, frozen=True):
    """A connected account; while `paused` is not null, its key is not used.

    `notes` lists the changes that the gateway made to the submitted values. `restored_at` is when the
    database was restored from a backup, until a sync completes: later changes of the account may be lost.
    `uncovered` lists all that exists in the account and that no total contains.
    `sub_accounts` is null unless the account lists its sub-accounts. `sub_account_of` is set for an account
    that the key of another one, its master, reads; its `key` is null.
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
    schedule: ScheduleView
    notes: tuple[str, ...] = ()
    restored_at: datetime | None = None
    uncovered: tuple[UncoveredView, ...] = ()
    sub_account_of: MasterView | None = None
    sub_accounts: SubAccountsView | None = None
    key: KeyView | None = None


def paused_view(pause: Pause | None, exchange: str) -> PausedView | None:
    """Return the view of a pause; None if the account is not paused."""
    if pause is None:
        return None
    return PausedView(
        reason=pause.reason,
        since=pause.paused_at,
        rights=pause.rights,
        secret_destroyed=pause.destroyed_at is not None,
        next_action=way_out(pause, EXCHANGES[exchange].name),
    )


def key_view(account: Account, key: Key | None) -> KeyView:
    """Return the view of an account's key; without a stored kind the key is of the first typed kind."""
    exchange = EXCHANGES[account.exchange]
    kind = exchange.kind(key.kind if key else "") or exchange.typed[0]
    warned = exchange.warned_permissions
    return KeyView(
        kind=kind.key,
        born=kind.born,
        fingerprint=key.fingerprint if key else None,
        created_at=key.created_at if key else None,
        expires_at=key.expires_at if key else None,
        ip_bound=_ip_bound(account, key),
        warnings=tuple(f"{each}: {warned[each]}" for each in account.permissions if each in warned),
    )


def _ip_bound(account: Account, key: Key | None) -> bool:
    """Return whether the key is bound to addresses, by the last sync that says so, else by the connect."""
    return account.ip_bound if key is None or key.ip_bound is None else key.ip_bound


def account_view(  # noqa: PLR0913 - the parts of one view
    account: Account,
    egress: tuple[str, ...],
    pause: Pause | None = None,
    notes: tuple[str, ...] = (),
    *,
    restored: Restore | None = None,
    schedule: Schedule | None = None,
    beside: Sequence[NotCovered] = (),
    relations: Relations | None = None,
    key: Key | None = None,
) -> AccountView:
    """Return the view of an account."""
    advice = Advice(Situation.SYNC, EXCHANGES[account.exchange], account.region, egress)
    paused = paused_view(pause, account.exchange)
    relations = relations or Relations()
    return AccountView(
        id=account.id,
        exchange=account.exchange,
        region=account.region,
        name=account.name,
        exchange_uid=account.exchange_uid,
        account_type="master" if account.exchange_uid == account.master_uid else "sub_account",
        permissions=tuple(account.permissions),
        ip_bound=_ip_bound(account, key),
        api_key_hint=account.api_key_hint,
        created_at=account.created_at,
        last_synced_at=account.last_synced_at,
        last_attempt_at=account.last_attempt_at,
        last_error_code=account.last_error_code,
        next_action=paused.next_action if paused else next_action(account.last_error_code, advice, Stand()),
        paused=paused,
        schedule=schedule_view(schedule, pause, advice),
        notes=notes,
        restored_at=restored.older(account.last_synced_at or account.created_at) if restored else None,
        uncovered=tuple(uncovered_view(account.id, each) for each in beside),
        sub_account_of=master_view(relations.child),
        sub_accounts=sub_accounts_view(relations.listing, account.exchange),
        key=key_view(account, key) if relations.child is None and account.credential_id else None,
    )
