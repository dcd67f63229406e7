"""The faults of the system: stable codes, the actor who must act, and whether a retry can help.

`Code` is the vocabulary on the bus, in the database and in the API; docs/troubleshooting.md explains each.
"""

from collections.abc import Mapping

from contracts.fault_codes import Actor, Code, CodeText, EndpointName, ExchangeCode, Fault
from contracts.remedies import Remedy
from contracts.values import MIN_KEY_BYTES

__all__ = [
    "FAULTS",
    "Actor",
    "Code",
    "CodeText",
    "EndpointName",
    "ExchangeCode",
    "Failure",
    "Fault",
    "PermanentError",
    "TransientError",
    "failure",
    "fault_of",
]

_LOGS = "If the fault lasts, the operator must look at the service logs."
_ONLY_READ = "Make a key with the Read permission only at the exchange."


def _correct(words: str, step: str) -> Fault:
    return Fault(words, Actor.USER, Remedy.CORRECT, step)


def _change(words: str, step: str) -> Fault:
    return Fault(words, Actor.USER, Remedy.CHANGE, step)


def _other_key(words: str, step: str, lasting: str) -> Fault:
    return Fault(words, Actor.USER, Remedy.OTHER_KEY, step, lasting)


def _passing(words: str, actor: Actor, lasting: str = "") -> Fault:
    return Fault(words, actor, Remedy.WAIT, lasting=lasting, retryable=True)


def _of_ours(words: str) -> Fault:
    return Fault(words, Actor.OPERATOR, Remedy.WAIT, lasting=_LOGS)


