"""Operators replay a dead letter once, and never see its body."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from nats.aio.client import Client
from uuid_utils.compat import uuid7

from deploy.local.nats import Nats
from deploy.local.postgres import SUPERUSER, Postgres
from deploy.local.stack import Stack
from gateway.operators.dead_letters import LAST
from gateway.operators.letters import replayed
from tests.joining import joined
from tests.system.operating import Operating, acts, operations_client, token_of
from tests.system.person import Person
from tests.system.test_poison import SUBJECT, letters, message
from tests.waiting import until

MARK = "31415.92653"
PATH = "/dead-letters"


@pytest_asyncio.fixture(name="operator")
async def _operator(stack: Stack, database: Postgres) -> AsyncIterator[Operating]:
    """Yield an operator who may act."""
    async with operations_client(stack) as client:
        yield Operating(client, await token_of(database, "grace"))


@pytest_asyncio.fixture(name="unaudited")
async def _unaudited(database: Postgres) -> AsyncIterator[None]:
    """Let the database refuse to write down that an act begins."""
    async with await database.connect(SUPERUSER) as connection:
        await connection.execute(
            "alter table operator_acts add constraint refusing check (action not like '%begun') not valid"
        )
        await connection.commit()
        yield
        await connection.execute("alter table operator_acts drop constraint refusing")


@pytest_asyncio.fixture(name="bus")
async def _bus(clean_bus: Nats) -> AsyncIterator[Client]:
    """Yield the administrator of the bus."""
    async with await joined(clean_bus, "admin") as client:
        yield client


async def bury(bus: Client, subject: str, body: bytes, **headers: str) -> int:
    """Store a dead letter as a service does, and return its number."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    told = {"butler-reason": "malformed at `$.exchange`", "Nats-Msg-Id": str(uuid7()), **named}
    return (await bus.jetstream().publish(f"butler.dead.{subject}", body, headers=told)).seq


async def details(database: Postgres) -> list[dict[str, Any]]:
    """Return what the audit says of each act, in their order."""
    async with await database.connect(SUPERUSER) as connection:
        rows = await connection.execute("select detail from operator_acts order by id")
        return [msgspec.convert(detail, dict[str, Any]) for (detail,) in await rows.fetchall()]


async def in_stream(bus: Client, stream: str) -> int:
    """Count the messages of a stream so far."""
    return int((await bus.jetstream().stream_info(stream)).state.last_seq)


async def test_a_dead_letter_is_listed_by_its_headers_alone(operator: Operating, bus: Client) -> None:
    """Number, subject, reason, time, size and ids are shown, the oldest first; never the body."""
    body = json.dumps({"total": MARK, "padding": "x" * 1024 * 1024}).encode()
    first = await bury(bus, SUBJECT, body, ce_type="io.pocketbutler.x", ce_id="some-sync:outcome")
    second = await bury(bus, "butler.account.synced.x", b"{}", butler_reason=f"odd\u00e9 {'y' * 900}")

    page = await operator.call("GET", f"{PATH}?limit=1")

    (letter,) = page["dead_letters"]
    assert letter.pop("stored_at")
    assert letter == {
        "sequence": first,
        "subject": SUBJECT,
        "reason": "malformed at `$.exchange`",
        "size": len(body),
        "type": "io.pocketbutler.x",
        "source": None,
        "message_id": "some-sync:outcome",
        "replayable": True,
    }
    assert page["next_cursor"] == second
    (last,) = (await operator.call("GET", f"{PATH}?cursor={second}"))["dead_letters"]
    for number in (0, second + 1, 10**30):
        await operator.call("POST", f"{PATH}/{number}/replay", 404)
    await operator.call("POST", f"{PATH}/replay", 400, json={"before": 10**30})
    assert (last["replayable"], len(last["reason"])) == (False, 200)
    assert MARK not in json.dumps(page)


async def test_a_replayed_letter_is_handled_and_gone(
    operator: Operating, bus: Client, person: Person, database: Postgres
) -> None:
    """An outcome goes back to its stream with its body, and the sync that it names has one outcome."""
    account = await person.connect("plain")
    sync = await person.post(f"/accounts/{account['id']}/sync")
    body = message(sync["sync_id"], account["id"], status="partial")
    number = await bury(bus, SUBJECT, body, ce_id=f"{sync['sync_id']}:outcome")
    before = await in_stream(bus, "SYNC_OUTCOMES")

    await operator.call("POST", f"{PATH}/{number}/replay", 204)
    problem = await operator.call("POST", f"{PATH}/{number}/replay", 404)

    assert problem["code"] == "not_found"
    assert (await in_stream(bus, "SYNC_OUTCOMES"), await letters(bus)) == (before + 1, 0)
    stored = await bus.jetstream().get_msg("SYNC_OUTCOMES", before + 1)
    assert (stored.subject, stored.data) == (SUBJECT, body)

    async def handled() -> bool:
        return not (await bus.jetstream().consumer_info("SYNC_OUTCOMES", "gateway")).num_pending

    await until(handled)
    assert (await person.get(f"/syncs/{sync['sync_id']}"))["status"] == sync["status"] == "completed"
    assert await acts(database) == [
        ("grace", "replay_begun", str(number)),
        ("grace", "dead_letter_replayed", str(number)),
    ]


