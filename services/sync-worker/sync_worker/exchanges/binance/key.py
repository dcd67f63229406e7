"""Parse the facts of a Binance key: owner, rights, and the facts beside them. Pure.

Source: https://developers.binance.com/docs/wallet/account/api-key-permission.
"""

from typing import Any

from contracts.credentials import Verified
from contracts.exchanges.binance import BINANCE
from contracts.rights import named_rights
from contracts.syncs import KeyFacts, Rights
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.lenient_json import is_whole
from sync_worker.exchanges.values import NOT_TOLD, UID, time_of

BOUND = "ipRestrict"
KNOWN = BINANCE.read_only_permissions | BINANCE.further_permissions
# So begin the names of rights.
BEGINNINGS = ("enable", "permits")


def parse_rights(restrictions: Any, account: Any) -> Rights:
    """Parse owner and rights from the responses of apiRestrictions and account; raises UnexpectedResponse.

    A value that could be a right and is not a valid boolean makes all of them unknown.
    """
    if not isinstance(restrictions, dict) or not is_whole(restrictions) or not isinstance(account, dict):
        raise UnexpectedResponse(NOT_TOLD)
    uid = account.get("uid")
    if not isinstance(uid, str) or not UID.fullmatch(uid):
        raise UnexpectedResponse(NOT_TOLD)
    said = [name for name, value in restrictions.items() if name != BOUND and _is_right(name, value)]
    return Rights(str(uid), named_rights(BINANCE, said), _facts(restrictions))


def parse_verified(restrictions: Any, account: Any) -> Verified:
    """Parse the same as a verification; Binance names neither a master account nor bound addresses."""
    rights = parse_rights(restrictions, account)
    return Verified(rights.exchange_uid, rights.exchange_uid, rights.permissions, (), rights.key)


def _is_right(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if name in KNOWN or name.startswith(BEGINNINGS):
        raise UnexpectedResponse(NOT_TOLD)
    return _holds_true(value)


def _holds_true(value: Any) -> bool:
    left = [value]
    while left:
        node = left.pop()
        if node is True:
            return True
        left += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return False


def _facts(restrictions: dict[str, Any]) -> KeyFacts:
    bound = restrictions.get(BOUND)
    return KeyFacts(
        time_of(restrictions.get("createTime")),
        time_of(restrictions.get("tradingAuthorityExpirationTime")),
        bound if isinstance(bound, bool) else None,
    )
