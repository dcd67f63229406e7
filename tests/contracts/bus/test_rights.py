"""Every user may do what its row in the topology says, and nothing else."""

import pytest

from contracts import subjects
from contracts.bus.topology import STREAMS, USERS, server_permissions
from tests.contracts.bus.conftest import NewClient
from tests.waiting import until

REQUESTS = subjects.sync_requested("okx")
COMPLETED = subjects.sync_completed("okx")
FAILED = subjects.sync_failed("okx")
VERIFY = subjects.verify("okx")
FACT = "butler.account.synced.somebody"
CREATE = "$JS.API.STREAM.CREATE.MINE"
PURGE = "$JS.API.STREAM.PURGE.SYNC_REQUESTS"
CONSUMER = "$JS.API.CONSUMER.CREATE.SYNC_OUTCOMES.spy"
READ = "$JS.API.STREAM.MSG.GET.SYNC_OUTCOMES"

MAY_PUBLISH = {
    "gateway": {REQUESTS, FAILED, FACT, VERIFY, subjects.KEYS, subjects.STORE, subjects.DESTROY},
    "sync-worker": {COMPLETED, FAILED, subjects.AUTHORIZE},
    "vault-broker": set(),
    "subscriber": set(),
}
ALL = {REQUESTS, COMPLETED, FAILED, FACT, VERIFY, subjects.KEYS, subjects.STORE, subjects.DESTROY}
ALL |= {subjects.AUTHORIZE, CREATE, PURGE, CONSUMER, READ}
PUBLISHING = [(user, subject, subject in may) for user, may in MAY_PUBLISH.items() for subject in sorted(ALL)]

LISTENING = [
    ("gateway", "_INBOX_worker.>", False),
    ("gateway", FACT, False),
    ("gateway", ">", False),
    ("sync-worker", "_INBOX_gateway.>", False),
    ("sync-worker", REQUESTS, False),
    ("sync-worker", subjects.STORE, False),
    ("vault-broker", REQUESTS, False),
    ("vault-broker", ">", False),
    ("subscriber", FACT, True),
    ("subscriber", "butler.account.>", True),
    ("subscriber", COMPLETED, False),
    ("subscriber", "_INBOX_gateway.>", False),
    ("subscriber", ">", False),
]


@pytest.mark.parametrize(("user", "subject", "allowed"), PUBLISHING)
async def test_a_user_publishes_what_its_row_says(
    new_client: NewClient, user: str, subject: str, *, allowed: bool
) -> None:
    """The server takes what is allowed and refuses everything else."""
    client, errors = await new_client(user)

    await client.publish(subject, b"")
    await client.flush()

    async def refused() -> bool:
        return any("permissions violation for publish" in error.lower() for error in errors)

    if allowed:
        assert not await refused()
    else:
        await until(refused)


@pytest.mark.parametrize(("user", "subject", "allowed"), LISTENING)
async def test_a_user_hears_what_its_row_says(
    new_client: NewClient, user: str, subject: str, *, allowed: bool
) -> None:
    """Nobody reads another's inbox, queue or outcomes."""
    client, errors = await new_client(user)

    await client.subscribe(subject)
    await client.flush()

    async def refused() -> bool:
        return any("permissions violation for subscription" in error.lower() for error in errors)

    if allowed:
        assert not await refused()
    else:
        await until(refused)


def test_every_stream_is_bounded() -> None:
    """No stream grows for ever: each has an age and a size."""
    assert all(stream.max_age and stream.max_bytes for stream in STREAMS)


def test_a_user_without_a_key_is_missed() -> None:
    """The server's configuration can not be written with a user left out."""
    keys = {user.name: "U" for user in USERS}

    with pytest.raises(KeyError):
        server_permissions(keys)
