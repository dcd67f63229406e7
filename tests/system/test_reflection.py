"""The services answer their askers and nobody else, whatever reply subject the server lets through (R-19)."""

from uuid import uuid4

import httpx
import nats as nats_client
import pytest
from nats.aio.msg import Msg

from contracts import subjects
from deploy.local.stack import Stack
from tests.waiting import until

ASKED = {
    "vault-broker": (subjects.KEYS, subjects.STORE, subjects.DESTROY, subjects.AUTHORIZE),
    "sync-worker": (subjects.verify("okx"),),
}
REPLY_TO = (
    "butler.dead.{}",
    "butler.sync.completed.{}",
    "butler.account.synced.{}",
    "_INBOX_other.{}",
    "_INBOX.{}",
)


@pytest.mark.parametrize("service", ASKED)
async def test_no_service_is_a_mirror(stack: Stack, service: str) -> None:
    """A question whose answer should go anywhere but to the asker's inbox is counted and not answered."""
    mark, heard = str(uuid4()), []

    async def hear(message: Msg) -> None:
        heard.append(message.subject)

    seed = str(stack.parts.nats.seed_file("admin"))
    async with await nats_client.connect(stack.parts.nats.url, nkeys_seed=seed) as admin:
        for reply_to in REPLY_TO:
            await admin.subscribe(reply_to.format(mark), cb=hear)
        await admin.flush()
        before = await reflected(stack.operations(service))
        for subject in ASKED[service]:
            for reply_to in REPLY_TO:
                await admin.publish(subject, b"{}", reply=reply_to.format(mark))
        expected = before + len(ASKED[service]) * len(REPLY_TO)

        async def all_counted() -> bool:
            return await reflected(stack.operations(service)) == expected

        await until(all_counted)
        await admin.flush()
    assert heard == []


async def reflected(url: str) -> float:
    """Give how many questions a service refused to answer."""
    async with httpx.AsyncClient(trust_env=False) as client:
        lines = (await client.get(f"{url}/metrics")).raise_for_status().text.splitlines()
    return sum(
        float(line.rsplit(" ", 1)[1]) for line in lines if 'reply="reflected"' in line and "_total" in line
    )
