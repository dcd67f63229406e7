"""Parse the owner and the rights of a key. Pure; raises UnexpectedResponse.

Source: https://developers.binance.com/docs/wallet/account/api-key-permission.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from contracts.credentials import Verified
from contracts.exchanges.binance import BINANCE
from contracts.rights import named_rights
from contracts.syncs import KeyFacts, Rights
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.lenient_json import Number, is_whole
from sync_worker.exchanges.values import NOT_TOLD, UID, UNREADABLE_KEY, fields_of, time_of

BOUND, CREATED, EXPIRES = "ipRestrict", "createTime", "tradingAuthorityExpirationTime"
KNOWN = BINANCE.read_only_permissions | BINANCE.further_permissions


def parse_verified(restrictions: Any, account: Any) -> Verified:
    """Parse the data of apiRestrictions and of the account; Binance names no master and no addresses."""
    rights = parse_rights(restrictions, account)
    return Verified(rights.exchange_uid, rights.exchange_uid, rights.permissions, (), rights.key)


def parse_rights(restrictions: Any, account: Any) -> Rights:
    """Parse the rights of a key, which are the fields that are true, and the account that it belongs to.

    A field that is absent is no right. One that can not be read could be a right, so all of them are
    unreadable then.
    """
    uid = fields_of(account).get("uid")
    if not isinstance(uid, str) or not UID.fullmatch(uid):
        raise UnexpectedResponse(NOT_TOLD)
    if not isinstance(restrictions, dict) or not restrictions or not is_whole(restrictions):
        raise UnexpectedResponse(UNREADABLE_KEY)
    return Rights(str(uid), named_rights(BINANCE, _rights(restrictions)), _facts(restrictions))


def _rights(fields: dict[str, Any]) -> Iterator[str]:
    for name, value in fields.items():
        if name in (BOUND, CREATED, EXPIRES) or value is False:
            continue
        if value is True:
            yield name
        elif name in KNOWN or not isinstance(value, Number):  # a number is a fact of a later version
            raise UnexpectedResponse(UNREADABLE_KEY)


def _facts(fields: dict[str, Any]) -> KeyFacts:
    bound = fields.get(BOUND)
    return KeyFacts(
        _time(fields, CREATED), _time(fields, EXPIRES), bound if isinstance(bound, bool) else None
    )


def _time(fields: dict[str, Any], name: str) -> datetime | None:
    return time_of(fields.get(name))
