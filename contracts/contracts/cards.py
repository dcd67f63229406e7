"""One card per message on the bus: who sends it to whom, its schema and a golden example.

`python -m contracts.cards DIRECTORY` writes `schemas/` and `examples/` there; a test holds them to the code.
"""

import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from contracts import subjects
from contracts.credentials import (
    AskKeys,
    Authorize,
    Authorized,
    Destroy,
    Destroyed,
    Keys,
    Refused,
    Store,
    Stored,
)
from contracts.events import (
    AccountPaused,
    AccountResumed,
    AccountSynced,
    Verified,
    VerifiedRights,
    Verify,
    WalletFact,
)
from contracts.exchanges.types import Read
from contracts.faults import Code
from contracts.syncs import (
    Rights,
    Status,
    SyncCompleted,
    SyncFailed,
    SyncRequested,
    TotalCheck,
    Totals,
    UnreadableRow,
    Verdict,
    WalletRead,
)
from contracts.values import Balance

_SYNC = UUID("01a20bb2-cf15-70d2-b21f-28f16bee3201")
_ACCOUNT = UUID("01a20bb2-cf15-70d2-b21f-28f16bee3202")
_CREDENTIAL = UUID("01a20bb2-cf15-70d2-b21f-28f16bee3203")
_USER = UUID("01a20bb2-cf15-70d2-b21f-28f16bee3204")
_REQUEST = UUID("01a20bb2-cf15-70d2-b21f-28f16bee3205")
_AT = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
_DEADLINE = datetime(2026, 11, 24, 12, 2, 0, tzinfo=UTC)
_REPORTED = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
_GRANT = "cGF5bG9hZA==.c2lnbmF0dXJl"
_TRADING = WalletRead(
    "trading",
    Verdict.INCOMPLETE,
    as_of=_AT,
    balances=(
        Balance(
            "BTC",
            Decimal("0.123456789012345678"),
            available=Decimal("0.1"),
            locked=Decimal("0.023456789012345678"),
        ),
        Balance("USDT", Decimal("-5.50"), available=Decimal("0"), borrowed=Decimal("5.50")),
    ),
    total_check=TotalCheck.UNCHECKED,
    error_code=Code.UNREADABLE_ROWS,
    error="1 of 3 rows could not be read: the currency has no name.",
    totals=Totals(Decimal("7894.50"), Decimal("7905.50"), Decimal("7894.51"), fits=True),
    unreadable=(UnreadableRow("the currency has no name", usd=Decimal("0.00000003")),),
    unreadable_count=1,
    reported_at=_REPORTED,
)
_FUNDING = WalletRead(
    "funding",
    Verdict.FAILED,
    error_code=Code.EXCHANGE_ERROR,
    error="The exchange answered with an error code that is not known here.",
    exchange_code="59999",
    endpoint="asset_balances",
)
_RIGHTS = Rights("446556000000000001", ("read_only",))
_EARN = WalletRead("earn", Verdict.NOT_COVERED)


class Card(msgspec.Struct, frozen=True):
    """A message, the subject it goes to (or answers on), its sender and its receiver."""

    subject: str
    sender: str
    receiver: str
    example: msgspec.Struct

    @property
    def name(self) -> str:
        """Give the name of the message, which names its files."""
        return type(self.example).__name__