FAULTS: Mapping[str, Fault] = {
    Code.KEY_UNKNOWN: _correct(
        "The exchange does not know this API key.",
        "Copy the API key whole, make a new one if it was deleted at the exchange, or name the region in "
        "which the account was registered.",
    ),
    Code.KEY_REJECTED: _correct(
        "The exchange rejects this API key.", "Copy the API key whole, or make a new one at the exchange."
    ),
    Code.SIGNATURE_REJECTED: _correct(
        "The exchange rejects the signature: the secret does not belong to this API key.",
        "Copy the API key and its whole secret, or make a new key at the exchange.",
    ),
    Code.PASSPHRASE_WRONG: _correct(
        "The exchange rejects the passphrase of this API key.",
        "Use the passphrase that was chosen when the key was made; if it is lost, make a new key.",
    ),
    Code.WRONG_ENVIRONMENT: _correct(
        "The key belongs to another environment (demo trading or production).",
        "Make a key in the production environment of the exchange.",
    ),
    Code.IP_NOT_ALLOWED: _change(
        "The key is bound to addresses that do not include ours.",
        "Add our egress address to the key's IP allow-list at the exchange.",
    ),
    Code.IP_BINDING_REQUIRED: _change(
        "The exchange wants this key to be bound to an IP address.",
        "Bind the key to our egress address at the exchange.",
    ),
    Code.PERMISSION_MISSING: _change(
        "The key does not have the right to read this.",
        "Give the key the Read permission, and no other, at the exchange.",
    ),
    Code.NOT_AVAILABLE: Fault(
        "The exchange does not offer this to the account.",
        Actor.NOBODY,
        Remedy.CHANGE,
        "If the account should have it, activate it at the exchange.",
    ),
    Code.ACCOUNT_BLOCKED: _change(
        "The exchange has blocked this account or key.", "Ask the support of the exchange to unblock it."
    ),
    Code.ACCOUNT_RESTRICTED: _change(
        "The exchange has restricted this account for now.",
        "Look at the account at the exchange, and wait until the exchange lifts the restriction.",
    ),
    Code.COMPLIANCE_REQUIRED: _change(
        "The exchange wants a compliance or identity step from the owner of the account.",
        "Sign in at the exchange and complete the step that it asks for.",
    ),
    Code.REGION_BLOCKED: Fault(
        "The exchange does not serve the place that our requests come from.",
        Actor.OPERATOR,
        Remedy.CHANGE,
        "The operator must give the system an egress address in a country that the exchange serves.",
    ),
    Code.CREDENTIAL_MISSING: Fault("The vault does not hold this key.", Actor.USER, Remedy.SUBMIT),
    Code.SECRET_UNUSABLE: _correct(
        f"The vault can not keep this secret: it is shorter than {MIN_KEY_BYTES} bytes.",
        "Copy the whole secret from the exchange.",
    ),
    Code.OVER_PRIVILEGED_KEY: _other_key(
        "The key may do more than read.",
        f"{_ONLY_READ[:-1]} and delete this one there.",
        "If you take the other rights away at the exchange at once, the pause ends by itself; if a second "
        "check finds them again, we delete the key.",
    ),
    Code.UNKNOWN_RIGHT: _other_key(
        "The key has a right that we do not know, so we do not use it.",
        _ONLY_READ,
        "If you take the right away at the exchange, the pause ends by itself within the hour.",
    ),
    Code.OTHER_ACCOUNT: _other_key(
        "The exchange says that the key belongs to another of its accounts.",
        "Make a key of the account that is meant, with the Read permission only.",
        "If the exchange names the connected account again, the pause ends by itself within the hour.",
    ),
    Code.SUB_ACCOUNT_GONE: Fault(
        "The exchange no longer lists this sub-account for the key of its master account.",
        Actor.NOBODY,
        Remedy.COMPARE,
        "We show its last balances. Check at the exchange whether the sub-account still exists. To remove it "
        "here, set `sub_accounts` of the master account to false and to true again.",
    ),
    Code.NEEDS_OWN_KEY: Fault(
        "The key of a master account can not read this part of a sub-account.",
        Actor.NOBODY,
        Remedy.COMPARE,
        "To see it, create a key in the sub-account and connect it with POST /accounts.",
    ),
    Code.REFUSED_RIGHT: Fault(
        "Only a right that we refuse, such as one to trade, could open this wallet.",
        Actor.NOBODY,
        Remedy.COMPARE,
        "Leave the key as it is. The exchange shows the contents of the wallet; `uncovered` has its "
        "worth if the exchange states it.",
    ),
    Code.NOT_ENABLED: Fault(
        "The account has not enabled this at the exchange.",
        Actor.NOBODY,
        Remedy.COMPARE,
        "If you enable it there, the next sync reads it.",
    ),
    Code.HELD_ELSEWHERE: Fault(
        "The exchange keeps the contents of this wallet in another wallet of the account.",
        Actor.NOBODY,
        Remedy.COMPARE,
        "Look at the portfolio margin wallet, which contains them.",
    ),
    Code.RATE_LIMITED: _passing("The exchange asks us to slow down.", Actor.NOBODY),
    Code.EXCHANGE_UNAVAILABLE: _passing("The exchange is not available.", Actor.EXCHANGE),
    Code.EXCHANGE_UNREACHABLE: _passing(
        "We can not reach the exchange.",
        Actor.OPERATOR,
        "If the fault lasts, the operator must check the network and the address of the exchange.",
    ),
    Code.EXCHANGE_TIMEOUT: _passing("The exchange did not answer in time.", Actor.EXCHANGE),
    Code.UNEXPECTED_RESPONSE: _of_ours("We can not read the answer of the exchange."),
    Code.EXCHANGE_ERROR: _passing(
        "The exchange answered with an error code that we do not know.",
        Actor.EXCHANGE,
        "If the fault lasts, tell the operator the code.",
    ),
    Code.UNREADABLE_ROWS: Fault(
        "We could not read some assets of the wallet.",
        Actor.OPERATOR,
        Remedy.COMPARE,
        "The others are shown; sync again in a moment.",
        "If the fault lasts, the operator must compare the exchange's answer with its documentation.",
    ),
    Code.UNREAD_PARTS: Fault(
        "We could not read a part of the wallet.",
        Actor.OPERATOR,
        Remedy.COMPARE,
        "The other parts are shown; sync again in a moment.",
        "If the fault lasts, the key may not read that part, or the operator must look at the service logs.",
    ),
    Code.UNLISTED_WORTH: Fault(
        "The exchange values the wallet higher than all that it lists there.",
        Actor.NOBODY,
        Remedy.COMPARE,
        "The list is shown: look at the exchange for the rest, which may be in a product that it does not "
        "list, such as a fixed-term one.",
    ),
    Code.TOTAL_DISAGREES: Fault(
        "The wallet's list and the exchange's own total for it disagree.",
        Actor.EXCHANGE,
        Remedy.COMPARE,
        "The list is shown: compare it with the balances at the exchange, and sync again.",
    ),
    Code.UNCONFIRMED_LOSS: Fault(
        "Assets are missing from the exchange's list, and no total of it confirms that they are gone.",
        Actor.NOBODY,
        Remedy.COMPARE,
        "The last confirmed list is shown; a sync in five minutes or later accepts the new one.",
    ),
    Code.CONTRADICTORY_TOTAL: _passing(
        "The wallet's list and the exchange's own total for it contradict each other.", Actor.EXCHANGE
    ),
    Code.TOO_MANY_ASSETS: Fault(
        "The account holds more assets than one message can carry.",
        Actor.OPERATOR,
        Remedy.CHANGE,
        "The operator must look at the service logs.",
    ),
    Code.REQUEST_REJECTED: _of_ours("The exchange rejects our request as malformed."),
    Code.CLOCK_DISAGREES: _passing(
        "Clocks disagree: that of the exchange, or one of ours.",
        Actor.OPERATOR,
        "If the fault lasts, the operator must check the clocks of the machines (NTP).",
    ),
    Code.VAULT_UNAVAILABLE: _passing(
        "The vault is not available.",
        Actor.OPERATOR,
        "If the fault lasts, the operator must unseal or restart the vault.",
    ),
    Code.SIGNING_UNAVAILABLE: _passing(
        "The service that signs requests does not answer.",
        Actor.OPERATOR,
        "If the fault lasts, the operator must look at the vault-broker.",
    ),
    Code.GRANT_REFUSED: _of_ours("The vault-broker does not accept the grant of this request."),
    Code.READ_NOT_ALLOWED: _of_ours("The vault-broker does not sign this request."),
    Code.KEYS_CHANGED: _passing(
        "The keys of the vault changed while we handed the credential over.", Actor.NOBODY
    ),
    Code.INVALID_REQUEST: _of_ours("A message between our services is malformed."),
    Code.DEADLINE_EXCEEDED: Fault(
        "The request did not end before its deadline.",
        Actor.NOBODY,
        Remedy.WAIT,
        lasting="If the fault lasts, tell the operator.",
    ),
    Code.SUB_ACCOUNT_UNPROVEN: _passing(
        "The worker did not say whose balances it read, so we do not count them for this sub-account.",
        Actor.OPERATOR,
        "If the fault lasts, the operator must update the workers.",
    ),
    Code.ACCOUNT_DELETED: Fault("The account was deleted meanwhile.", Actor.NOBODY, Remedy.RECONNECT),
    Code.INTERNAL_ERROR: _passing("Something of ours failed.", Actor.OPERATOR, _LOGS),
}


def fault_of(code: str) -> Fault:
    """Return the fault of a code; a code of a later version is treated as internal_error."""
    return FAULTS.get(code) or FAULTS[Code.INTERNAL_ERROR]


class Failure(Exception):
    """A raised fault; its text is for logs and people and never holds a credential.

    `exchange_code` is the exchange's own code, if any, and `endpoint` is the read that it answered.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        retry_after: float | None = None,
        *,
        exchange_code: str | None = None,
        endpoint: str | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}" if detail else str(code))
        self.code = code
        self.detail = detail
        self.retry_after = retry_after
        self.exchange_code = exchange_code
        self.endpoint = endpoint


class TransientError(Failure):
    """A fault that a retry may fix; `retry_after` is in seconds, or None if no delay was requested."""


class PermanentError(Failure):
    """A fault that a retry cannot fix: a person must act."""


def failure(
    code: str,
    detail: str = "",
    retry_after: float | None = None,
    *,
    exchange_code: str | None = None,
    endpoint: str | None = None,
) -> Failure:
    """Return a TransientError or a PermanentError, as the table says for the code."""
    branch = TransientError if fault_of(code).retryable else PermanentError
    return branch(code, detail, retry_after, exchange_code=exchange_code, endpoint=endpoint)
