"""CPU and memory of one signed fetch of a balance, by each client of the exchange in turn."""

import argparse
import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from typing import Any

from deploy.local.confinement import ROOT
from tests.bench.accounts import credentials
from tests.bench.report import Report, median_of, middle, ratio
from tests.bench.rival.running import python
from tests.bench.stacks import Bench

FIELDS = ("api_key", "api_secret", "passphrase")
MODULES = {
    "ours": "ours",
    "ccxt async": "with_ccxt",
    "python-okx": "with_python_okx",
    "aiohttp + msgspec": "floor",
}
# ccxt is fastest in the virtual environment that has orjson.
OTHERS = {"with_ccxt"}
# The exchange allows ten calls of an account in two seconds.
OF_AN_ACCOUNT = 8
MOST = 2000
COLUMNS = ("client", "CPU ms", "ms", "RSS MiB", "PSS MiB", "CPU", "PSS")


async def fetches(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """Measure each client."""
    found: dict[str, list[dict[str, Any]]] = {}
    with bench.only(()):
        for _ in range(options.repetitions):
            for client, module in MODULES.items():
                found.setdefault(client, []).append(await _measure(bench, module))
    first = found["ours"]
    rows = [
        (
            client,
            middle((each["cpu"] for each in measured), 3),
            middle((each["took"] for each in measured), 3),
            middle((each["rss"] for each in measured), 1),
            middle((each["pss"] for each in measured), 1),
            *(
                ratio(median_of(each[what] for each in first), median_of(each[what] for each in measured))
                for what in ("cpu", "pss")
            ),
        )
        for client, measured in found.items()
    ]
    report.table("One fetch", COLUMNS, rows)


async def _measure(bench: Bench, module: str) -> dict[str, Any]:
    simulator = bench.stack.parts.simulator
    assert simulator is not None
    accounts = [[credentials(name)[field] for field in FIELDS] for name in bench.names]
    plan = {
        "url": simulator.exchanges["okx"]["global"],
        "ca": simulator.ca,
        "count": min(MOST, OF_AN_ACCOUNT * len(accounts) - 20),
        "accounts": accounts,
    }
    interpreter = python() if module in OTHERS else sys.executable
    process = await asyncio.create_subprocess_exec(
        *(interpreter, "-W", "ignore", "-m", f"tests.bench.fetch.{module}"),
        stdin=PIPE,
        stdout=PIPE,
        cwd=ROOT,
    )
    told, _ = await process.communicate(json.dumps(plan).encode() + b"\n")
    measured: dict[str, Any] = json.loads(told)
    await asyncio.sleep(2)  # the exchange's window
    return measured
