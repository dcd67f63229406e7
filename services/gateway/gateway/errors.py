"""The domain errors: why a request is refused, in one tree.

Each has a stable code and a text for users. `gateway.http.problems` maps each to an HTTP status.
"""

import math
from typing import Any, ClassVar
from uuid import UUID

from contracts.faults import Failure, fault_of
from gateway.advice import Advice
from gateway.limits import WINDOWS, Allowance

UNAVAILABLE_RETRY_AFTER = 5
PAUSED_RETRY_AFTER = 300
REPEAT = "Send the request again in a moment; if the fault lasts, tell the operator."


class GatewayError(Exception):
    """A request is refused; `detail` says why and what to do now, `members` are fields for programs.

    `retry_after` is the seconds after which a retry may succeed, None if waiting does not help.
    """

    code: str
    words: ClassVar[str] = ""
    retry_after: int | None = None

    def __init__(self, detail: str = "", **members: Any) -> None:
        super().__init__(self.code)
        self.detail = detail or self.words
        self.members = members


class NotFound(GatewayError):
    """The user has no such object; the text is the same for a missing one and another user's."""

    code = "not_found"
    words = "You have nothing under this address."


class InvalidInput(GatewayError):
    """A value in the request can not be used."""

    code = "invalid_input"


class NotSignedIn(GatewayError):
    """The caller is not signed in, or no longer."""

    code = "unauthorized"
    words = "Sign in: send a valid access token as 'Authorization: Bearer ...'."


class RefreshTokenReused(NotSignedIn):
    """A refresh token was used before, so its login has ended."""

    code = "refresh_token_reused"
    words = (
        "This refresh token was used before, so somebody else may have it. Its login has ended, with all "
        "of its tokens: sign in again. If you did not use it twice, change your password, too."
    )


class OperatorUnknown(NotSignedIn):
    """A request to the operators' API has no valid token of an operator."""

    code = "operator_unauthorized"
    words = (
        "Send a valid operator's token as 'Authorization: Bearer ...'. `python -m deploy.database ... "
        "operator add` makes a token, and `operator list` shows revoked ones."
    )


class RoleTooSmall(GatewayError):
    """An operator's role does not allow a request."""

    code = "role_too_small"
    words = (
        "Your operator's role is viewer, which may only read. This request changed nothing. Use the token of "
        "an operator with the role operator."
    )


class UserDisabled(GatewayError):
    """An operator has disabled the user."""

    code = "user_disabled"
    words = (
        "The operator of this service has disabled your user: you can not sign in or do anything until the "
        "operator enables it again. Ask the operator why. Your accounts and balances are kept."
    )


class EmailTaken(GatewayError):
    """The email address is registered."""

    code = "email_taken"
    words = "This email address is registered already: sign in instead."


class WeakPassword(GatewayError):
    """A new password is too easy to guess."""

    code = "weak_password"


class WrongPassword(GatewayError):
    """The password of a signed-in user is wrong."""

    code = "wrong_password"
    words = "The password is wrong: nothing was changed. You stay signed in."


class RegionNotServed(GatewayError):
    """The exchange has this region, but this system does not serve it."""

    code = "region_not_served"


class TooManyAccounts(GatewayError):
    """The user has the maximum number of accounts."""

    code = "too_many_accounts"


class TooManyOffers(GatewayError):
    """The user has the maximum number of open key offers."""

    code = "too_many_offers"
    words = (
        "You have 10 open key offers, the most that a user may have, and this request changed nothing. Use "
        "one of GET /api/v1/key-offers, or give one up with DELETE /api/v1/key-offers/{id}."
    )


class OfferBusy(GatewayError):
    """A connect in progress uses the key offer."""

    code = "offer_busy"
    words = (
        "Another request uses this key offer now, and this one changed nothing. Wait until that request is "
        "answered, at most 90 seconds; then look at GET /api/v1/accounts, and send this one again if need be."
    )


class OfferOver(GatewayError):
    """The key offer has expired, or an account has its key."""

    code = "offer_over"


class NoSuchPrice(NotFound):
    """No price of an asset is known, or the user has set none."""

    words = (
        "We know no price of this asset, or you have set none. Exchanges write the names of assets in "
        "capital letters, such as BTC. You may set your own price with PUT /prices/{asset}/manual."
    )


class TooManyChoices(GatewayError):
    """The user has decided about the maximum number of names."""

    code = "too_many_choices"
    words = "You have decided about 1000 names of assets, and this request changed nothing."


class TooManyPrices(GatewayError):
    """The user has set the maximum number of prices."""

    code = "too_many_prices"
    words = "You have set a price for 1000 assets, and this request changed nothing: delete one first."


