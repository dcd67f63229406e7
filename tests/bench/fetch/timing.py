"""Times a client of the exchange: CPU and memory of a process that only fetches balances.

Each module beside this one is such a process. It reads a plan (JSON) from its standard input and prints JSON.
"""

import json
import re
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROLLUP = re.compile(r"^(Rss|Pss):\s+(\d+) kB$", re.MULTILINE)
WARM = 20
ASSETS = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """The exchange, its authority, the number of fetches, and accounts: key, secret and passphrase."""

    url: str
    ca: str
    count: int
    accounts: Sequence[tuple[str, str, str]]


# Fetches and parses the trading wallet of an account and returns its number of assets.
Fetch = Callable[[str, str, str], Awaitable[int]]


def plan() -> Plan:
    """Read the plan."""
    return Plan(**json.loads(sys.stdin.readline()))


async def run(asked: Plan, fetch: Fetch) -> None:
    """Fetch one account after the other, and print the milliseconds of CPU and of time for each fetch."""
    cpu, began = 0.0, 0.0
    for number in range(WARM + asked.count):
        if number == WARM:
            cpu, began = time.process_time(), time.perf_counter()
        found = await fetch(*asked.accounts[number % len(asked.accounts)])
        if found != ASSETS:
            raise RuntimeError(f"{found} assets in place of {ASSETS}")
    cpu, took = time.process_time() - cpu, time.perf_counter() - began
    kept = {name: int(size) / 1024 for name, size in ROLLUP.findall(_rollup())}
    each = 1000 / asked.count
    print(json.dumps({"cpu": cpu * each, "took": took * each, "rss": kept["Rss"], "pss": kept["Pss"]}))


def _rollup() -> str:
    return Path("/proc/self/smaps_rollup").read_text()
