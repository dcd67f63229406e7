"""A grant is used up: no request is signed twice, few batches in all, and none after the sync's end."""

import asyncio
import json
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs
from uuid_utils.compat import uuid7

from contracts import subjects
from contracts.credentials import Authorize, Refused
from contracts.exchanges.okx import OKX
from contracts.faults import Code, Failure
from contracts.wire.envelope import encode
from contracts.wire.grants import sync_purpose
from deploy.local.processes import Program
from sync_worker.sync import MAX_TRIES
from tests.deploy.earlier import BEFORE, tree_of
from tests.joining import PlainNats
from tests.vault_broker.asking import Clock, Gateway, Worker, code
from tests.vault_broker.conftest import Callers, connected
from tests.vault_broker.vaults import OwnVault
from tests.waiting import until
from vault_broker.credentials import Credentials
from vault_broker.handlers import Handlers
from vault_broker.vault_login import Login

SECRET = "22582BD0CFF14C41EDBF1AB98506286D"
# Runs the bus of its tree until its input ends.
EARLIER_BUS = """
import asyncio, json, sys
from pathlib import Path
from deploy.local.nats import running_nats
from deploy.local.processes import Processes

async def main(directory):
    async with running_nats(Processes(directory / "logs"), directory) as nats:
        print(json.dumps([nats.url, str(directory / "keys")]), flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main(Path(sys.argv[1])))
"""


async def refused(callers: Callers, request: Authorize) -> str:
    """Send a request, and return the reason of its refusal."""
    reply = await callers.worker.authorize(request)
    assert isinstance(reply, Refused)
    assert reply.code == Code.GRANT_REFUSED
    return reply.detail


async def test_a_recorded_request_is_signed_once(callers: Callers) -> None:
    """The same request is refused the second time, even for the worker that sent it."""
    credential = await callers.gateway.stored(SECRET, "key", "words")
    request = callers.worker.request(credential, callers.gateway.grant(credential))
    await callers.worker.signed(request)

    assert "signed before" in await refused(callers, request)
    other = msgspec.structs.replace(request, grant=callers.gateway.grant(credential))
    assert "signed before" in await refused(callers, other)


async def test_a_grant_is_signed_for_sixteen_times(callers: Callers) -> None:
    """A sync with all its tries, each with a new time, fits; an attacker gets no seventeenth."""
    credential = await callers.gateway.stored(SECRET, "key", "words")
    grant = callers.gateway.grant(credential)
    for _ in range(OKX.most_batches):
        await callers.worker.signed(callers.worker.request(credential, grant))

    assert "16 batches" in await refused(callers, callers.worker.request(credential, grant))
    assert OKX.most_batches >= MAX_TRIES * 2


async def test_what_the_vault_did_not_sign_does_not_count(callers: Callers, own_vault: OwnVault) -> None:
    """However often the vault is away during a sync, its grant is valid when the vault is back."""
    credential = await callers.gateway.stored(SECRET, "key", "words")
    grant = callers.gateway.grant(credential)
    await own_vault.stop()
    for _ in range(OKX.most_batches + 4):
        reply = await callers.worker.authorize(callers.worker.request(credential, grant))
        assert code(reply) == Code.VAULT_UNAVAILABLE
    await own_vault.start()

    assert (await callers.worker.signed(callers.worker.request(credential, grant))).reads


async def test_a_sync_that_has_ended_is_not_signed_for(callers: Callers) -> None:
    """When a gateway announces a recorded outcome, its grant becomes invalid; others stay valid."""
    credential, sync_id = await callers.gateway.stored(SECRET, "key", "words"), uuid7()
    grant = callers.gateway.grant(credential, sync_purpose(sync_id))
    await callers.worker.signed(callers.worker.request(credential, grant))
    await callers.gateway.bus.announce(subjects.recorded(sync_id))

    async def ended() -> bool:
        reply = await callers.worker.authorize(callers.worker.request(credential, grant))
        return isinstance(reply, Refused)

    await until(ended)
    assert "has ended" in await refused(callers, callers.worker.request(credential, grant))
    other = callers.worker.request(credential, callers.gateway.grant(credential))
    assert (await callers.worker.signed(other)).reads