CARDS = (
    Card(
        subjects.SYNC_REQUESTED_ALL,
        "gateway",
        "sync-worker",
        SyncRequested(_SYNC, _ACCOUNT, _CREDENTIAL, "okx", "global", _DEADLINE, _GRANT),
    ),
    Card(
        subjects.SYNC_COMPLETED_ALL,
        "sync-worker",
        "gateway",
        SyncCompleted(
            _SYNC, _ACCOUNT, "okx", Status.PARTIAL, (_TRADING, _FUNDING, _EARN), 2, _GRANT, _RIGHTS
        ),
    ),
    Card(
        subjects.SYNC_FAILED_ALL,
        "sync-worker, gateway",
        "gateway",
        SyncFailed(
            _SYNC,
            _ACCOUNT,
            "okx",
            Code.KEY_UNKNOWN,
            "The exchange does not know this API key.",
            grant=_GRANT,
        ),
    ),
    Card(
        "butler.account.synced.<user_id>",
        "gateway",
        "subscribers",
        AccountSynced(
            _SYNC,
            _ACCOUNT,
            _USER,
            "okx",
            Status.PARTIAL,
            _AT,
            (
                WalletFact("trading", Verdict.COMPLETE, total_check=TotalCheck.AGREES),
                WalletFact("funding", Verdict.FAILED, Code.RATE_LIMITED),
                WalletFact("earn", Verdict.NOT_COVERED),
            ),
            holdings_count=2,
            error_code=Code.RATE_LIMITED,
        ),
    ),
    Card(
        "butler.account.paused.<user_id>",
        "gateway",
        "subscribers",
        AccountPaused(_ACCOUNT, _USER, "okx", Code.OVER_PRIVILEGED_KEY, _AT),
    ),
    Card(
        "butler.account.resumed.<user_id>",
        "gateway",
        "subscribers",
        AccountResumed(_ACCOUNT, _USER, "okx", _AT),
    ),
    Card(subjects.KEYS, "gateway", "vault-broker", AskKeys()),
    Card(
        subjects.KEYS,
        "vault-broker",
        "gateway",
        Keys("-----BEGIN PUBLIC KEY-----\n...\n-----END PUBLIC KEY-----\n", bytes(32), "0123456789abcdef"),
    ),
    Card(
        subjects.STORE,
        "gateway",
        "vault-broker",
        Store(
            _REQUEST, _CREDENTIAL, "okx", "0123456789abcdef", b"wrapped", b"sealed", _DEADLINE, "c2lnbmF0dXJl"
        ),
    ),
    Card(subjects.STORE, "vault-broker", "gateway", Stored()),
    Card(subjects.DESTROY, "gateway", "vault-broker", Destroy(_CREDENTIAL, _REQUEST, "c2lnbmF0dXJl")),
    Card(subjects.DESTROY, "vault-broker", "gateway", Destroyed()),
    Card(
        subjects.AUTHORIZE,
        "sync-worker",
        "vault-broker",
        Authorize(
            _REQUEST,
            _CREDENTIAL,
            "okx",
            1795521600000,
            (Read("account_balance"), Read("asset_valuation", {"ccy": "USD"})),
            bytes(32),
            _GRANT,
        ),
    ),
    Card(subjects.AUTHORIZE, "vault-broker", "sync-worker", Authorized(b"sealed")),
    Card(
        subjects.verify("*"),
        "gateway",
        "sync-worker",
        Verify(_CREDENTIAL, "okx", "global", _GRANT, _DEADLINE),
    ),
    Card(
        subjects.verify("*"),
        "sync-worker",
        "gateway",
        Verified("446556000000000001", "446556000000000001", ("read_only",), ("203.0.113.7",)),
    ),
    Card(
        subjects.verify("*"), "sync-worker", "gateway", VerifiedRights("446556000000000001", ("read_only",))
    ),
    Card(
        "every request",
        "vault-broker, sync-worker",
        "who asked",
        Refused(Code.VAULT_UNAVAILABLE, "The vault is sealed.", retry_after=5.0),
    ),
)


def schema(card: Card) -> dict[str, Any]:
    """Write the JSON Schema of a message with its card on top."""
    described = {"subject": card.subject, "sender": card.sender, "receiver": card.receiver}
    return {"x-card": described, **msgspec.json.schema(type(card.example))}


def files() -> dict[str, bytes]:
    """Give every generated file by its path under `contracts/`."""
    made: dict[str, bytes] = {}
    for card in CARDS:
        made[f"schemas/{card.name}.json"] = _pretty(schema(card))
        made[f"examples/{card.name}.json"] = _pretty(card.example)
    return made


def main() -> None:
    """Write the files into the directory that the command line names."""
    directory = Path(sys.argv[1])
    for path, content in files().items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(content)


def _pretty(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=2) + b"\n"


if __name__ == "__main__":
    main()
