"""Without a collector no message has a place in a trace."""

from deploy.local.nats import Nats
from deploy.local.postgres import SUPERUSER, Postgres
from tests.joining import joined
from tests.system.person import Person

CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_no_message_has_a_header_without_a_collector(
    person: Person, nats: Nats, database: Postgres
) -> None:
    """Also not when the client's request has one; the log lines have no ids either."""
    account = await person.connect("plain")
    await person.post(f"/accounts/{account['id']}/sync", traceparent=CLIENT)
    async with await joined(nats, "admin") as client:
        bus = client.jetstream()
        states = {name: (await bus.stream_info(name)).state for name in ("SYNC_OUTCOMES", "ACCOUNT_EVENTS")}
        stored = [
            await bus.get_msg(name, seq)
            for name, state in states.items()
            for seq in range(state.first_seq, state.last_seq + 1)
        ]
    async with await database.connect(SUPERUSER) as connection:
        rows = await (await connection.execute("select traceparent from outbox")).fetchall()

    assert stored
    assert [each for each in stored if "traceparent" in (each.headers or {})] == []
    assert {text for (text,) in rows} <= {None}