async def test_a_replay_that_was_cut_off_is_published_once(operator: Operating, bus: Client) -> None:
    """A letter that is still there after its message was published does not bring a second message."""
    number = await bury(bus, SUBJECT, message(str(uuid7()), str(uuid7())), ce_id="a:outcome")
    question = json.dumps({"seq": number}).encode()
    told = json.loads((await bus.request("$JS.API.STREAM.MSG.GET.DEAD_LETTERS", question)).data)["message"]
    stored_at = msgspec.convert(told["time"], datetime)
    first = replayed(number, f"butler.dead.{SUBJECT}", {"ce-id": "a:outcome"}, stored_at)
    assert first is not None
    assert first.message_id.startswith("a:outcome:")
    body = message(str(uuid7()), str(uuid7()))
    await bus.jetstream().publish(SUBJECT, body, headers={"Nats-Msg-Id": first.message_id})
    before = await in_stream(bus, "SYNC_OUTCOMES")

    await operator.call("POST", f"{PATH}/{number}/replay", 204)

    assert (await in_stream(bus, "SYNC_OUTCOMES"), await letters(bus)) == (before, 0)


@pytest.mark.parametrize(
    "subject", ["butler.account.synced.x", "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.SYNC_REQUESTS.x"]
)
async def test_a_letter_without_a_way_back_is_kept_and_can_be_dropped(
    operator: Operating, bus: Client, database: Postgres, subject: str
) -> None:
    """A stolen service that buries a forged event does not get it published by an operator."""
    before = [await in_stream(bus, name) for name in ("ACCOUNT_EVENTS", "ADVISORIES")]
    number = await bury(bus, subject, b"{}")

    assert (await operator.call("POST", f"{PATH}/{number}/replay", 409))["code"] == "not_replayable"
    assert [await in_stream(bus, name) for name in ("ACCOUNT_EVENTS", "ADVISORIES")] == before
    assert await letters(bus) == 1

    await operator.call("DELETE", f"{PATH}/{number}", 204)
    await operator.call("DELETE", f"{PATH}/{number}", 404)
    assert await letters(bus) == 0
    assert await acts(database) == [
        ("grace", what, str(number)) for what in ("replay_begun", "drop_begun", "dead_letter_dropped")
    ]
    told = {"letter": {"subject": subject, "reason": "malformed at `$.exchange`", "message_id": None}}
    assert await details(database) == [told, told, {}]


async def test_all_are_replayed_or_dropped_up_to_a_number(
    operator: Operating, bus: Client, database: Postgres
) -> None:
    """Letters that came after the operator looked stay; what has no way back is reported as kept."""
    body = message(str(uuid7()), str(uuid7()))
    outcomes = [await bury(bus, SUBJECT, body, ce_id=str(number)) for number in range(2)]
    event = await bury(bus, "butler.account.synced.x", b"{}")
    later = await bury(bus, SUBJECT, body)
    before = await in_stream(bus, "SYNC_OUTCOMES")

    replayed = await operator.call("POST", f"{PATH}/replay", json={"before": later})
    dropped = await operator.call("DELETE", PATH, params={"before": later})

    assert replayed == {"settled": outcomes, "kept": [event], "next_cursor": None}
    assert dropped == {"settled": [event], "kept": [], "next_cursor": None}
    assert await in_stream(bus, "SYNC_OUTCOMES") == before + 2
    (left,) = (await operator.call("GET", PATH))["dead_letters"]
    assert left["sequence"] == later
    assert [what for _, what, _ in await acts(database)] == [
        "replay_begun",
        "dead_letter_replayed",
        "drop_begun",
        "dead_letter_dropped",
    ]
    meant = {"before": later, "cursor": 1}
    assert await details(database) == [
        meant,
        {"settled": outcomes, "kept": [event]},
        meant,
        {"settled": [event], "kept": []},
    ]


async def test_at_most_100_are_settled_at_once(operator: Operating, bus: Client) -> None:
    """The answer says where the next request goes on."""
    numbers = [await bury(bus, "butler.account.synced.x", b"{}") for _ in range(102)]
    most, (following, later) = numbers[:100], numbers[100:]
    meant = {"before": later}

    kept = await operator.call("POST", f"{PATH}/replay", json=meant)
    rest = await operator.call("POST", f"{PATH}/replay", json=meant | {"cursor": following})
    dropped = await operator.call("DELETE", PATH, params=meant)

    assert kept == {"settled": [], "kept": most, "next_cursor": following}
    assert rest == {"settled": [], "kept": [following], "next_cursor": None}
    assert dropped == {"settled": most, "kept": [], "next_cursor": following}
    assert await letters(bus) == 2


async def test_nothing_is_done_that_can_not_be_audited(
    operator: Operating, bus: Client, unaudited: None
) -> None:
    """The beginning of an act is written down before it, of one letter and of several."""
    number = await bury(bus, SUBJECT, message(str(uuid7()), str(uuid7())))
    before, meant = await in_stream(bus, "SYNC_OUTCOMES"), {"before": LAST}

    await operator.call("POST", f"{PATH}/{number}/replay", 500)
    await operator.call("DELETE", f"{PATH}/{number}", 500)
    await operator.call("POST", f"{PATH}/replay", 500, json=meant)
    await operator.call("DELETE", PATH, 500, params=meant)

    assert (await in_stream(bus, "SYNC_OUTCOMES"), await letters(bus)) == (before, 1)
