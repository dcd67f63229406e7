"""The verdict on a wallet at Binance for each fault of the exchange that strikes it."""

from collections.abc import Iterator
from dataclasses import replace

from contracts.faults import Code
from contracts.reasons import OTHERS_WORK
from deploy.simulator.binance.refusals import REFUSALS
from tests.conformance.simulated import POOR, TRADING, WEALTHY
from tests.conformance.table import SEVERAL_TRIES, Row, broken_at, damaged

ASSETS, FUNDING_LIST = "sapi/v3/asset/getUserAsset", "sapi/v1/asset/get-funding-asset"
TOTALS, RESTRICTIONS = "sapi/v1/asset/wallet/balance", "sapi/v1/account/apiRestrictions"
ACCOUNT = "api/v3/account"
BINANCE_WALLETS = {ASSETS: "spot", FUNDING_LIST: "funding"}
# From the facts about the exchange: the meaning of each of its codes for a client that only reads. The
# others of its three causes are ruled out where the other reads of a sync work.
MEANINGS: dict[Code, str] = {
    Code.KEY_REJECTED: "-2014 -1002 -1099",
    Code.KEY_UNKNOWN: "-2008",
    Code.ACCOUNT_BLOCKED: "-2017",
    Code.SIGNATURE_REJECTED: "-1022",
    Code.PERMISSION_MISSING: "-2015",
    Code.CLOCK_DISAGREES: "-1021",
    Code.EXCHANGE_UNAVAILABLE: "-1000 -1001 -1006 -1008 -1016 -3000",
    Code.EXCHANGE_TIMEOUT: "-1007",
    Code.REQUEST_REJECTED: "-1100 -1101 -1102 -1103 -1104 -1105 -1106 -1121",
    # These carry no code of the API.
    Code.REGION_BLOCKED: "0",
    Code.EXCHANGE_UNREACHABLE: "403",
    Code.UNEXPECTED_RESPONSE: "404",
}
MEANING = {number: code for code, numbers in MEANINGS.items() for number in numbers.split()}
WITHOUT_A_CODE = ("0", "403", "404")
# A limit of our address, which holds up every row.
OF_THE_ADDRESS = "-1003"
ONE_ROW = "1 of 2 rows could not be read: "
TRIED = (
    *("code 0 with 451", "code 404 with 404", "code -1022 with 400", "code -1100 with 400"),
    *("code -2008 with 401", "code -2014 with 401", "code -2015 with 401", "code -2017 with 401"),
    *("missing asset", "missing locked", "doubled free", "0 free is NaN", '5 free is ""', "free is a number"),
    *("hang", "gzip bomb", "millions of values", "HTML with 200", "redirect 302"),
    *("data of a poorer account", "data of a richer account", "an asset is left out", "maintenance"),
)
UNAVAILABLE = {"fault": "refusal", "code": "-1008"}


def refusals() -> Iterator[Row]:
    """Yield a row for every code that a client that only reads can meet, in each of its forms."""
    for number, texts in REFUSALS.items():
        for status in texts if number != OF_THE_ADDRESS else ():
            fault = {"fault": "refusal", "code": number, "status": status}
            code = MEANING[number]
            words = "" if number in WITHOUT_A_CODE else f"(Binance {number})"
            words = OTHERS_WORK if code is Code.PERMISSION_MISSING else words
            seconds = 20.0 if code is Code.CLOCK_DISAGREES else SEVERAL_TRIES
            yield Row(f"code {number} with {status}", ASSETS, fault, code, words, seconds=seconds)


def damages(endpoint: str, needed: str) -> Iterator[Row]:
    """Yield the rows with one faulty field of the first asset."""
    for how in ("missing", "renamed", "doubled"):
        for field in needed.split():
            # The other list of spot has the asset whose name is lost, too.
            unread = 2 if field == "asset" and endpoint == ASSETS and how != "doubled" else 1
            words = f"{unread} of {unread + 1} rows could not be read: "
            fault = damaged(how, field)
            yield Row(f"{how} {field}", endpoint, fault, Code.UNREADABLE_ROWS, words, unread=unread)
    for number, text in enumerate(("NaN", '"Infinity"', "1e400", "null", "[]", '""', '"1,5"', '"0x1F"')):
        fault = damaged("replaced", "free", text)
        yield Row(f"{number} free is {text[:12]}", endpoint, fault, Code.UNREADABLE_ROWS, ONE_ROW)
    yield Row("free is a number", endpoint, damaged("replaced", "free", _first(endpoint)), None)


