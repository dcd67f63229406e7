"""The verdict on a wallet for each fault of the exchange that strikes it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from contracts.faults import FAULTS, Code
from deploy.simulator.okx.refusals import REFUSALS
from tests.conformance.simulated import POOR, TRADING, WEALTHY

BALANCE, FUNDING_LIST = "account/balance", "asset/balances"
SECOND = 2
VALUATION, CONFIG = "asset/asset-valuation", "account/config"
WALLETS = {BALANCE: "trading", FUNDING_LIST: "funding"}
# Time for a second try, about 2 s after the first, and perhaps for a third, about 4 s after that; too little
# for a second one after a call that took its ten seconds.
SEVERAL_TRIES = 11.5

# From the facts about the exchange: the meaning of each of its codes for a client that only reads.
MEANINGS: dict[Code, str] = {
    Code.KEY_UNKNOWN: "50119",
    Code.KEY_REJECTED: "50111 50114",
    Code.SIGNATURE_REJECTED: "50113",
    Code.PASSPHRASE_WRONG: "50105",
    Code.WRONG_ENVIRONMENT: "50101",
    Code.IP_NOT_ALLOWED: "50110",
    Code.IP_BINDING_REQUIRED: "50035",
    Code.PERMISSION_MISSING: "50030 50120",
    Code.NOT_AVAILABLE: "50038 51735 58002 59500",
    Code.SUB_ACCOUNT_GONE: "59510",
    Code.ACCOUNT_BLOCKED: "50007 50008 50012 50100",
    Code.ACCOUNT_RESTRICTED: "50009 50017 50018 50019 50020 50021 50022 50023 50027 50029 51738",
    Code.COMPLIANCE_REQUIRED: "50051 50059 50060",
    Code.REGION_BLOCKED: "50121",
    Code.RATE_LIMITED: "50011 50040 50061 58102",
    Code.EXCHANGE_UNAVAILABLE: "50001 50005 50013 50026 50046 50062 58007",
    Code.EXCHANGE_TIMEOUT: "50004",
    Code.CLOCK_DISAGREES: "50102",
    Code.REQUEST_REJECTED: "50000 50002 50006 50014 50015 50025 50103 50104 50106 50107 50112 50115 51000",
    Code.EXCHANGE_ERROR: "404",
}
MEANING = {number: code for code, numbers in MEANINGS.items() for number in numbers.split()}
# Damage of one of these fields makes the whole response unusable, and its absence the row.
AROUND, NEEDED = {"code", "data", "details"}, {"ccy", "eq", "bal"}
ONE_ROW = "1 of 2 rows could not be read: "
NOT_PERMITTED = {Code.PERMISSION_MISSING, Code.IP_BINDING_REQUIRED, Code.NOT_AVAILABLE}


@dataclass(frozen=True)
class Row:
    """A fault at an endpoint of one account of an exchange, and its expected result.

    `code` is the code of the struck wallet, None if the wallet is complete nevertheless, or
    `disagrees` with the valuation; `tries` are the tries within `seconds`, if they do not follow from the
    code: passing faults are retried. `kept` rows of an incomplete wallet are
    read, and `unread` are not.
    """

    title: str
    endpoint: str
    fault: dict[str, Any]
    code: Code | None
    words: str = ""
    tries: int | None = None
    seconds: float = SEVERAL_TRIES
    disagrees: bool = False
    exchange: str = "okx"
    kept: int = 1
    unread: int = 1

    @property
    def name(self) -> str:
        """Name the account, and the row."""
        return re.sub(r"[^a-z0-9]+", "-", f"{self.endpoint} {self.title}".lower()).strip("-")

    def tried(self, attempt: int) -> bool:
        """Return whether a reading that was published after so many tries had its full number."""
        if self.tries is None and self.code is not None and FAULTS[self.code].retryable:
            return attempt >= SECOND
        return attempt == (self.tries or 1)


def damaged(how: str, field: str, text: str = "") -> dict[str, Any]:
    """Return a fault of one field."""
    return {"fault": how, "field": field, "text": text}


def refusals() -> Iterator[Row]:
    """Yield a row for every code that a client that only reads can meet, in each of its documented forms."""
    for number, texts in REFUSALS.items():
        for status in texts:
            fault = {"fault": "refusal", "code": number, "status": status}
            words = f"(OKX {number})" if MEANING[number] is not Code.EXCHANGE_ERROR else ""
            seconds = 20.0 if MEANING[number] is Code.CLOCK_DISAGREES else SEVERAL_TRIES
            yield Row(f"code {number} with {status}", BALANCE, fault, MEANING[number], words, seconds=seconds)


def broken(endpoint: str) -> Iterator[Row]:
    """Yield the rows with a faulty connection or a wholly unusable response."""
    storm = {"fault": "refusal", "code": "50011"}
    late: dict[str, Any] = {"tries": 2, "seconds": 20.0}
    yield Row("strict limits", endpoint, {"fault": "strict-limits"}, None)
    yield Row("storm that passes", endpoint, storm | {"times": 1}, None, tries=2)
    yield Row("storm with a wait", endpoint, storm | {"times": 1, "retry_after": 3}, None, **late)
    yield Row("storm with a long wait", endpoint, storm | {"retry_after": 60}, Code.RATE_LIMITED, tries=1)
    # A 429 or 418 without a code concerns our address, and so all rows: `tests/chaos/test_budgets.py`.
    yield from broken_at(endpoint, {"fault": "refusal", "code": "50001"})


def broken_at(endpoint: str, maintenance: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows that are alike at every exchange; `maintenance` is its refusal then."""
    late: dict[str, Any] = {"tries": 2, "seconds": 20.0}
    unexpected, unreachable = Code.UNEXPECTED_RESPONSE, Code.EXCHANGE_UNREACHABLE
    yield Row("latency", endpoint, {"fault": "latency", "seconds": 0.7}, None)
    for milliseconds in (0, 20, 2000):
        fault = {"fault": "twice", "seconds": milliseconds / 1000}
        yield Row(f"answered again after {milliseconds} ms", endpoint, fault, None)
    yield Row("maintenance that passes", endpoint, maintenance | {"times": 1}, None, tries=2)
    yield Row("hang", endpoint, {"fault": "hang"}, Code.EXCHANGE_TIMEOUT, tries=1)
    yield Row("hang that passes", endpoint, {"fault": "hang", "times": 1}, None, **late)
    yield Row("a byte a second", endpoint, {"fault": "trickle"}, Code.EXCHANGE_TIMEOUT, tries=1)
    yield Row("a byte a second that passes", endpoint, {"fault": "trickle", "times": 1}, None, **late)
    yield Row("reset", endpoint, {"fault": "reset"}, unreachable)
    yield Row("half close", endpoint, {"fault": "half-close"}, unreachable)
    yield Row("truncated", endpoint, {"fault": "truncated"}, unreachable)
    yield Row("gzip bomb", endpoint, {"fault": "gzip-bomb", "mebibytes": 1024}, unexpected)
    yield Row("longer than 8 MiB", endpoint, {"fault": "padded", "mebibytes": 9}, unexpected)
    yield Row("millions of values", endpoint, {"fault": "padded", "mebibytes": 7}, unexpected)
    yield Row("HTML with 200", endpoint, {"fault": "page"}, unexpected)
    yield Row("HTML with 403", endpoint, {"fault": "page", "status": 403}, unreachable)
    yield Row("HTML with 404", endpoint, {"fault": "page", "status": 404}, unexpected)
    yield Row("HTML with 502", endpoint, {"fault": "page", "status": 502}, Code.EXCHANGE_UNAVAILABLE)
    for status in (301, 302, 307):
        fault = {"fault": "redirect", "status": status, "times": 1}
        yield Row(f"redirect {status}", endpoint, fault, unexpected)
    yield from skewed(endpoint)


