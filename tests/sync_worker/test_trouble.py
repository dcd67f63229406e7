"""The worker and an exchange in trouble: which faults are retried, and the outcome of each wallet."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from signal import SIGCONT, SIGSTOP, SIGTERM
from uuid import UUID

import pytest
import pytest_asyncio

from contracts.credentials import Verified
from contracts.faults import Code
from contracts.syncs import Status, SyncFailed, TotalCheck, Verdict
from deploy.simulator.okx.accounts import Accounts
from sync_worker.exchanges.clock import MIN_AGE
from tests.sync_worker import scripted as script
from tests.sync_worker.scripted import BALANCE, CONFIG, FUNDING, TIME, Script, ScriptedExchange
from tests.sync_worker.system import Gateway, Service, Worker
from tests.waiting import passed, until

# The deadline leaves no time for a second try, so the first reading is final.
ONE_TRY = 3.2
SYNCS = 256


@pytest_asyncio.fixture(name="credential_id", scope="module")
async def _credential_id(gateway: Gateway, accounts: Accounts) -> AsyncIterator[UUID]:
    yield await gateway.store(accounts["plain"])


async def test_the_wallets_are_read_together_as_they_were_signed(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """All wallets and the totals are requested, each with its signature; as_of is before the request."""
    before = datetime.now(UTC)

    outcome = await gateway.sync(gateway.request(credential_id, "us"))

    assert outcome.status == Status.COMPLETED
    assert sorted(set(scripted.targets()) - {TIME}) == sorted(script.SIGNED)
    signed = [head for head in scripted.heads if TIME.encode() not in head]
    assert all(b"ok-access-sign: " in head.lower() for head in signed)
    for read in outcome.wallets[:2]:
        assert read.as_of is not None
        assert before < read.as_of < datetime.now(UTC)


def answered(status: str) -> Script:
    """Return a response with an account's data, but with a status that the API never uses."""
    data = [{"totalEq": "", "details": [script.TRADING_ROW | {"ccy": "BTC", "eq": "1", "eqUsd": "64000"}]}]
    return script.response(json.dumps({"code": "0", "msg": "", "data": data}).encode(), status)


FAULTS: dict[str, tuple[Script, Code]] = {
    "a maintenance page": (
        script.response(b"<html>Bad Gateway</html>", "502 Bad Gateway", "content-type: text/html"),
        Code.EXCHANGE_UNAVAILABLE,
    ),
    "a blocking page": (script.response(b"<html>Denied</html>", "403 Forbidden"), Code.EXCHANGE_UNREACHABLE),
    "a page in the place of an answer": (script.response(b"<html>Welcome</html>"), Code.UNEXPECTED_RESPONSE),
    "a numeric code": (script.refusal(50011, "Requests too frequent."), Code.RATE_LIMITED),
    "a code with 429": (script.refusal("50011", status="429 Too Many Requests"), Code.RATE_LIMITED),
    "systems busy": (script.refusal("50013", status="429 Too Many Requests"), Code.EXCHANGE_UNAVAILABLE),
    "an unknown code": (script.refusal("1", "Operation failed."), Code.EXCHANGE_ERROR),
    "a negative code": (script.refusal(-1, "Operation failed."), Code.EXCHANGE_ERROR),
    "no code": (script.refusal(None), Code.UNEXPECTED_RESPONSE),
    "a code that is none": (script.refusal({"code": "0"}), Code.UNEXPECTED_RESPONSE),
    "a part of an answer": (answered("206 Partial Content"), Code.UNEXPECTED_RESPONSE),
    "an answer of somebody else": (answered("203 Non-Authoritative Information"), Code.UNEXPECTED_RESPONSE),
    "data beside an error": (answered("500 Internal Server Error"), Code.EXCHANGE_UNAVAILABLE),
    "missing data": (script.response(b'{"code":"0","msg":""}'), Code.UNEXPECTED_RESPONSE),
    "truncated JSON": (script.response(b'{"code":"0","data":[{"details":['), Code.UNEXPECTED_RESPONSE),
    "rows that can not be read": (
        script.trading({"ccy": "BTC", "eq": "x"}, {"ccy": "ETH", "eq": ""}),
        Code.UNEXPECTED_RESPONSE,
    ),
    "an empty list beside a total": (script.trading(), Code.CONTRADICTORY_TOTAL),
    "a short list beside its total": (
        script.trading({"ccy": "ETH", "eq": "1", "eqUsd": "3200"}, total="64000"),
        Code.CONTRADICTORY_TOTAL,
    ),
    "a broken connection": (script.reset, Code.EXCHANGE_UNREACHABLE),
    "a body cut off": (script.cut, Code.EXCHANGE_UNREACHABLE),
    "an endless body": (script.endless, Code.UNEXPECTED_RESPONSE),
    "no answer": (script.hang, Code.EXCHANGE_TIMEOUT),
}


