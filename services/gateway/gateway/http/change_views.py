"""Changes of accounts in API responses; quantities are decimal strings, times are UTC."""

from datetime import datetime
from uuid import UUID

import msgspec

from contracts.faults import CodeText
from contracts.values import AmountText, amount_text
from gateway.accounts.changes import Changed, Page
from gateway.portfolio.differences import AssetDifference, WalletDifference


class AssetChangeView(msgspec.Struct, frozen=True):
    """A change of an asset, summed over the wallets of the account; null means that it was not known.

    `cause` is `quantity` if the account holds more or less of it, and `coverage` if a wallet that holds it
    was read for the first time. A later version may send other causes.
    """

    asset: str
    cause: str
    old_quantity: AmountText | None
    new_quantity: AmountText


class WalletChangeView(msgspec.Struct, frozen=True):
    """A change of the state or the error of a wallet; the old state is null for the first snapshot."""

    wallet: str
    old_state: str | None
    new_state: str
    old_error_code: CodeText | None
    new_error_code: CodeText | None


class ChangeView(msgspec.Struct, frozen=True):
    """The changes of an account at `at`; a sync confirmed the earlier state last at `unchanged_until`.

    Between both times the change happened; after two days all changes of an hour are one. Without a change
    of assets or wallets the account was not read for so long that a gap lies between them, or the changes of
    the hour cancelled each other. `unchanged_until` is null for the first snapshot.
    """

    account_id: UUID
    snapshot_id: UUID
    at: datetime
    unchanged_until: datetime | None
    assets: tuple[AssetChangeView, ...]
    wallets: tuple[WalletChangeView, ...]


class ChangesPage(msgspec.Struct, frozen=True):
    """Changes, newest first; `next_cursor` is null on the last page."""

    items: tuple[ChangeView, ...]
    next_cursor: str | None


def changes_page(page: Page) -> ChangesPage:
    """Return a page of changes."""
    return ChangesPage(tuple(map(_change, page.changes)), page.cursor)


def _change(of: Changed) -> ChangeView:
    step = of.step
    return ChangeView(
        step.account_id,
        step.id,
        step.since,
        None if step.before is None else step.before.until,
        tuple(map(_asset, of.difference.assets)),
        tuple(map(_wallet, of.difference.wallets)),
    )


def _asset(of: AssetDifference) -> AssetChangeView:
    return AssetChangeView(
        of.asset, of.cause, None if of.old is None else amount_text(of.old), amount_text(of.new)
    )


def _wallet(of: WalletDifference) -> WalletChangeView:
    return WalletChangeView(of.wallet, of.old_state, of.new_state, of.old_error, of.new_error)