def skewed(endpoint: str) -> Iterator[Row]:
    """Yield the rows with a clock of the exchange that disagrees with its own time."""
    for title, seconds in {
        "ahead": 120,
        "behind": -120,
        "a day ahead": 86400,
        "a day behind": -86400,
    }.items():
        fault = {"fault": "skew", "seconds": seconds}
        # Each try asks, signs and reads twice.
        yield Row(f"clock {title} of its own time", endpoint, fault, Code.CLOCK_DISAGREES, seconds=20.0)


def damages(endpoint: str, amount: str, fields: str) -> Iterator[Row]:
    """Yield the rows with one faulty field; `amount` names that of the total."""
    for how in ("missing", "renamed", "doubled"):
        for field in fields.split():
            code, words = costs(how, field)
            yield Row(f"{how} {field}", endpoint, damaged(how, field), code, words)
    digits = "9" * 400
    texts = ["NaN", '"NaN"', "-Infinity", '"Infinity"', "1e400", '"1e400"', digits, f'"{digits}"']
    texts += ["null", "true", "[]", "{}", '""', '"1,5"', '" 1"', '"0x1F"', '"1_000"', '"\\u0661"']
    for number, text in enumerate(texts):
        fault = damaged("replaced", amount, text)
        yield Row(f"{number} {amount} is {text[:12]}", endpoint, fault, Code.UNREADABLE_ROWS, ONE_ROW)
    for field in ("code", "data"):
        for text in ("null", "{}", '"x"'):
            unlisted = (field, text) == ("code", '"x"')
            code = Code.EXCHANGE_ERROR if unlisted else Code.UNEXPECTED_RESPONSE
            yield Row(f"{field} is {ord(text[1])}", endpoint, damaged("replaced", field, text), code)


