"""The worker killed in the middle of a sync: the sync still ends, once."""

import signal
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import nats as nats_client
import psutil

from deploy.local.postgres import SUPERUSER
from deploy.local.processes import Processes, Program
from deploy.local.services import MODULES, environments
from deploy.local.stack import Stack, running_stack
from tests.system.person import CALL_SECONDS, Person
from tests.waiting import until


def process_of(stack: Stack, module: str) -> psutil.Process:
    """Find the process of a part of this stack by its log."""
    log = stack.processes.logs / f"{module}.log"
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(Path(opened.path) == log for opened in process.open_files()):
                return process
    raise AssertionError(f"{module} does not run")


async def test_a_sync_whose_worker_is_killed_ends_once(tmp_path: Path) -> None:
    """With the exchange silent in the middle of a sync, the worker dies; another one ends the sync."""
    async with (
        running_stack(tmp_path / "stack", print, simulated=True) as stack,
        httpx.AsyncClient(base_url=f"{stack.api}/api/v1", timeout=CALL_SECONDS) as client,
    ):
        person = Person(client)
        await person.sign_up()
        account = await person.connect("plain")
        exchange = process_of(stack, "exchange")
        exchange.send_signal(signal.SIGSTOP)
        path = f"/accounts/{account['id']}/sync"
        sync = (await client.post(path, headers={"Prefer": "respond-async"})).json()
        await until(lambda: in_flight(stack))

        process_of(stack, "sync-worker").kill()
        exchange.send_signal(signal.SIGCONT)
        settings = environments(stack.parts, stack.ports)["sync-worker"]
        successor = Program("sync-worker", [sys.executable, "-m", MODULES["sync-worker"]], settings)
        async with Processes(tmp_path / "successor").running(successor):

            async def ended() -> bool:
                return bool((await person.get(f"/syncs/{sync['sync_id']}"))["status"] != "queued")

            await until(ended, seconds=90)
        assert (await person.get(f"/syncs/{sync['sync_id']}"))["success"] is True
        assert await recorded(stack) == 1


async def in_flight(stack: Stack) -> bool:
    """Tell whether a worker has the request and has not settled it."""
    nats = stack.parts.nats
    async with await nats_client.connect(nats.url, nkeys_seed=str(nats.seed_file("admin"))) as client:
        consumer = await client.jetstream().consumer_info("SYNC_REQUESTS", "sync-worker-okx")
    return bool(consumer.num_ack_pending == 1)


async def recorded(stack: Stack) -> int:
    """Count the outcomes that were recorded."""
    async with await stack.parts.database.connect(SUPERUSER) as connection:
        rows = await connection.execute("select count(*) from audit where action = 'sync_recorded'")
        ((count,),) = await rows.fetchall()
    assert isinstance(count, int)
    return count
