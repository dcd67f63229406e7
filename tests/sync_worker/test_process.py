"""The process alone: its health while the bus is away, and its words for a bad setting."""

import asyncio
import sys
from pathlib import Path
from signal import SIGTERM

from deploy.local.nats import Nats
from deploy.local.processes import Processes, Program
from tests.sync_worker.conftest import service
from tests.sync_worker.system import Worker
from tests.waiting import until


async def test_health_is_served_before_the_bus_is_there(
    processes: Processes, directory: Path, bus_server: Nats
) -> None:
    """/readyz names the missing part while the process waits for it; SIGTERM ends the wait."""
    program = service("sync-worker", "sync_worker", bus_server, {"NATS_URL": "nats://127.0.0.1:1"})
    lonely = Program("lonely-worker", program.command, program.environment)
    async with processes.running(lonely) as process:
        worker = Worker.of(program, process, directory / "logs" / "lonely-worker.log")
        await until(worker.serves)

        assert (await worker.get("/healthz")).json() == {"healthy": True}
        response = await worker.get("/readyz")
        assert response.status_code == 503
        assert response.json() == {
            "ready": False,
            "not_ready": ["nats", "SYNC_REQUESTS/sync-worker-binance", "SYNC_REQUESTS/sync-worker-okx"],
            "degraded": [
                *("SYNC_REQUESTS/sync-worker-scheduled-binance", "SYNC_REQUESTS/sync-worker-scheduled-okx"),
                *("PRICE_REQUESTS/prices-binance", "PRICE_REQUESTS/prices-okx"),
            ],
        }

        process.send_signal(SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_a_bad_setting_ends_the_process_with_a_word() -> None:
    """The exit code is 2, and one line names the variable."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sync_worker", env={"NATS_URL": "nats://x"}, stderr=asyncio.subprocess.PIPE
    )

    _, written = await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == 2
    assert written == b"sync-worker: NATS_NKEY_FILE is not set\n"
