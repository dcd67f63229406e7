"""The errors of the domain: why a request is refused, in one tree.

Each has a stable code and words for people. `gateway.http.problems` says which status of HTTP each one has.
"""

import math
from typing import Any, ClassVar

from contracts.faults import Actor, Failure, fault_of
from gateway.advice import Advice
from gateway.limits import WINDOWS, Allowance

UNAVAILABLE_RETRY_AFTER = 5
REPEAT = "Send the request again in a moment; if the fault lasts, tell the operator."


class GatewayError(Exception):
    """A request that is refused; `detail` says why and what to do now, `members` say it to programs.

    `retry_after` are the seconds after which another try may succeed, None where time alone does not help.
    """

    code: str
    words: ClassVar[str] = ""
    retry_after: int | None = None

    def __init__(self, detail: str = "", **members: Any) -> None:
        super().__init__(self.code)
        self.detail = detail or self.words
        self.members = members


class NotFound(GatewayError):
    """The user has no such thing; the words are the same for a missing and a foreign one."""

    code = "not_found"
    words = "You have nothing under this address."


class InvalidInput(GatewayError):
    """A value in the request can not be used."""

    code = "invalid_input"


class NotSignedIn(GatewayError):
    """The caller is not known, or no longer."""

    code = "unauthorized"
    words = "Sign in: send a valid access token as 'Authorization: Bearer ...'."


class RefreshTokenReused(NotSignedIn):
    """A refresh token was used before, so its login has ended."""

    code = "refresh_token_reused"
    words = (
        "This refresh token was used before, so somebody else may have it. Its login has ended, with all "
        "of its tokens: sign in again. If you did not use it twice, change your password, too."
    )


class EmailTaken(GatewayError):
    """The email address is registered."""

    code = "email_taken"
    words = "This email address is registered already: sign in instead."


class WeakPassword(GatewayError):
    """A new password that is too easy to guess."""

    code = "weak_password"


class WrongPassword(GatewayError):
    """The password of a user who is signed in is wrong."""

    code = "wrong_password"
    words = "The password is wrong: nothing was changed. You stay signed in."


class RegionNotServed(GatewayError):
    """The exchange has this region, and this system does not serve it."""

    code = "region_not_served"


class TooManyAccounts(GatewayError):
    """The user has as many accounts as one may have."""

    code = "too_many_accounts"


class AccountExists(GatewayError):
    """The user has connected this account of the exchange before."""

    code = "account_exists"


class AccountPaused(GatewayError):
    """The key of the account is not used for now, so the account is not synced."""

    code = "account_paused"


class DifferentAccount(GatewayError):
    """The new key is of another account of the exchange than the one that it is to repair."""

    code = "different_account"


class IdempotencyKeyReused(GatewayError):
    """The key of an earlier request came with another one."""

    code = "idempotency_key_reused"
    words = "This Idempotency-Key was used for another request within 24 hours: choose a new one."


class RateLimitExceeded(GatewayError):
    """A request was one too many, and changed nothing."""

    code = "rate_limit_exceeded"

    def __init__(self, allowance: Allowance) -> None:
        policy = allowance.policy
        number = f"more than {policy.quota} of these requests {WINDOWS[policy.window]}"
        sent = f"Your network address sent {number}" if policy.shared else f"You sent {number}"
        super().__init__(f"{sent}, and this one changed nothing: wait as long as Retry-After says.")
        self.allowance = allowance
        self.retry_after = max(allowance.reset, 1)


class LoginThrottled(GatewayError):
    """No password is checked for some seconds; the words are the same for every caller."""

    code = "login_throttled"
    words = "Too many logins failed: wait as long as Retry-After says. Sessions that are open go on."

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.retry_after = max(math.ceil(seconds), 1)


class Unavailable(GatewayError):
    """A part of the system is away for now."""

    retry_after = UNAVAILABLE_RETRY_AFTER


class TooSlow(Unavailable):
    """A key could not be verified before its credential was given up."""

    code = "too_slow"


class VaultNotTrusted(Unavailable):
    """The vault answers with keys that the operator did not pin."""

    code = "vault_unavailable"
    words = (
        "The vault answers with keys that the operator of this service did not pin: the key was not handed "
        "over. The operator must look at the vault and its fingerprints; submit the key again later."
    )


class TooBusy(Unavailable):
    """More is being done, or done for this client, than the process takes on at once."""

    code = "overloaded"
    words = "This gateway does too much of this at once. Send the request again after a second."
    retry_after = 1


class Faulted(GatewayError):
    """A fault of another service or of an exchange, in the words of the situation in which it was met."""

    def __init__(self, failure: Failure, advice: Advice | None = None, **members: Any) -> None:
        fault = fault_of(failure.code)
        self.code = failure.code
        next_action = REPEAT if advice is None else advice.next_action(failure.code)
        said = {"exchange_code": failure.exchange_code, "endpoint": failure.endpoint}
        known = {name: value for name, value in said.items() if value is not None}
        super().__init__(f"{fault.told(failure.detail)} {next_action}", **known, **members)
        if fault.retryable:
            self.retry_after = round(failure.retry_after or UNAVAILABLE_RETRY_AFTER)


class FaultedForNow(Faulted):
    """A fault that another try may cure."""


class FaultedByKey(Faulted):
    """A fault that stays until the user acts, or that no one can cure."""


class FaultedInside(Faulted):
    """A fault that stays until the operator or the exchange acts."""


def faulted(failure: Failure, advice: Advice | None = None, **members: Any) -> Faulted:
    """Give the error of a fault; `advice` says what to do about it."""
    fault = fault_of(failure.code)
    if fault.retryable:
        return FaultedForNow(failure, advice, **members)
    by_key = fault.actor in (Actor.USER, Actor.NOBODY)
    return (FaultedByKey if by_key else FaultedInside)(failure, advice, **members)
