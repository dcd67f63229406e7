"""Judging by its rights and owner whether a key may still be used. Pure."""

from collections.abc import Iterable

import msgspec

from contracts.credentials import Verified, VerifiedRights
from contracts.exchanges.types import Exchange
from contracts.faults import Code, CodeText, fault_of
from contracts.rights import excess_rights, named_rights
from contracts.syncs import Rights


class Finding(msgspec.Struct, frozen=True):
    """Why a key must not be used; `rights` are its excess rights."""

    code: CodeText
    rights: tuple[str, ...] = ()

    @property
    def detail(self) -> str:
        """Return a sentence with the rights; empty without rights."""
        return f"Its other rights are: {', '.join(self.rights)}." if self.rights else ""

    @property
    def words(self) -> str:
        """Return the text of the fault, with the rights by name."""
        return fault_of(self.code).told(self.detail)


def judge_rights(
    exchange: Exchange, exchange_uid: str, said: Rights | VerifiedRights | Verified
) -> Finding | None:
    """Judge the owner and rights of a key; None if it may only read its account.

    For a key of another account, that is the finding, whatever its rights.
    """
    if said.exchange_uid != exchange_uid:
        return Finding(Code.OTHER_ACCOUNT)
    return judge_key(exchange, said.permissions)


def judge_key(exchange: Exchange, permissions: Iterable[str]) -> Finding | None:
    """Judge a key by its rights alone: it may do more than read, or may not read."""
    named = named_rights(exchange, permissions)
    excess = excess_rights(exchange, named)
    if not excess:
        reads = exchange.needed_permissions <= set(named)
        return None if reads else Finding(Code.PERMISSION_MISSING)
    known = exchange.further_permissions.intersection(excess)
    return Finding(Code.OVER_PRIVILEGED_KEY if known else Code.UNKNOWN_RIGHT, excess)