class AccountExists(GatewayError):
    """The user has already connected this exchange account."""

    code = "account_exists"


class AccountPaused(GatewayError):
    """The account is paused: its key is not used, so it is not synced."""

    code = "account_paused"


class DifferentAccount(GatewayError):
    """The new key belongs to another exchange account than the one it should repair."""

    code = "different_account"


class IdempotencyKeyReused(GatewayError):
    """An idempotency key of an earlier request was sent with a different request."""

    code = "idempotency_key_reused"
    words = "This Idempotency-Key was used for another request within 24 hours: choose a new one."


class RateLimitExceeded(GatewayError):
    """A request exceeded a quota, and changed nothing."""

    code = "rate_limit_exceeded"

    def __init__(self, allowance: Allowance) -> None:
        policy = allowance.policy
        number = f"more than {policy.quota} of these requests {WINDOWS[policy.window]}"
        sent = f"Your network address sent {number}" if policy.shared else f"You sent {number}"
        super().__init__(f"{sent}, and this one changed nothing: wait as long as Retry-After says.")
        self.allowance = allowance
        self.retry_after = max(allowance.reset, 1)


class LoginThrottled(GatewayError):
    """The login is delayed by some seconds; the text is the same for every caller."""

    code = "login_throttled"
    words = "Too many logins failed: wait as long as Retry-After says. Sessions that are open go on."

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.retry_after = max(math.ceil(seconds), 1)


class Unavailable(GatewayError):
    """A part of the system is temporarily unavailable."""

    retry_after = UNAVAILABLE_RETRY_AFTER


class TooSlow(Unavailable):
    """A key was not verified before its credential was doomed."""

    code = "too_slow"


class VaultNotTrusted(Unavailable):
    """The vault's keys do not match the pinned fingerprints."""

    code = "vault_unavailable"
    words = (
        "The vault answers with keys that the operator of this service did not pin: the key was not handed "
        "over. The operator must look at the vault and its fingerprints; submit the key again later."
    )


class TooBusy(Unavailable):
    """The process, or this client, has reached its limit of concurrent work."""

    code = "overloaded"
    words = "This gateway does too much of this at once. Send the request again after a second."
    retry_after = 1


class ExchangePaused(Unavailable):
    """An operator has paused an exchange: the gateways refuse new syncs and keys."""

    code = "exchange_paused"
    retry_after = PAUSED_RETRY_AFTER

    def __init__(self, exchange: str) -> None:
        super().__init__(
            f"The operator of this service has paused {exchange}: it begins no sync and takes no key, and "
            "this request changed nothing. The balances that were read before stay. Try again later: "
            "`paused_since` of GET /exchanges is null when the operator has ended the pause."
        )


class BusAway(Unavailable):
    """The bus does not answer an operator's request."""

    code = "bus_unavailable"
    words = (
        "The bus does not answer, or does not let the gateway do this. Look at GET /readyz; list the dead "
        "letters in a moment: those that are still there were not settled."
    )


class OfMaster(GatewayError):
    """The account is a sub-account that the key of its master account reads."""

    code = "sub_account_of_master"

    def __init__(self, parent_id: UUID) -> None:
        super().__init__(
            "This account is a sub-account that the key of its master account reads; this request changed "
            "nothing. To give it a key of its own, connect that with POST /api/v1/accounts. To remove it, "
            f"set `sub_accounts` to false with PATCH /api/v1/accounts/{parent_id}.",
            account_id=str(parent_id),
        )


class NoSuchLetter(NotFound):
    """No dead letter has this number, or no longer."""

    words = "No dead letter has this number: it was replayed, dropped, or is older than 30 days."


class NotReplayable(GatewayError):
    """A dead letter has no way back."""

    code = "not_replayable"
    words = (
        "This dead letter has no way back: only requests and outcomes of syncs do, as far as their stream "
        "takes them. It is still there; drop it when you have read its reason."
    )


class Faulted(GatewayError):
    """A fault of another service or of an exchange, worded for the user's situation.

    `advice` says what to do about it; its HTTP status follows from the table of faults.
    """

    def __init__(self, failure: Failure, advice: Advice | None = None, **members: Any) -> None:
        self.fault = fault = fault_of(failure.code)
        self.code = failure.code
        next_action = REPEAT if advice is None else advice.next_action(failure.code)
        said = {"exchange_code": failure.exchange_code, "endpoint": failure.endpoint}
        known = {name: value for name, value in said.items() if value is not None}
        super().__init__(f"{fault.told(failure.detail)} {next_action}", **known, **members)
        if fault.retryable:
            self.retry_after = round(failure.retry_after or UNAVAILABLE_RETRY_AFTER)
