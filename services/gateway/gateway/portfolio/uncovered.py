"""Wallets, products and sub-accounts that exist and that no sync reads: beside every total. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from contracts.exchanges.types import Exchange, Wallet
from contracts.faults import Code, fault_of
from contracts.syncs import NOTHING_USD
from contracts.uncovered import AssetAmount, Reason, Uncovered, UncoveredEntry, told
from gateway.portfolio.holdings import WalletState, wallet_state
from gateway.rows.balances import StoredWallet
from gateway.rows.sub_accounts import OWN_KEY, ListState
from gateway.rows.uncovered import StoredPart
from gateway.syncs.bounds import LEEWAY

MORE_SUB_ACCOUNTS = "Further sub-accounts that we could not read"


class NotCovered(msgspec.Struct, frozen=True):
    """An entry that no total contains, its worth in USD, None if unknown, its reason and the next step.

    `wallet` is set for a wallet of the exchange, or a part of it. `as_of` is None if it was never read.
    """

    name: str
    code: str
    words: str
    step: str
    wallet: str | None = None
    worth: Decimal | None = None
    as_of: datetime | None = None
    holds: tuple[AssetAmount, ...] | None = None
    owes: tuple[AssetAmount, ...] | None = None


def found_parts(
    exchange: Exchange, parts: Sequence[Uncovered], number: int, life: tuple[datetime, datetime]
) -> tuple[StoredPart, ...]:
    """Return the parts of an outcome to store; `life` is when its sync was requested, and now.

    Leaves out a part that was read outside the sync's life or that is named twice: its stored entries stay.
    """
    since, now = life
    found: dict[str, StoredPart] = {}
    for part in parts:
        if part.as_of is not None and not since - LEEWAY <= part.as_of <= now + LEEWAY:
            continue
        listed = None if part.listed is None else tuple(_known(exchange, each) for each in part.listed)
        as_of = None if part.as_of is None else min(part.as_of, now)
        name = _printable(part.name) or part.part
        found.setdefault(part.part, StoredPart(part.part, name, number, as_of, part.error_code, listed))
    return tuple(found.values())


def not_covered(
    exchange: Exchange,
    wallets: Sequence[StoredWallet],
    parts: Iterable[StoredPart],
    listing: ListState | None = None,
) -> tuple[NotCovered, ...]:
    """Return the wallets, products and sub-accounts that the totals of an account do not contain.

    `listing` has the sub-accounts of a master, as its key listed them.
    """
    found = [_placed(exchange, each) for each in _of_parts(parts)]
    of_account = (
        *_of_catalogue(exchange, wallets, {each.wallet: each for each in found if each.wallet}),
        *_of_wallets(exchange, wallets),
        *(each for each in found if each.wallet is None),
    )
    return (*of_account, *(_of_listing(listing) if listing else ()))


def _of_listing(listing: ListState) -> Iterator[NotCovered]:
    """Yield the sub-accounts without an account here, and an entry for more that we could not read."""
    for each in listing.left_out:
        if each.reason != OWN_KEY:
            yield _said(_printable(each.name) or each.uid, Reason.SUB_ACCOUNT, as_of=listing.listed_at)
    if listing.more or listing.unreadable:
        yield _said(MORE_SUB_ACCOUNTS, Reason.SUB_ACCOUNT, as_of=listing.listed_at)


def _placed(exchange: Exchange, said: NotCovered) -> NotCovered:
    """Return an entry with its wallet, if it has the name of a wallet."""
    named = next((each for each in exchange.wallets if said.name in {each.key, each.name}), None)
    return said if named is None else msgspec.structs.replace(said, name=named.name, wallet=named.key)


def _of_catalogue(
    exchange: Exchange, wallets: Sequence[StoredWallet], found: Mapping[str, NotCovered]
) -> Iterator[NotCovered]:
    """Yield the wallets that no sync reads, and the wallets that the key of this account does not reach.

    An entry in `found` goes before the stored state of the wallet. A wallet in a total is left out.
    """
    unreached = {each.wallet: each for each in wallets if wallet_state(each) is WalletState.NOT_COVERED}
    for wallet in exchange.wallets:
        if not wallet.covered:
            yield found.get(wallet.key) or _said(wallet.name, Reason.NOT_READ, wallet=wallet.key)
        elif stored := unreached.get(wallet.key):
            said = found.get(wallet.key) or _of_unreached(wallet, stored)
            if said is not None:
                yield said


def _of_unreached(wallet: Wallet, stored: StoredWallet) -> NotCovered | None:
    """Return the entry of a wallet that syncs leave out; None if it has no contents of its own.

    A valuation of zero is unknown for a wallet that the exchange refuses to open. A wallet that the account
    has not enabled has an entry only if the exchange values it.
    """
    omitted = stored.known.omitted
    worth, at = (None, None) if omitted is None else (omitted.valued or None, omitted.at)
    if stored.error_code == Code.NEEDS_OWN_KEY:
        return _said(wallet.name, Reason.NEEDS_OWN_KEY, wallet=wallet.key)
    if stored.error_code == Code.REFUSED_RIGHT:
        return _said(wallet.name, Reason.REFUSED_RIGHT, wallet=wallet.key, worth=worth, as_of=at)
    if stored.error_code == Code.NOT_ENABLED and worth is not None and abs(worth) > NOTHING_USD:
        return _said(wallet.name, Reason.NOT_READ, wallet=wallet.key, worth=worth, as_of=at)
    return None


def _of_wallets(exchange: Exchange, wallets: Sequence[StoredWallet]) -> Iterator[NotCovered]:
    """Yield the wallets whose last list was worth clearly less than the exchange's total for it."""
    names = {wallet.key: wallet.name for wallet in exchange.wallets if wallet.covered}
    for wallet in sorted(wallets, key=lambda each: each.wallet):
        missing = wallet.known.difference_usd
        if wallet.wallet in names and missing is not None and Decimal(missing) > 0:
            name = f"{names[wallet.wallet]}: in no list"
            worth = Decimal(missing)
            yield _said(name, Reason.UNLISTED_WORTH, wallet=wallet.wallet, worth=worth, as_of=wallet.as_of)


