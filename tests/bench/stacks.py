"""Our system and the usual one, running beside each other on the same servers."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from deploy.local.confinement import best_way
from deploy.local.nats import running_nats
from deploy.local.openbao import running_openbao
from deploy.local.ownership import require_own
from deploy.local.postgres import running_postgres
from deploy.local.processes import Processes
from deploy.local.services import Infrastructure, running_services, service_ports
from deploy.local.simulator import Simulator, running_simulator
from deploy.local.stack import Stack, alone
from deploy.private_files import write_private
from tests.bench.accounts import LARGE, Ours, credentials, names, write_accounts
from tests.bench.asking import UNSCHEDULED, asked
from tests.bench.rival.running import Rival, Shape, prepare_vault, running_rival
from tests.bench.usage import Groups
from tests.loading import UNLIMITED

# Limits of the gateway that would be measured in place of its speed.
WITHOUT_LIMITS = UNLIMITED | {
    "SUBMISSION_LIMIT_PER_MINUTE": "100000",
    "SUBMISSION_LIMIT_PER_DAY": "100000",
    "REGISTRATION_LIMIT_PER_MINUTE": "100000",
    "REGISTRATION_LIMIT_PER_DAY": "100000",
    "SYNC_CACHE_SECONDS": "0",
}
SERVICES = ("gateway", "sync-worker", "vault-broker")
RIVALS = ("rival-api", "rival-workers")
SERVERS = ("nats", "rival-redis", "postgres", "openbao", "exchange")
PATHS = ("account/balance", "asset/balances", "asset/asset-valuation", "account/config")
AT_ONCE = 16
CALL_SECONDS = 60
SETTLING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Bench:
    """Both running systems, with the accounts of each by the same names."""

    stack: Stack
    rival: Rival
    ours: Ours
    names: list[str]
    groups: Groups

    async def exchange_takes(self, seconds: float) -> None:
        """Let the exchange take so long for each answer about these accounts."""
        assert self.stack.parts.simulator is not None
        base = f"{self.stack.parts.simulator.admin}/faults/okx"
        places = [f"{name}/api/v5/{path}" for name in self.names for path in PATHS]
        limits = httpx.Limits(max_connections=AT_ONCE)
        # Thousands of requests wait for their turn.
        seconds_each = httpx.Timeout(CALL_SECONDS, pool=None)
        async with httpx.AsyncClient(
            base_url=base, timeout=seconds_each, trust_env=False, limits=limits
        ) as client:

            async def switch(place: str) -> None:
                if seconds:
                    answer = await client.put(place, json={"fault": "latency", "seconds": seconds})
                else:
                    answer = await client.delete(place)
                answer.raise_for_status()

            await asyncio.gather(*map(switch, places))

    @contextmanager
    def only(self, groups: Iterable[str]) -> Iterator[None]:
        """Stop all services but these for a while."""
        with self.groups.stopped([each for each in (*SERVICES, *RIVALS) if each not in set(groups)]):
            yield


@asynccontextmanager
async def running_bench(directory: Path, count: int, shape: Shape) -> AsyncIterator[Bench]:
    """Run both systems with so many accounts, whose data stays in the directory; raises PartFailed."""
    require_own(directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with alone(directory):
        processes = Processes(directory / "logs", best_way(directory))
        processes.way.let_pass(directory)
        processes.way.take_all_back(directory)
        wanted = names(count)
        await _keep_credentials(processes, directory, wanted)
        async with AsyncExitStack() as stack:
            parts = await _infrastructure(stack, processes, directory, count)
            ports = service_ports()
            await stack.enter_async_context(running_services(processes, parts, ports))
            rival = await stack.enter_async_context(running_rival(processes, parts, wanted, shape))
            running = Stack(processes, parts, ports)
            ours = Ours(running.api, directory / "accounts.json")
            stack.push_async_callback(ours.close)
            await ours.connect([LARGE, *wanted])
            await asked(parts.database, UNSCHEDULED)
            yield Bench(running, rival, ours, wanted, _groups(processes.logs))


async def _keep_credentials(processes: Processes, directory: Path, wanted: list[str]) -> None:
    """Keep the credentials for the rival, unless an earlier run did."""
    done = directory / "rival-credentials"
    kept = int(done.read_text()) if done.exists() else 0
    if kept < len(wanted):
        await prepare_vault(processes, directory, {name: credentials(name) for name in wanted[kept:]})
        write_private(done, str(len(wanted)).encode())


async def _infrastructure(
    stack: AsyncExitStack, processes: Processes, directory: Path, count: int
) -> Infrastructure:
    accounts = write_accounts(directory / "accounts.toml", count)
    nats = await stack.enter_async_context(running_nats(processes, directory))
    vault = await stack.enter_async_context(running_openbao(processes, directory))
    database = await stack.enter_async_context(running_postgres(processes, directory))
    simulator: Simulator = await stack.enter_async_context(
        running_simulator(processes, directory, ("--admin-port", "0", "--accounts", accounts))
    )
    return Infrastructure(directory, nats, vault, database, simulator)


def _groups(logs: Path) -> Groups:
    workers = sorted(path.stem for path in logs.glob("rival-worker-*.pid"))
    named = {name: [name] for name in (*SERVICES, *SERVERS, "rival-api")}
    return Groups(logs, named | {"rival-workers": workers})
