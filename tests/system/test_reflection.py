"""The services reply only to the sender, whatever reply subject the server permits (R-19)."""

from uuid import uuid4

import httpx
import pytest

from contracts import subjects
from contracts.wire.bus_users import GATEWAY, SYNC_WORKER
from deploy.local.stack import Stack
from tests.joining import joined
from tests.tapping import names, taken, tapped
from tests.waiting import until

ASKED = {
    subjects.KEYS: (GATEWAY, "vault-broker"),
    subjects.STORE: (GATEWAY, "vault-broker"),
    subjects.OFFER: (GATEWAY, "vault-broker"),
    subjects.DESTROY: (GATEWAY, "vault-broker"),
    subjects.AUTHORIZE: (SYNC_WORKER, "vault-broker"),
    subjects.verify("okx"): (GATEWAY, "sync-worker"),
}
REPLY_TO = (
    "butler.sync.scheduled.{}",
    "butler.account.{}",
    "_INBOX_other.{}",
    "_INBOX.{}",
    "$JS.API.STREAM.DELETE.DEAD_LETTERS",
    "$JS.API.STREAM.PURGE.DEAD_LETTERS",
)


@pytest.mark.parametrize("subject", ASKED)
async def test_no_service_is_a_mirror(stack: Stack, subject: str) -> None:
    """The service replies, and only the sender's account receives the reply on that subject."""
    asker, service = ASKED[subject]
    replies = [reply.format(uuid4()) for reply in REPLY_TO]
    bus = stack.parts.nats
    async with tapped(bus) as tap, await joined(bus, asker.name) as thief:
        before = await answers(stack.operations(service), subject)
        for reply in replies:
            await thief.publish(subject, b"{}", reply=reply)
        await taken(thief)

        async def all_answered() -> bool:
            return await answers(stack.operations(service), subject) == before + len(replies)

        await until(all_answered)
        heard = await tap.all()
        assert {*replies} <= names(heard[asker.account])
        others = [messages for account, messages in heard.items() if account != asker.account]
        assert not set().union(*map(names, others)) & {*replies}
    async with await joined(bus, "admin") as admin:
        assert (await admin.jetstream().stream_info("DEAD_LETTERS")).config.name == "DEAD_LETTERS"


async def answers(url: str, subject: str) -> float:
    """Return the number of requests that a service replied to on a subject."""
    async with httpx.AsyncClient(trust_env=False) as client:
        lines = (await client.get(f"{url}/metrics")).raise_for_status().text.splitlines()
    answered = [line for line in lines if line.startswith("butler_replies_total{") and f'"{subject}"' in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in answered if 'reply="reflected"' not in line)
