"""The stable codes of the faults, the actors who must act, and the shape of a fault's texts."""

from enum import StrEnum
from typing import Annotated

import msgspec

from contracts.remedies import Remedy, Situation, Standing, written

# A code in messages, in the database and in the API. A later version may send one that is not in `Code`: it
# stays a text and is treated as internal_error.
CodeText = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9._-]{1,64}\Z")]
# The exchange's own error code, and the name of the read that it answered with this code.
ExchangeCode = Annotated[str, msgspec.Meta(pattern=r"\A[-A-Za-z0-9_]{1,16}\Z")]
EndpointName = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9_]{1,64}\Z")]


class Actor(StrEnum):
    """The party that must act to remove the fault."""

    USER = "user"
    OPERATOR = "operator"
    EXCHANGE = "exchange"
    NOBODY = "nobody"


class Code(StrEnum):
    """The stable names of the faults."""

    KEY_UNKNOWN = "key_unknown"
    KEY_REJECTED = "key_rejected"
    SIGNATURE_REJECTED = "signature_rejected"
    PASSPHRASE_WRONG = "passphrase_wrong"
    WRONG_ENVIRONMENT = "wrong_environment"
    IP_NOT_ALLOWED = "ip_not_allowed"
    IP_BINDING_REQUIRED = "ip_binding_required"
    PERMISSION_MISSING = "permission_missing"
    NOT_AVAILABLE = "not_available"
    ACCOUNT_BLOCKED = "account_blocked"
    ACCOUNT_RESTRICTED = "account_restricted"
    COMPLIANCE_REQUIRED = "compliance_required"
    REGION_BLOCKED = "region_blocked"
    CREDENTIAL_MISSING = "credential_missing"
    SECRET_UNUSABLE = "secret_unusable"
    OVER_PRIVILEGED_KEY = "over_privileged_key"
    UNKNOWN_RIGHT = "unknown_right"
    OTHER_ACCOUNT = "other_account"
    SUB_ACCOUNT_GONE = "sub_account_gone"
    NEEDS_OWN_KEY = "needs_own_key"
    REFUSED_RIGHT = "refused_right"
    NOT_ENABLED = "not_enabled"
    HELD_ELSEWHERE = "held_elsewhere"

    RATE_LIMITED = "rate_limited"
    EXCHANGE_UNAVAILABLE = "exchange_unavailable"
    EXCHANGE_UNREACHABLE = "exchange_unreachable"
    EXCHANGE_TIMEOUT = "exchange_timeout"
    UNEXPECTED_RESPONSE = "unexpected_response"
    EXCHANGE_ERROR = "exchange_error"
    CONTRADICTORY_TOTAL = "contradictory_total"
    UNREADABLE_ROWS = "unreadable_rows"
    UNREAD_PARTS = "unread_parts"
    UNLISTED_WORTH = "unlisted_worth"
    TOTAL_DISAGREES = "total_disagrees"
    UNCONFIRMED_LOSS = "unconfirmed_loss"
    TOO_MANY_ASSETS = "too_many_assets"
    REQUEST_REJECTED = "request_rejected"

    CLOCK_DISAGREES = "clock_disagrees"
    VAULT_UNAVAILABLE = "vault_unavailable"
    SIGNING_UNAVAILABLE = "signing_unavailable"
    GRANT_REFUSED = "grant_refused"
    READ_NOT_ALLOWED = "read_not_allowed"
    KEYS_CHANGED = "keys_changed"
    INVALID_REQUEST = "invalid_request"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    SUB_ACCOUNT_UNPROVEN = "sub_account_unproven"
    ACCOUNT_DELETED = "account_deleted"
    INTERNAL_ERROR = "internal_error"


class Fault(msgspec.Struct, frozen=True):
    """A fault: its description, true in every situation, and its remedy.

    The actor takes `step` first, and `lasting` if that does not help.
    """

    words: str
    actor: Actor
    remedy: Remedy
    step: str = ""
    lasting: str = ""
    retryable: bool = False

    def told(self, detail: str) -> str:
        """Return the description, followed by the detail as a separate sentence."""
        if not detail:
            return self.words
        end = "" if detail.endswith((".", ")")) else "."
        return f"{self.words} {detail[:1].upper()}{detail[1:]}{end}"

    def next_action(
        self,
        situation: Situation,
        step: str | None = None,
        standing: Standing = Standing.ACTIVE,
        *,
        offered: bool = False,
    ) -> str:
        """Return the text on the fate of the key and the next action; `step` replaces the general first step.

        `standing` is the state of the account: the text differs while it is paused and after its deletion.
        With `offered` the key came with a key offer, which stays open.
        """
        first = self.step if step is None else step
        return written(self.remedy, situation, first, self.lasting, standing, offered=offered)