@pytest.mark.parametrize(("answer", "code"), FAULTS.values(), ids=FAULTS)
async def test_a_wallet_in_trouble_fails_alone(
    worker: Worker,
    gateway: Gateway,
    scripted: ScriptedExchange,
    credential_id: UUID,
    answer: Script,
    code: Code,
) -> None:
    """It has no balances but a reason; the other wallet is read, and the sync is partial."""
    scripted.scripts[BALANCE] = answer

    outcome = await gateway.sync(gateway.request(credential_id, "us", ONE_TRY))

    trading, funding, _ = outcome.wallets
    assert outcome.status == Status.PARTIAL
    assert funding.verdict is Verdict.COMPLETE
    assert (trading.verdict, trading.error_code) == (Verdict.FAILED, code)
    assert trading.balances is None


WHOLE = {"ccy": "BTC", "eq": "1", "eqUsd": "64000"}
NAMELESS = {"ccy": "", "eq": "0.02", "eqUsd": "0.00000002"}


@pytest.mark.parametrize(
    ("answer", "code", "total_check"),
    [
        (script.trading(WHOLE, NAMELESS), Code.UNREADABLE_ROWS, TotalCheck.AGREES),
        (script.trading(WHOLE, total="65000"), Code.TOTAL_DISAGREES, TotalCheck.DISAGREES),
        (script.trading(WHOLE | {"eqUsd": "640000"}), None, TotalCheck.DISAGREES),
    ],
    ids=["unreadable row", "its own total disagrees", "the valuation disagrees"],
)
async def test_what_can_be_read_is_shown_with_its_mark(
    worker: Worker,
    gateway: Gateway,
    scripted: ScriptedExchange,
    credential_id: UUID,
    answer: Script,
    code: Code | None,
    total_check: TotalCheck,
) -> None:
    """The rows are read, at the first try, and the sync is partial."""
    scripted.scripts[BALANCE] = answer

    outcome = await gateway.sync(gateway.request(credential_id, "us"))

    trading = outcome.wallets[0]
    assert (outcome.status, outcome.attempt) == (Status.PARTIAL, 1)
    assert [(each.asset, str(each.total)) for each in trading.balances or ()] == [("BTC", "1")]
    assert trading.verdict is (Verdict.INCOMPLETE if code else Verdict.COMPLETE)
    assert (trading.error_code, trading.total_check) == (code, total_check)


