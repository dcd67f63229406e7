"""The worker reads the key's rights in the signing call of the wallets, and sends them in the outcome."""

from collections import Counter
from uuid import UUID

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from contracts.exchanges.okx import OKX
from contracts.faults import FAULTS, Code
from contracts.rights import MAX_RIGHTS, UNREADABLE_RIGHT, excess_rights, named_rights
from contracts.syncs import Rights, Status, SyncOutcome
from contracts.wire.envelope import decode, encode
from deploy.simulator.okx.accounts import Accounts
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.okx.payloads import parse_rights
from sync_worker.sync import Attempt, Reading, next_try, outcome
from tests.sync_worker import scripted as script
from tests.sync_worker.scripted import CONFIG, ScriptedExchange
from tests.sync_worker.system import Gateway, Worker
from tests.sync_worker.wording import a_request, complete, failed
from tests.waiting import until

READ = Rights("1", ("read_only",))


@pytest_asyncio.fixture(name="credential")
async def _credential(gateway: Gateway, accounts: Accounts) -> UUID:
    """Put a credential into the vault."""
    return await gateway.store(accounts["plain"])


def of_key(perm: object, uid: object = "1", **more: object) -> list[dict[str, object]]:
    """Return the data of the config."""
    return [{"uid": uid, "perm": perm, **more}]


@pytest.mark.usefixtures("worker")
async def test_the_rights_are_read_with_the_wallets(
    gateway: Gateway, scripted: ScriptedExchange, credential: UUID
) -> None:
    """One signing call covers all reads, and the outcome has the owner and the rights of the key."""
    scripted.scripts[CONFIG] = script.config("read_only,trade", uid="77")
    request = gateway.request(credential, "us")

    said = await gateway.sync(request)

    assert said.rights == Rights("77", ("read_only", "trade"))
    assert said.grant == request.grant
    assert Counter(scripted.targets()) | Counter([script.TIME]) == Counter([*script.SIGNED, script.TIME])


@pytest.mark.usefixtures("worker")
async def test_rights_that_are_refused_for_a_moment_are_read_again(
    gateway: Gateway, scripted: ScriptedExchange, credential: UUID
) -> None:
    """Other requests of the same user use up their limit of five in two seconds, so they are retried."""
    scripted.scripts[CONFIG] = script.first(script.refusal("50011"), script.config("read_only"))

    said = await gateway.sync(gateway.request(credential, "us"))

    assert (said.status, said.attempt, said.rights) == (Status.COMPLETED, 2, READ)


async def test_rights_that_stay_away_cost_no_wallet(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential: UUID
) -> None:
    """When no further try fits before the deadline, the wallets count without them."""
    scripted.scripts[CONFIG] = script.refusal("50001")

    said = await gateway.sync(gateway.request(credential, "us", seconds=9))

    assert (said.status, said.rights) == (Status.COMPLETED, None)
    assert said.attempt > 1

    async def logged() -> bool:
        return any(line.get("rights") == "exchange_unavailable" for line in worker.lines("sync_ended"))

    await until(logged)


def reading(trading: Code | None, rights_code: Code | None) -> Reading:
    """Return a reading without rights, with the trading wallet failed by a code, or read."""
    wallets = (failed("trading", trading) if trading else complete("trading"), complete("funding"))
    return Reading(wallets, rights_code=rights_code)


@pytest.mark.parametrize("code", [code for code in Code if FAULTS[code].retryable])
def test_a_passing_fault_of_the_rights_is_tried_again_as_often_as_a_wallets(code: Code) -> None:
    """The same tries and the same waits."""
    for attempt in range(1, 6):
        of_rights, of_wallet = reading(None, code), reading(code, None)
        assert next_try(of_rights, Attempt(attempt), 120, 1.0) == next_try(
            of_wallet, Attempt(attempt), 120, 1.0
        )


@pytest.mark.parametrize("code", [code for code in Code if not FAULTS[code].retryable])
def test_rights_that_stay_away_for_good_keep_no_wallet_from_another_try(code: Code) -> None:
    """They alone cause no further try."""
    assert next_try(reading(None, code), Attempt(1), 120, 1.0) is None
    assert next_try(reading(Code.RATE_LIMITED, code), Attempt(1), 120, 1.0) == 2.0


def test_a_sync_without_any_wallet_is_not_tried_again_for_its_rights() -> None:
    """Without numbers there are no rights to prove."""
    wallets = (failed("trading", Code.ACCOUNT_BLOCKED), failed("funding", Code.NOT_AVAILABLE))

    assert next_try(Reading(wallets, rights_code=Code.RATE_LIMITED), Attempt(1), 120, 1.0) is None


def test_the_rights_go_with_every_outcome() -> None:
    """Even with an outcome without wallets: a key that may only trade is reported."""
    none = (failed("trading", Code.PERMISSION_MISSING), failed("funding", Code.PERMISSION_MISSING))

    for wallets in (none, (complete("trading"), complete("funding"))):
        assert outcome(a_request(), OKX, Reading(wallets, rights=READ), 1).rights == READ


@given(uid=st.text(), perm=st.text(), more=st.dictionaries(st.text(), st.text()))
def test_rights_that_were_read_never_keep_an_outcome_from_being_read(
    uid: str, perm: str, more: dict[str, str]
) -> None:
    """Whatever the exchange sends, the rights are unreadable or fit into a message."""
    try:
        rights = parse_rights([{**more, "uid": uid, "perm": perm}])
    except UnexpectedResponse:
        return
    said = outcome(a_request(), OKX, Reading((complete("trading"), complete("funding")), rights=rights), 1)

    again: SyncOutcome = decode(encode(said), SyncOutcome)

    assert again == said
    only_reading = {part.strip() for part in perm.split(",") if part.strip()} <= {"read_only"}
    assert bool(excess_rights(OKX, rights.permissions)) != only_reading


@pytest.mark.parametrize("right", ["read only", "read_only\u200b", "tr\u0430de", "x" * 65, "a\nb", "\ud800"])
def test_a_right_that_no_message_carries_has_a_name_that_no_table_knows(right: str) -> None:
    """It is reported, and cannot be read as a known right."""
    rights = parse_rights(of_key(f"read_only,{right}"))

    assert rights.permissions == ("read_only", UNREADABLE_RIGHT)
    assert excess_rights(OKX, rights.permissions) == (UNREADABLE_RIGHT,)


def test_no_number_of_rights_hides_one_that_matters() -> None:
    """If there are more than a message carries, rights known to exceed reading come first."""
    many = ["read_only", *(f"right-{number}" for number in range(100)), "withdraw", "trade"]

    named = named_rights(OKX, many)

    assert len(named) == MAX_RIGHTS
    assert set(named[:2]) == {"trade", "withdraw"}
    assert "read_only" not in named


@pytest.mark.parametrize(
    "data",
    [
        [],
        [{}],
        [{"uid": "1"}],
        [{"perm": "read_only"}],
        of_key(None),
        of_key("read_only", ""),
        of_key("read_only", "a b"),
        of_key("read_only", "1" * 65),
        of_key("read_only") * 2,
        {"uid": "1", "perm": "read_only"},
    ],
)
def test_rights_of_nobody_are_unreadable(data: object) -> None:
    """The owner and the rights of a key are read together or not at all."""
    with pytest.raises(UnexpectedResponse):
        parse_rights(data)


def test_damage_beside_the_rights_costs_them_nothing() -> None:
    """A field that is missing, or of another kind, hides no right."""
    assert parse_rights(of_key("trade", mainUid=None, ip=[1])) == Rights("1", ("trade",))
