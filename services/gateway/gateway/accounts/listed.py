"""The changes of a list of sub-accounts: accounts to add, to rename and to mark, and those left out. Pure."""

from collections.abc import Collection, Sequence
from uuid import UUID

import msgspec

from contracts.exchanges import EXCHANGES
from contracts.exchanges.types import VALUE
from contracts.syncs import SubAccount, SubAccountList
from gateway.errors import InvalidInput
from gateway.rows.accounts import Account
from gateway.rows.sub_accounts import OWN_KEY, Child, LeftOut

# They share the limits of the exchange for the key of their master.
MOST_OF_ONE = 50
UNUSABLE_NAME = "unusable_name"
TOO_MANY, TOO_MANY_ACCOUNTS = "too_many_sub_accounts", "too_many_accounts"


class Plan(msgspec.Struct, frozen=True):
    """What a list changes: accounts to add, new names, sub-accounts that are gone or back, and the rest."""

    new: tuple[SubAccount, ...]
    renamed: tuple[Child, ...]
    gone: tuple[UUID, ...]
    back: tuple[UUID, ...]
    left_out: tuple[LeftOut, ...]


def compare(listed: SubAccountList, children: Sequence[Child], connected: Collection[str], room: int) -> Plan:
    """Return what a list changes; `connected` are the listed uids that the user has accounts for.

    `room` is how many accounts the user may add. Pure.
    """
    known = {child.uid: child for child in children}
    room = min(room, MOST_OF_ONE - len(known))
    reason = TOO_MANY if room == MOST_OF_ONE - len(known) else TOO_MANY_ACCOUNTS
    named = {each.uid: each for each in listed.sub_accounts}
    new: list[SubAccount] = []
    left_out: list[LeftOut] = []
    for each in named.values():
        if each.uid in known:
            continue
        why = _why_left_out(each, connected, reason if len(new) >= room else None)
        if why is None:
            new.append(each)
        else:
            left_out.append(LeftOut(each.uid, each.name, why))
    usable = {uid: each.name for uid, each in named.items() if VALUE.fullmatch(each.name)}
    renamed = [
        msgspec.structs.replace(child, name=usable[uid])
        for uid, child in known.items()
        if usable.get(uid, child.name) != child.name
    ]
    missing = [child for uid, child in known.items() if listed.whole and uid not in named]
    gone = [child.account_id for child in missing if child.gone_since is None]
    back = [child.account_id for uid, child in known.items() if child.gone_since and uid in named]
    return Plan(tuple(new), tuple(renamed), tuple(gone), tuple(back), tuple(left_out))


def check_lists(account: Account, child: Child | None) -> None:
    """Raise InvalidInput unless the key of an account can list sub-accounts."""
    exchange = EXCHANGES[account.exchange]
    if child is not None or account.exchange_uid != account.master_uid:
        raise InvalidInput(
            "Only the key of a master account lists sub-accounts, and this account is a sub-account. Set "
            "`sub_accounts` of its master account."
        )
    if not exchange.sub_account_wallets:
        raise InvalidInput(f"We can not list sub-accounts of {exchange.name}: leave `sub_accounts` out.")


def _why_left_out(each: SubAccount, connected: Collection[str], full: str | None) -> str | None:
    if each.uid in connected:
        return OWN_KEY
    return full if VALUE.fullmatch(each.name) else UNUSABLE_NAME