def _first(endpoint: str) -> str:
    return TRADING["BTC"] if endpoint == ASSETS else "10.000000000000000001"


def of_others(endpoint: str) -> Iterator[Row]:
    """Yield the rows with data of another account."""
    # The two lists of spot contradict each other; the total of funding lacks the listed amounts.
    code = Code.CONTRADICTORY_TOTAL if endpoint == ASSETS else None
    for title, account in (("poorer", POOR), ("richer", WEALTHY)):
        fault = {"fault": "foreign", "account": account}
        yield Row(f"data of a {title} account", endpoint, fault, code, disagrees=code is None)


def of_the_lists() -> Iterator[Row]:
    """Yield the rows of the spot and funding wallets."""
    parts = "asset free locked freeze withdrawing"
    yield from refusals()
    yield from damages(ASSETS, f"{parts} ipoable")
    yield from damages(FUNDING_LIST, parts)
    yield from broken_at(ASSETS, UNAVAILABLE)
    for endpoint in BINANCE_WALLETS:
        yield from of_others(endpoint)
    # The other list of spot has it, and the total of funding misses it.
    dropped = {"fault": "dropped", "row": "BTC"}
    yield Row("an asset is left out", ASSETS, dropped, Code.UNREADABLE_ROWS, ONE_ROW)
    yield Row("an asset is left out", FUNDING_LIST, {"fault": "dropped", "row": "BTC"}, None, disagrees=True)


def of_the_totals() -> Iterator[Row]:
    """Yield the rows with unreadable totals of the exchange."""
    yield Row("maintenance", TOTALS, UNAVAILABLE, None)
    yield Row("hang", TOTALS, {"fault": "hang"}, None, seconds=20.0)
    yield Row("reset", TOTALS, {"fault": "reset"}, None)
    yield Row("HTML", TOTALS, {"fault": "page"}, None)
    yield Row("redirect", TOTALS, {"fault": "redirect"}, None)


def of_the_key() -> Iterator[Row]:
    """Yield the rows with unreadable rights, or an unreadable owner, of the key."""
    unexpected = Code.UNEXPECTED_RESPONSE
    yield Row("maintenance", RESTRICTIONS, UNAVAILABLE, Code.EXCHANGE_UNAVAILABLE)
    yield Row("three causes", RESTRICTIONS, {"fault": "refusal", "code": "-2015"}, Code.PERMISSION_MISSING)
    yield Row("hang", RESTRICTIONS, {"fault": "hang"}, Code.EXCHANGE_TIMEOUT)
    yield Row("reset", RESTRICTIONS, {"fault": "reset"}, Code.EXCHANGE_UNREACHABLE)
    yield Row("HTML", RESTRICTIONS, {"fault": "page"}, unexpected)
    yield Row("redirect", RESTRICTIONS, {"fault": "redirect"}, unexpected)
    yield Row("doubled right", RESTRICTIONS, damaged("doubled", "enableWithdrawals"), unexpected)
    for text in ("null", "0", '"false"', "[]"):
        fault = damaged("replaced", "enableWithdrawals", text)
        yield Row(f"right is {ord(text[0])}", RESTRICTIONS, fault, unexpected)
    for how in ("missing", "renamed", "doubled"):
        yield Row(f"{how} uid", ACCOUNT, damaged(how, "uid"), unexpected)


def _at_binance(rows: Iterator[Row]) -> list[Row]:
    return [replace(row, exchange="binance") for row in rows]


def _some(rows: Iterator[Row]) -> list[Row]:
    """Return the rows that the running system is tried with: others differ only in a code or field.

    At first a worker reads so few accounts a minute that all of them would take minutes. The rows with
    several tries, which take more, are those of OKX.
    """
    return [row for row in _at_binance(rows) if row.title in TRIED]


BINANCE_ROWS = _some(of_the_lists())
# Without its total a sync reads the lists of earn, too, ten of which use a worker's first minute up.
BINANCE_TOTALS = _at_binance(of_the_totals())[:1]
BINANCE_KEY = _at_binance(of_the_key())