async def test_a_batch_is_not_handed_out_whose_sync_ends_while_the_vault_signs(
    callers: Callers, login: Login, grant_key: Ed25519PrivateKey
) -> None:
    """The signatures made by then stay in the broker, and the next request is refused at once."""
    credential, sync_id = await callers.gateway.stored(SECRET, "key", "words"), uuid7()
    handlers = Handlers(Credentials(login), grant_key.public_key(), callers.clock)
    grant = callers.gateway.grant(credential, sync_purpose(sync_id))
    signing = asyncio.create_task(handlers.authorize(encode(callers.worker.request(credential, grant))))
    await asyncio.sleep(0)  # the broker is calling the vault now
    await handlers.on_recorded(subjects.recorded(sync_id))

    with pytest.raises(Failure, match="has ended"):
        await signing
    with pytest.raises(Failure, match="has ended"):
        await handlers.authorize(encode(callers.worker.request(credential, grant)))


@pytest.mark.parametrize("last", ["x", "0", "%00", "é", "*", "{" + "0" * 32 + "}", "-" * 5000])
async def test_an_odd_announcement_changes_nothing(callers: Callers, last: str) -> None:
    """An announcement without a sync is ignored, without an error in the log; the next one counts."""
    credential, sync_id = await callers.gateway.stored(SECRET, "key", "words"), uuid7()
    request = callers.worker.request(credential, callers.gateway.grant(credential, sync_purpose(sync_id)))
    with capture_logs() as logs:
        await callers.gateway.bus.announce(f"butler.gateway.recorded.{last}", b"\xff" * 100)
        await callers.gateway.bus.announce(subjects.recorded(sync_id), b"{")

        async def ended() -> bool:
            reply = await callers.worker.authorize(msgspec.structs.replace(request, request_id=uuid7()))
            return isinstance(reply, Refused)

        await until(ended)

    assert [line for line in logs if line["log_level"] in ("error", "critical")] == []


async def test_a_bus_of_the_release_before_costs_only_the_ends_of_syncs(
    tmp_path: Path, login: Login, grant_key: Ed25519PrivateKey
) -> None:
    """Its configuration denies the broker's new subscription; the broker answers all other requests."""
    before = tree_of(BEFORE, tmp_path / "before")
    command: list[str | Path] = [before.python, "-c", EARLIER_BUS, tmp_path / "bus"]
    server = await asyncio.create_subprocess_exec(
        *command, cwd=before.path, env=before.environment(), stdin=-1, stdout=-1
    )
    assert server.stdout is not None
    url, keys = json.loads(await server.stdout.readline())
    nats, clock = PlainNats(url, Path(keys), Path(keys), "", Program("earlier-bus", [])), Clock()
    handlers = Handlers(Credentials(login), grant_key.public_key(), clock)
    with capture_logs() as logs:
        async with (
            connected(nats, "vault-broker", "broker", handlers.declare) as broker,
            connected(nats, "gateway", "gateway") as gateway_bus,
            connected(nats, "sync-worker", "worker") as worker_bus,
        ):
            gateway, worker = Gateway(gateway_bus, grant_key, clock), Worker(worker_bus, clock)
            credential = await gateway.stored(SECRET, "key", "words")
            sync_id = uuid7()
            grant = gateway.grant(credential, sync_purpose(sync_id))
            await gateway_bus.announce(subjects.recorded(sync_id))
            assert (await worker.signed(worker.request(credential, grant))).reads
            assert await broker.ready()
    await server.communicate(b"\n")

    refusals = [line for line in logs if "butler.gateway.recorded" in str(line.get("error"))]
    assert len(refusals) == 1
