"""The load generator: a program of its own that sends prepared requests over raw sockets and times them.

It reads a plan (JSON) from its standard input. Its connections divide themselves over `ports`, and each comes
from an address of its own, as those of users do. With `rate` 0 each of `clients` connections sends its next
request when the last one was answered; otherwise requests come at an even rate, and their time counts from
when they were due. No request is sent again before `apart` seconds have passed since its answer. It prints
`begin` and `end` around the measured window, and then a line of JSON when all requests are answered.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter, deque
from contextlib import suppress
from ipaddress import IPv4Address
from itertools import cycle
from typing import Any, cast

import uvloop

HEAD_ENDS = b"\r\n\r\n"
LENGTH = b"content-length:"
CONNECTS_AT_ONCE = 64
SHOWN_BYTES = 160
DRAINING_SECONDS = 20
# Linux has all of 127.0.0.0/8 on its loopback interface.
FIRST_ADDRESS = IPv4Address("127.1.0.1")


class Client(asyncio.Protocol):
    """A connection that sends one request after the other."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._received = b""
        self._transport = asyncio.WriteTransport()
        self._index, self._due = 0, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def send(self, index: int, due: float) -> None:
        """Send a request."""
        self._index, self._due = index, due
        self._load.waiting += 1
        self._transport.write(self._load.requests[index])

    def data_received(self, data: bytes) -> None:
        """Note a whole response."""
        received = self._received = self._received + data if self._received else data
        head = received.find(HEAD_ENDS)
        if head < 0:
            return
        lower = received[:head].lower()
        at = lower.find(LENGTH)
        length = int(lower[at + len(LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        whole = head + len(HEAD_ENDS) + length
        if len(received) >= whole:
            self._received = b""
            self._load.answered(self, self._index, self._due, received[:whole])

    def connection_lost(self, exc: Exception | None) -> None:
        """Count a connection that the server closed."""
        self._load.lost(exc)


class Load:
    """Sends the requests of a plan, and notes how long their answers took."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.requests = [text.encode() for text in plan["requests"]]
        self._plan = plan
        self._expect: bytes = plan["expect"].encode()
        self._apart: float = plan["apart"]
        self._next = deque((index, 0.0) for index in range(len(self.requests)))
        self._free: deque[Client] = deque()
        self._overdue: deque[float] = deque()
        self._closed_loop = plan["rate"] == 0
        self._measuring = self._over = False
        self.seconds: list[float] = []
        self.failed: Counter[str] = Counter()
        self.held = self.waiting = 0
        self._answered = asyncio.Event()

    async def run(self) -> dict[str, Any]:
        """Run the plan and return its results."""
        loop = asyncio.get_running_loop()
        for number, port in zip(range(self._plan["clients"]), cycle(self._plan["ports"]), strict=False):
            own = (str(FIRST_ADDRESS + number), 0)
            _, client = await loop.create_connection(
                lambda: Client(self), self._plan["host"], port, local_addr=own
            )
            self._free.append(client)
        ticking = None if self._closed_loop else asyncio.create_task(self._tick(self._plan["rate"]))
        if self._closed_loop:
            while self._free:
                self._start(self._free.popleft(), time.perf_counter())
        await asyncio.sleep(self._plan["warm"])
        self._measuring = True
        print("begin", flush=True)
        cpu, began = time.process_time(), time.perf_counter()
        await asyncio.sleep(self._plan["seconds"])
        self._measuring, self._over = False, True
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        print("end", flush=True)
        if ticking is not None:
            ticking.cancel()
        await self._until_answered()
        return {
            "seconds": took,
            "cpu": cpu,
            "times": sorted(self.seconds),
            "failed": dict(self.failed.most_common(5)),
            "held": self.held,
        }

    async def _until_answered(self) -> None:
        """Wait for the requests of the run, so that none is work of the next run."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAINING_SECONDS if self.waiting else 0):
                await self._answered.wait()

    async def _tick(self, rate: float) -> None:
        due = time.perf_counter()
        while True:
            if self._free:
                self._start(self._free.popleft(), due)
            else:
                self._overdue.append(due)
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))

    def _start(self, client: Client, due: float) -> None:
        """Send the request that was answered longest ago, when it is far enough apart."""
        index, ready = self._next.popleft()
        wait = ready - time.perf_counter()
        if wait <= 0:
            client.send(index, due)
            return
        self.held += self._measuring
        asyncio.get_running_loop().call_later(wait, client.send, index, due + wait)

    def answered(self, client: Client, index: int, due: float, response: bytes) -> None:
        """Note an answer, and let its connection go on."""
        now = time.perf_counter()
        self.waiting -= 1
        if self._over and not self.waiting:
            self._answered.set()
        self._next.append((index, now + self._apart))
        if self._measuring:
            if response.startswith(b"HTTP/1.1 200") and self._expect in response:
                self.seconds.append(now - due)
            else:
                self.failed[response[-SHOWN_BYTES:].decode(errors="replace")] += 1
        if self._over:
            return
        if self._closed_loop:
            self._start(client, now)
        elif self._overdue:
            self._start(client, self._overdue.popleft())
        else:
            self._free.append(client)

    def lost(self, error: Exception | None) -> None:
        """Count a lost connection."""
        if not self._over:
            self.failed[f"connection lost: {error!r}"] += 1


def main() -> None:
    """Run a plan."""
    plan = json.loads(sys.stdin.readline())
    found = json.dumps(uvloop.run(Load(plan).run())).encode() + b"\n"
    os.set_blocking(sys.stdout.fileno(), True)  # the pipe holds less than many times
    # Buffered, which writes the rest after a part; the standard output is not, with PYTHONUNBUFFERED.
    with open(sys.stdout.fileno(), "wb", closefd=False) as whole:
        whole.write(found)


if __name__ == "__main__":
    main()