def _of_parts(parts: Iterable[StoredPart]) -> Iterator[NotCovered]:
    """Yield the entries of parts; a part whose last read failed is unknown, even if it was empty before."""
    for part in parts:
        entries = part.entries
        for entry in entries or ():
            said = _said(entry.name, entry.reason, worth=entry.worth_usd, as_of=part.as_of)
            said = msgspec.structs.replace(said, holds=entry.holds, owes=entry.owes)
            yield _older(said, part.error_code) if part.error_code else said
        if part.error_code and not entries:
            yield _older(_said(part.name, Reason.UNREADABLE, as_of=part.as_of), part.error_code)


def _said(
    name: str,
    reason: str,
    *,
    wallet: str | None = None,
    worth: Decimal | None = None,
    as_of: datetime | None = None,
) -> NotCovered:
    return NotCovered(name, reason, told(reason).words, told(reason).step, wallet, worth, as_of)


def _older(said: NotCovered, code: str) -> NotCovered:
    """Return an entry of an earlier read, with the fault of the last read."""
    return msgspec.structs.replace(said, words=f"{said.words} {fault_of(code).words}")


def _known(exchange: Exchange, entry: UncoveredEntry) -> UncoveredEntry:
    """Return an entry with a printable name, and without amounts that are not valid."""
    return UncoveredEntry(
        _printable(entry.name) or Reason.OTHER,
        entry.reason,
        entry.worth_usd,
        _valid(exchange, entry.holds),
        _valid(exchange, entry.owes),
    )


def _valid(exchange: Exchange, amounts: tuple[AssetAmount, ...] | None) -> tuple[AssetAmount, ...] | None:
    if amounts is None or not all(each.amount >= 0 and exchange.names_asset(each.asset) for each in amounts):
        return None
    return amounts


def _printable(name: str) -> str:
    return "".join(each for each in name if each.isprintable()).strip()