async def test_data_from_a_cache_say_from_when(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """An Age of more than a day is reported beside the wallet, which is complete."""
    body = json.dumps({"code": "0", "data": [script.FUNDING_ROW | {"ccy": "BTC", "bal": "1"}]}).encode()
    scripted.scripts[FUNDING] = script.response(body, headers="age: 90000")

    outcome = await gateway.sync(gateway.request(credential_id, "us"))

    trading, funding, _ = outcome.wallets
    assert (outcome.status, trading.reported_at) == (Status.COMPLETED, None)
    assert funding.as_of is not None
    assert funding.reported_at == funding.as_of - timedelta(seconds=90000)


async def test_a_passing_fault_is_tried_again(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """There is one outcome, that of the second try."""
    scripted.scripts[FUNDING] = script.first(script.refusal("50026"), scripted.scripts[FUNDING])

    outcome = await gateway.sync(gateway.request(credential_id, "us"))

    assert (outcome.status, outcome.attempt) == (Status.COMPLETED, 2)


async def test_a_wallet_that_the_key_may_not_read_is_not_permitted(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """The rest is read, at the first try."""
    scripted.scripts[FUNDING] = script.refusal("50120")

    outcome = await gateway.sync(gateway.request(credential_id, "us"))

    assert (outcome.status, outcome.attempt) == (Status.PARTIAL, 1)
    assert outcome.wallets[1].verdict is Verdict.NOT_PERMITTED


def the_time_and(seconds: float) -> Script:
    """Return a time that is wrong by so much."""
    return script.rows({"ts": str(int((time.time() + seconds) * 1000))})


async def test_a_refused_time_is_measured_once_more(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """After 50102 all requests are signed again by the exchange's own clock, in the same try."""
    await until(passed(MIN_AGE))
    scripted.scripts[BALANCE] = script.first(script.refusal("50102"), scripted.scripts[BALANCE])
    scripted.scripts[TIME] = the_time_and(45)
    began = datetime.now(UTC)

    outcome = await gateway.sync(gateway.request(credential_id, "us"))

    assert (outcome.status, outcome.attempt) == (Status.COMPLETED, 1)
    stamp = re.search(rb"(?i)ok-access-timestamp: (\S+)", scripted.heads[-1])
    assert stamp is not None
    ahead = datetime.fromisoformat(stamp[1].decode()) - began
    assert timedelta(seconds=44) < ahead < timedelta(seconds=55)


async def test_a_clock_that_is_never_right_fails_the_sync(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """It is measured again once in a try, and not in a loop."""
    scripted.refuse_all(script.refusal("50102"))
    await until(passed(MIN_AGE))

    outcome = await gateway.sync(gateway.request(credential_id, "us", ONE_TRY))

    assert isinstance(outcome, SyncFailed)
    assert outcome.error_code == Code.CLOCK_DISAGREES
    assert scripted.targets().count(BALANCE) == 2
    assert scripted.targets().count(TIME) <= 2


async def test_an_exchange_in_another_day_is_not_believed(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """The worker signs nothing for a time far from ours, and accepts a corrected clock again."""
    right = scripted.scripts[BALANCE]
    scripted.scripts[BALANCE] = script.refusal("50102")
    scripted.scripts[TIME] = the_time_and(86400)
    await until(passed(MIN_AGE))

    outcome = await gateway.sync(gateway.request(credential_id, "us", ONE_TRY))

    assert isinstance(outcome, SyncFailed)
    assert outcome.error_code == Code.CLOCK_DISAGREES

    scripted.scripts |= {BALANCE: right, TIME: script.the_time}

    assert (await gateway.sync(gateway.request(credential_id, "us"))).status == Status.COMPLETED


async def test_a_verification_is_answered_in_time(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """A hanging exchange is a refusal, and a responding one names the owner of the key."""
    scripted.scripts[CONFIG] = script.first(
        script.hang, script.rows({"uid": "2", "mainUid": "1", "perm": "read_only", "ip": "192.0.2.1"})
    )
    started = time.monotonic()

    refused = await gateway.verify(credential_id, "us")

    assert getattr(refused, "code", None) == Code.EXCHANGE_TIMEOUT
    assert time.monotonic() - started < 13
    assert await gateway.verify(credential_id, "us") == Verified("2", "1", ("read_only",), ("192.0.2.1",))


async def test_256_syncs_are_in_flight_at_once(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """None of them gets a response before all of them have sent a request, once a try.

    One whose signatures were late in this crowd was redelivered before it sent its requests.
    """
    answer, released = scripted.scripts[BALANCE], asyncio.Event()

    async def held(writer: asyncio.StreamWriter) -> None:
        if scripted.targets().count(BALANCE) >= SYNCS:
            released.set()
        await released.wait()
        await answer(writer)

    scripted.scripts[BALANCE] = held
    requests = [gateway.request(credential_id, "us", 60) for _ in range(SYNCS)]
    await asyncio.gather(*(gateway.publish(request) for request in requests))
    outcomes = await asyncio.gather(*(gateway.outcome(request) for request in requests))

    assert {outcome.status for outcome in outcomes} == {Status.COMPLETED}
    assert SYNCS <= scripted.targets().count(BALANCE) <= sum(outcome.attempt for outcome in outcomes)


async def test_a_broker_that_does_not_answer_is_waited_for(
    worker: Worker, broker: Service, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """A request with time left is redelivered and completed; another fails, not by the exchange's fault."""
    patient, impatient = gateway.request(credential_id, "us"), gateway.request(credential_id, "us", 5)
    broker.process.send_signal(SIGSTOP)
    try:
        await gateway.publish(patient)
        failed = await gateway.sync(impatient)
    finally:
        broker.process.send_signal(SIGCONT)

    assert isinstance(failed, SyncFailed)
    assert failed.error_code == Code.SIGNING_UNAVAILABLE
    outcome = await gateway.outcome(patient)
    assert outcome.status == Status.COMPLETED
    assert outcome.attempt > 1
    assert len(scripted.targets()) <= len(script.SIGNED) + 1


async def test_a_stopped_worker_finishes_what_it_has_begun(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """SIGTERM ends the process after its syncs, each with its outcome at the first try."""
    answer, released = scripted.scripts[BALANCE], asyncio.Event()

    async def held(writer: asyncio.StreamWriter) -> None:
        await released.wait()
        await answer(writer)

    async def all_asked() -> bool:
        return scripted.targets().count(BALANCE) == len(requests)

    scripted.scripts[BALANCE] = held
    requests = [gateway.request(credential_id, "us") for _ in range(8)]
    await asyncio.gather(*(gateway.publish(request) for request in requests))
    await until(all_asked)
    worker.process.send_signal(SIGTERM)
    await until(worker.stops_serving)
    released.set()
    outcomes = await asyncio.gather(*(gateway.outcome(request) for request in requests))

    assert {(outcome.status, outcome.attempt) for outcome in outcomes} == {(Status.COMPLETED, 1)}
    assert await asyncio.wait_for(worker.process.wait(), 20) == 0
