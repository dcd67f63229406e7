"""For any response of an exchange, the gateway accepts the worker's outcome."""

import ast
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sync_worker
from contracts.closures import MAINTENANCE, UNAVAILABLE
from contracts.credentials import Verified, VerifyReply
from contracts.exchanges.okx import OKX
from contracts.faults import Code, Failure, failure
from contracts.reasons import REASONS, SENTENCES, looked_for_in, sentences_in
from contracts.syncs import SyncOutcome, SyncRequested
from contracts.wire.envelope import decode, encode
from gateway.portfolio.verdicts import ending, wallet_reads
from gateway.syncs.bounds import is_in_life
from sync_worker.errors import ExchangeClosed, HeldBack, UnexpectedResponse
from sync_worker.exchanges.faults import Asked, status_failure
from sync_worker.exchanges.lenient_json import read_json
from sync_worker.exchanges.okx.faults import OKX_CODES, okx_failure
from sync_worker.exchanges.okx.payloads import parse_config
from sync_worker.exchanges.okx.wallets import judge_wallets
from sync_worker.sync import Reading, outcome
from sync_worker.verdicts import Fetched

NOW = datetime.now(UTC)
REQUEST = SyncRequested(uuid4(), uuid4(), uuid4(), "okx", "global", NOW + timedelta(minutes=2), "a.grant")
TEXT = st.text(max_size=70) | st.sampled_from(["BTC", "ETH", "x" * 32, "x" * 33, "币", "<b>", ""])
DIGITS = st.integers(-(10**60), 10**60).map(str)
AMOUNT = (
    st.builds("{}.{}".format, DIGITS, st.integers(0, 10**45))
    | st.builds("{}e{}".format, DIGITS, st.integers(-90, 90))
    | st.decimals(allow_nan=True).map(str)
    | DIGITS
    | TEXT
)
TIME = st.integers(-(10**15), 10**15).map(str) | TEXT
VALUE: st.SearchStrategy[Any] = AMOUNT | TIME | st.none() | st.booleans() | st.floats() | st.just([])
AMOUNTS = ("eq", "cashBal", "availEq", "availBal", "frozenBal", "liab", "eqUsd", "bal")
ROW = st.fixed_dictionaries({"ccy": TEXT}, optional=dict.fromkeys(AMOUNTS, AMOUNT | VALUE) | {"more": VALUE})
ROWS = st.lists(ROW | VALUE, max_size=5)
ACCOUNT = st.fixed_dictionaries({"details": ROWS | VALUE}, optional={"totalEq": AMOUNT, "uTime": TIME})
VALUATION = st.fixed_dictionaries(
    {"details": st.fixed_dictionaries({}, optional={"trading": AMOUNT, "funding": AMOUNT})}
)


def sent(data: Any) -> Any:
    """Return data as they come from the wire, numbers with every digit."""
    return read_json(msgspec.json.encode(data).decode())


def read(trading: Fetched | Failure, funding: Fetched | Failure, valuation: Any) -> Reading:
    """Judge the fetched data, as the worker does."""
    return Reading(judge_wallets(trading, funding, Fetched(NOW, valuation)))


def accepted(reading: Reading) -> SyncOutcome:
    """Send an outcome over the bus, and let the gateway check and word it; raises Malformed."""
    said: SyncOutcome = decode(encode(outcome(REQUEST, OKX, reading, 1)), SyncOutcome)
    reads = wallet_reads(said)
    assert all(is_in_life(each, NOW, NOW) for each in reads)
    for wallet in ending(said, reads).wallets:
        assert all(row.partition(": ")[2] in REASONS for row in wallet.unreadable)
    return said


@settings(max_examples=400)
@given(account=ACCOUNT, funding=ROWS | VALUE, valuation=VALUATION, age=st.none() | st.integers(0, 10**10))
def test_whatever_the_lists_say_the_gateway_takes_the_outcome(
    account: Any, funding: Any, valuation: Any, age: int | None
) -> None:
    """Rows of any text and any number become unreadable rows; none of them breaks the outcome."""
    reading = read(Fetched(NOW, sent([account]), age), Fetched(NOW, sent(funding), age), sent([valuation]))

    assert accepted(reading).grant == REQUEST.grant


@given(code=st.sampled_from(sorted(OKX_CODES)) | st.text(max_size=30), message=st.text(), words=st.text())
def test_whatever_the_exchange_refuses_with_the_gateway_takes_the_outcome(
    code: str, message: str, words: str
) -> None:
    """Codes and messages of any text, and faults of our own parts with any words."""
    refused = okx_failure(code, message, Asked("account_balance", "global"))

    accepted(read(refused, failure(Code.VAULT_UNAVAILABLE, words), []))


@given(uid=TEXT | VALUE, master=TEXT | VALUE, rights=TEXT | st.lists(TEXT).map(",".join), bound=TEXT | VALUE)
def test_whatever_the_exchange_says_of_a_key_the_gateway_takes_the_answer(
    uid: Any, master: Any, rights: str, bound: Any
) -> None:
    """An invalid account, right or address makes the response unreadable."""
    row = {"uid": uid, "mainUid": master, "perm": rights, "ip": bound}
    try:
        verified = parse_config(sent([row]))
    except UnexpectedResponse:
        return

    received: VerifyReply = decode(encode(verified), VerifyReply)

    assert received == verified
    assert isinstance(received, Verified)


def said_in_the_worker() -> Iterator[str]:
    """Yield each text that the worker passes to one of its errors."""
    named = {"ExchangeTimeout", "ExchangeUnreachable", "UnexpectedResponse", "ContradictoryTotal"}
    named |= {"ClocksDisagree", "Left", "failure"}
    for path in Path(str(sync_worker.__file__)).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in named:
                values = [each.value for each in node.args if isinstance(each, ast.Constant)]
                yield from (each for each in values if isinstance(each, str) and each)


@pytest.mark.parametrize("text", sorted({*said_in_the_worker(), *SENTENCES}))
def test_what_the_worker_says_stands_in_the_table(text: str) -> None:
    """A sentence that the table lacks would not reach the user."""
    assert sentences_in(text) == text


@pytest.mark.parametrize(
    "text",
    [
        status_failure(503).detail,
        *(ExchangeClosed(reason, 60.0).detail for reason in (MAINTENANCE, UNAVAILABLE)),
        HeldBack(2.0).detail,
        looked_for_in(OKX, "eea"),
        "The connection failed: ConnectError.",
        "The answer is longer than 8388608 bytes.",
        "The proxy of EXCHANGE_PROXY_URL refuses the connection (HTTP 502).",
        "2 of 3 rows could not be read: eq is missing; the currency has no name.",
        "9 of 9 rows could not be read: eq is missing; bal is missing; it is no object; and more.",
    ],
)
def test_a_sentence_with_a_number_or_a_name_stands_in_the_table(text: str) -> None:
    """Its form is bounded, and so are the values in it."""
    assert sentences_in(f"{text} <b>{text}") == text