def costs(how: str, field: str) -> tuple[Code | None, str]:
    """Return the loss from a field with this damage: the wallet, its row, or only its own value."""
    if field in AROUND:
        return Code.UNEXPECTED_RESPONSE, ""
    return (Code.UNREADABLE_ROWS, ONE_ROW) if how == "doubled" or field in NEEDED else (None, "")


def of_others(endpoint: str) -> Iterator[Row]:
    """Yield the rows with data of another account."""
    for title, account in (("poorer", POOR), ("richer", WEALTHY)):
        fault = {"fault": "foreign", "account": account}
        yield Row(f"data of a {title} account", endpoint, fault, None, disagrees=True)


def of_the_trading_wallet() -> Iterator[Row]:
    """Yield the rows that only the trading wallet has."""
    contradictory = Code.CONTRADICTORY_TOTAL
    yield from refusals()
    yield from broken(BALANCE)
    yield from damages(BALANCE, "eq", "code data details ccy eq eqUsd availEq availBal frozenBal liab")
    yield Row("eq is a number", BALANCE, damaged("replaced", "eq", TRADING["BTC"]), None)
    yield Row("no account", BALANCE, damaged("replaced", "data", "[]"), Code.UNEXPECTED_RESPONSE)
    yield Row("empty list", BALANCE, damaged("replaced", "details", "[]"), contradictory)
    yield from of_others(BALANCE)


def of_the_funding_wallet() -> Iterator[Row]:
    """Yield the rows of the funding wallet."""
    yield from broken(FUNDING_LIST)
    yield from damages(FUNDING_LIST, "bal", "code data ccy bal availBal frozenBal")
    yield Row("empty list", FUNDING_LIST, damaged("replaced", "data", "[]"), Code.CONTRADICTORY_TOTAL)
    yield from of_others(FUNDING_LIST)


def of_the_totals() -> Iterator[Row]:
    """Yield the rows with unreadable totals of the exchange."""
    yield Row("storm", VALUATION, {"fault": "refusal", "code": "50011"}, None)
    yield Row("maintenance", VALUATION, {"fault": "refusal", "code": "50001"}, None)
    yield Row("hang", VALUATION, {"fault": "hang"}, None, seconds=20.0)
    yield Row("reset", VALUATION, {"fault": "reset"}, None)
    yield Row("HTML", VALUATION, {"fault": "page"}, None)
    yield Row("no amount", VALUATION, damaged("replaced", "details", '{"trading": "NaN"}'), None)
    yield Row("missing details", VALUATION, damaged("missing", "details"), None)


def of_the_key() -> Iterator[Row]:
    """Yield the rows with an unreadable owner of the key."""
    unexpected = Code.UNEXPECTED_RESPONSE
    yield Row("storm", CONFIG, {"fault": "refusal", "code": "50011"}, Code.RATE_LIMITED)
    yield Row("maintenance", CONFIG, {"fault": "refusal", "code": "50001"}, Code.EXCHANGE_UNAVAILABLE)
    yield Row("hang", CONFIG, {"fault": "hang"}, Code.EXCHANGE_TIMEOUT)
    yield Row("reset", CONFIG, {"fault": "reset"}, Code.EXCHANGE_UNREACHABLE)
    yield Row("HTML", CONFIG, {"fault": "page"}, unexpected)
    yield Row("redirect", CONFIG, {"fault": "redirect"}, unexpected)
    yield Row("nobody", CONFIG, damaged("replaced", "data", "[]"), unexpected)
    for how in ("missing", "renamed", "doubled"):
        for field in ("uid", "mainUid", "perm", "ip"):
            yield Row(f"{how} {field}", CONFIG, damaged(how, field), unexpected)


ROWS = [*of_the_trading_wallet(), *of_the_funding_wallet()]
VALUATION_ROWS = list(of_the_totals())
CONFIG_ROWS = list(of_the_key())
