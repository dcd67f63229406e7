"""Start the local stack: `python -m deploy.local up` keeps its data, `... demo` syncs on temporary data.

`... subscriber add | list | revoke` manages the programs that receive account events, also while it runs.
`... operator add | list | revoke` manages the people who use the API on the operations port.
`... rotate KEY` replaces a key of the running stack; it says how it goes, and ends when the key is replaced.
`... monitor` runs a Prometheus with the alerts of the cluster beside it.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

import httpx
import psycopg

from contracts.wire.subscribers import Subscriber
from deploy.database.operators import OperatorFailed, act, operator_arguments
from deploy.local import kernel, monitoring, subscribing
from deploy.local.control import command, controlled
from deploy.local.demo import demonstrate
from deploy.local.nats import Nats
from deploy.local.ownership import NotRoots, require_own
from deploy.local.past import invent_year
from deploy.local.ports import InTheClear, PortTaken, require_free, require_loopback
from deploy.local.postgres import OWNER, Postgres
from deploy.local.processes import PartFailed
from deploy.local.services import MODULES
from deploy.local.stack import DirectoryInUse, Progress, Stack, running_stack
from deploy.rotation.catalogue import ROTATIONS, explained
from deploy.rotation.surroundings import RotationFailed

INTERRUPTED = 130
# The demonstration requests prices this often, and waits so long for the first ones, in seconds.
DEMO_PRICE_SECONDS, PRICES_WITHIN = "2", 15.0
REFUSALS = (PartFailed, PortTaken, InTheClear, DirectoryInUse, NotRoots)
Command = Callable[[argparse.Namespace], Coroutine[Any, Any, int | None]]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="run the stack on data that is kept")
    up.add_argument("--port", type=int, default=3000, help="of the API")
    up.add_argument("--directory", type=Path, default=Path(".butler"), help="for data, keys and logs")
    up.add_argument("--simulated", action="store_true", help="use simulated exchanges, not the real ones")
    demo = commands.add_parser("demo", help="run the stack on data that is thrown away, and show a sync")
    demo.add_argument(
        "--once", action="store_true", help="end after the sync; exit 0 only if it was completed"
    )
    demo.add_argument("--history", action="store_true", help="invent a year of daily closes, and show it")
    _subscriber_arguments(commands.add_parser("subscriber", help="programs that hear account events"))
    operator = commands.add_parser("operator", help="people who use the API on the operations port")
    for action in operator_arguments(operator):
        action.add_argument(
            "--directory", type=Path, default=Path(".butler"), help="of the stack, which runs"
        )
    rotate = commands.add_parser(
        "rotate",
        help="replace a key of the stack, which runs",
        epilog=explained(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    rotate.add_argument("key", choices=ROTATIONS, help="repeat the same command after an interruption")
    rotate.add_argument("--directory", type=Path, default=Path(".butler"), help="of the stack")
    monitor = commands.add_parser("monitor", help="run a Prometheus that watches the stack")
    monitor.add_argument("--directory", type=Path, default=Path(".butler"), help="of the stack")
    monitor.add_argument("--program", default="prometheus", help="a Prometheus, by name or path")
    monitor.add_argument("--port", type=int, default=9090, help="of its page")
    return parser.parse_args()


def _subscriber_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="make a key that hears one user, or all")
    heard = add.add_mutually_exclusive_group(required=True)
    heard.add_argument("--user", type=UUID, help="the id of the user, from GET /api/v1/me")
    heard.add_argument("--all", action="store_true", help="all users: for operators")
    add.add_argument(
        "--portfolio",
        action="store_true",
        help="hear changes of holdings, with amounts, not syncs and pauses",
    )
    add.add_argument(
        "--name",
        default="",
        help="a-z, 0-9 and -; by default the user's id, or `all`; `subscriber-` is put before it",
    )
    revoke = actions.add_parser("revoke", help="cut off a subscriber, and delete its key and its consumer")
    revoke.add_argument("name", help="as `list` shows it, or as --name gave it")
    for action in (add, revoke, actions.add_parser("list", help="show all subscribers")):
        action.add_argument("--directory", type=Path, default=Path(".butler"), help="of the stack")


async def up(options: argparse.Namespace) -> None:
    """Run the stack until a signal."""
    require_free(options.port)
    require_own(options.directory)
    directory = options.directory.resolve()
    async with running_stack(directory, Progress(), port=options.port, simulated=options.simulated) as stack:
        show_addresses(stack)
        async with controlled(stack, print_line):
            await go_on(stack)


async def rotate(options: argparse.Namespace) -> None:
    """Have the running stack rotate a key; raises RotationFailed, NotRoots."""
    require_own(options.directory)
    await command(options.directory.resolve(), options.key)


def print_line(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


async def demo(options: argparse.Namespace) -> int:
    """Run the stack in a temporary directory, sync a simulated account, then run until a signal."""
    os.environ.setdefault("PRICE_SECONDS", DEMO_PRICE_SECONDS)
    with tempfile.TemporaryDirectory(prefix="butler-demo-") as directory:
        async with running_stack(Path(directory), Progress(), simulated=True) as stack:
            invent = partial(_invent, stack) if options.history else None
            completed = await demonstrate(stack.api, PRICES_WITHIN, invent)
            show_addresses(stack)
            if not options.once:
                await go_on(stack)
    return 0 if completed else 1


async def _invent(stack: Stack, prices: Mapping[str, Decimal]) -> None:
    async with await stack.parts.database.connect(OWNER) as connection:
        await invent_year(connection, prices)


async def subscriber(options: argparse.Namespace) -> None:
    """Add, show or revoke subscribers; raises SubscriberFailed, NotRoots."""
    require_own(options.directory)
    directory = options.directory.resolve()
    if options.action == "add":
        added = subscribing.add(directory, options.user, options.name, portfolio=options.portfolio)
        await subscribing.take_effect(directory)
        show_subscriber(directory, added)
    elif options.action == "revoke":
        subscribing.revoke(directory, options.name)
        await subscribing.take_effect(directory)
        print(f"{subscribing.full(options.name)} is revoked")
    else:
        for each in subscribing.listed(directory):
            amounts = "  portfolio, with amounts" if each.portfolio else ""
            print(f"{each.name}  {each.user_id or 'all users'}{amounts}")


async def operator(options: argparse.Namespace) -> None:
    """Add, show or revoke operators, as the owner of the database; raises OperatorFailed, NotRoots."""
    require_own(options.directory)
    directory = options.directory.resolve()
    try:
        database = Postgres.of(directory)
        async with await database.connect(OWNER) as connection:
            await act(connection, options)
    except (OSError, ValueError, psycopg.OperationalError):
        raise OperatorFailed(f"no database answers for {directory}: start the stack first") from None


def show_subscriber(directory: Path, added: Subscriber) -> None:
    """Print the connection settings of a subscriber."""
    bus = Nats.of(directory)
    print(f"Subscriber    {added.name}, hears {added.user_id or 'all users'}")
    print(f"NATS          {bus.url}, nkey in {bus.seed_file(added.name)}")
    print(f"TLS           trust {bus.ca}, certificate in {bus.certificate(added.name)}")
    print(f"Live          {added.events}")
    print(f"Missed        consumer {added.name} of the stream {added.consumer.stream}")


def monitor(options: argparse.Namespace) -> int:
    """Become a Prometheus that watches the stack; return 1 if it cannot run."""
    try:
        require_free(options.port)
        require_own(options.directory)
        monitoring.monitor(options.directory.resolve(), options.program, options.port)
    except (monitoring.NotMonitored, *REFUSALS, OSError) as error:
        print(f"Not done: {error}", file=sys.stderr)
    return 1


async def go_on(stack: Stack) -> NoReturn:
    """Watch the stack until a program ends; raises PartFailed."""
    print("\nCtrl-C stops everything.", flush=True)
    await stack.processes.failure()


def show_addresses(stack: Stack) -> None:
    """Print the addresses of the stack."""
    parts = stack.parts
    print(f"\nAPI           {stack.api}/api/v1, described by {stack.api}/openapi.json")
    print(f"Swagger UI    {stack.api}/swagger-ui")
    seeds = [parts.nats.seed_file(each.name) for each in parts.nats.registry.subscribers()]
    shown = next((f", nkey of a subscriber in {seed}" for seed in seeds if seed.exists()), "")
    print(f"NATS          {parts.nats.url}{shown}")
    admin = f"{stack.operations('gateway')}/api/v1/admin"
    print(f"Operators     {admin}, tokens by `python -m deploy.local operator add`")
    print(f"Health        {', '.join(f'{name} {stack.operations(name)}/readyz' for name in MODULES)}")
    if parts.simulator is not None:
        for exchange, origins in parts.simulator.exchanges.items():
            print(f"Exchange      {exchange}: {', '.join(f'{name} {url}' for name, url in origins.items())}")
        accounts = "deploy/simulator/<exchange>/accounts.toml"
        print(f"              simulated; trust {parts.simulator.ca}, accounts in {accounts}")


async def until_signal(options: argparse.Namespace) -> int:
    """Run the command; the first SIGINT or SIGTERM stops the stack in order, the second one at once."""
    commands: dict[str, Command] = {
        "up": up,
        "demo": demo,
        "subscriber": subscriber,
        "operator": operator,
        "rotate": rotate,
    }
    running = asyncio.ensure_future(commands[options.command](options))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        return await running or 0
    except asyncio.CancelledError:
        return INTERRUPTED if getattr(options, "once", False) else 0


def main() -> int:
    """Run a command; an expected failure is printed and returns exit code 1."""
    options = arguments()
    if options.command == "monitor":
        return monitor(options)
    # `make` may be killed without forwarding the signal.
    kernel.tie_to(os.getppid(), signal.SIGTERM)
    try:
        require_loopback(os.environ)
        return asyncio.run(until_signal(options))
    except (subscribing.SubscriberFailed, OperatorFailed, RotationFailed) as error:
        print(f"Not done: {error}", file=sys.stderr)
        return 1
    except (*REFUSALS, httpx.HTTPError, psycopg.Error, OSError) as error:
        print(f"\nThe stack has stopped: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
