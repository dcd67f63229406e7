"""NATS whose disk was full is restarted when there is space again, and for no other fault."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from secrets import token_bytes

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.errors import Error

from contracts import subjects
from deploy.local.bus_health import CHECK_SECONDS, MAX_WORDS, watched
from deploy.local.nats import READY_SECONDS, Nats, running_nats
from deploy.local.ports import LOOPBACK, accepts, free_ports
from deploy.local.processes import Processes, Program
from tests.joining import joined
from tests.processes import process_writing
from tests.waiting import passed, until

LARGE = 900_000
LEFT = 3 * LARGE
SEVERAL_CHECKS = 3 * CHECK_SECONDS
TOO_FULL = "NATS is unhealthy: JetStream stream"
# Accepts connections, always reports a write error, and counts its starts in a file.
INCURABLE = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(503, explain="a write error that no restart mends")
with open(sys.argv[2], "a") as starts:
    starts.write("started ")
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture(name="disk")
def _disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a disk of 48 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount a small disk, and not everywhere")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture(name="said")
def _said() -> list[str]:
    return []


@pytest_asyncio.fixture(name="bus")
async def _bus(disk: Path, tmp_path: Path, said: list[str]) -> AsyncIterator[Nats]:
    """Run a watched NATS on the small disk."""
    processes = Processes(tmp_path / "logs")
    async with running_nats(processes, disk) as bus, watched(processes, bus, said.append):
        yield bus


@pytest_asyncio.fixture(name="client")
async def _client(bus: Nats) -> AsyncIterator[Client]:
    async with await joined(
        bus, "admin", max_reconnect_attempts=-1, reconnect_time_wait=0.2, error_cb=ignored
    ) as client:
        yield client


async def ignored(_error: Exception) -> None:
    """Ignore the client's errors about a server that ends."""


async def published(client: Client) -> bool:
    """Return whether the stream of outcomes accepted a large message."""
    try:
        await client.jetstream(timeout=1.0).publish(subjects.sync_failed("okx"), token_bytes(LARGE))
    except Error:
        return False
    return True


async def test_a_server_whose_disk_was_full_is_restarted(
    bus: Nats, client: Client, disk: Path, tmp_path: Path, said: list[str]
) -> None:
    """Not before there is space; then it accepts messages again, and has all confirmed ones."""
    process, filler = process_writing(tmp_path / "logs" / "nats.log"), disk / "filler"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    filler.write_bytes(bytes(free - LEFT))
    confirmed = 0
    while await published(client):
        confirmed += 1

    async def told() -> bool:
        return any(text.startswith(TOO_FULL) and "no space left" in text for text in said)

    await until(told)
    await until(passed(SEVERAL_CHECKS))
    assert process.is_running()
    filler.unlink()

    async def takes_messages() -> bool:
        return await published(client)

    await until(takes_messages)
    assert not process.is_running()
    assert (await client.jetstream().stream_info("SYNC_OUTCOMES")).state.messages >= confirmed + 1

    async def well() -> bool:
        return said[-1] == "NATS is healthy again"

    await until(well)
    assert [text.partition(":")[0] for text in said] == [
        "NATS is unhealthy",
        "restarting NATS",
        "NATS is healthy again",
    ]
    assert max(map(len, said)) < MAX_WORDS + 100


async def test_a_server_that_does_not_answer_is_left_alone(
    bus: Nats, tmp_path: Path, said: list[str]
) -> None:
    """A restart would end its work; the log says that it does not respond, and when it responds again."""
    process = process_writing(tmp_path / "logs" / "nats.log")
    process.suspend()

    async def told() -> bool:
        return len(said) == 1 and "does not answer" in said[0]

    await until(told)
    await until(passed(SEVERAL_CHECKS))
    process.resume()

    async def well() -> bool:
        return said[-1] == "NATS is healthy again"

    await until(well)
    assert process.is_running()
    assert len(said) == 2


async def test_a_restart_that_does_not_help_is_not_repeated_at_once(tmp_path: Path, said: list[str]) -> None:
    """The next restart waits for ten seconds, so that services are not disconnected again and again."""
    (port,) = free_ports(1)
    starts, processes = tmp_path / "starts", Processes(tmp_path / "logs")
    program = Program("nats", [sys.executable, "-c", INCURABLE, str(port), starts])
    address = f"{LOOPBACK}:{port}"
    bus = Nats(f"nats://{address}", tmp_path, tmp_path, f"http://{address}/healthz", program)

    async def restarted() -> bool:
        return starts.read_text().count("started") == 2

    async with processes.running(program):
        await processes.until("nats", lambda: accepts(port), READY_SECONDS)
        async with watched(processes, bus, said.append):
            await until(restarted)
            await until(passed(SEVERAL_CHECKS))
            assert await restarted()
