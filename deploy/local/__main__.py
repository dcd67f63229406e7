"""Start the local stack: `python -m deploy.local up` keeps its data, `... demo` shows a sync and forgets."""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

import httpx
import psycopg

from deploy.local import tether
from deploy.local.demo import demonstrate
from deploy.local.ports import PortTaken, require_free
from deploy.local.processes import PartFailed
from deploy.local.services import MODULES
from deploy.local.stack import DirectoryInUse, Progress, Stack, running_stack

INTERRUPTED = 130


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="run the stack on data that is kept")
    up.add_argument("--port", type=int, default=3000, help="of the API")
    up.add_argument("--directory", type=Path, default=Path(".butler"), help="for data, keys and logs")
    up.add_argument("--simulated", action="store_true", help="use a simulated exchange, not the real ones")
    demo = commands.add_parser("demo", help="run the stack on data that is thrown away, and show a sync")
    demo.add_argument(
        "--once", action="store_true", help="end after the sync; exit 0 only if it was completed"
    )
    return parser.parse_args()


async def up(options: argparse.Namespace) -> None:
    """Run the stack until a signal."""
    require_free(options.port)
    directory = options.directory.resolve()
    async with running_stack(directory, Progress(), port=options.port, simulated=options.simulated) as stack:
        show_addresses(stack)
        await go_on(stack)


async def demo(options: argparse.Namespace) -> int:
    """Run the stack in a temporary directory and sync a simulated account; then go on until a signal."""
    with tempfile.TemporaryDirectory(prefix="butler-demo-") as directory:
        async with running_stack(Path(directory), Progress(), simulated=True) as stack:
            completed = await demonstrate(stack.api)
            show_addresses(stack)
            if not options.once:
                await go_on(stack)
    return 0 if completed else 1


async def go_on(stack: Stack) -> NoReturn:
    """Watch the stack until a part ends; raises PartFailed."""
    print("\nCtrl-C stops everything.", flush=True)
    await stack.processes.failure()


def show_addresses(stack: Stack) -> None:
    """Print where everything listens."""
    parts = stack.parts
    print(f"\nAPI           {stack.api}/api/v1, described by {stack.api}/openapi.json")
    print(f"Swagger UI    {stack.api}/swagger-ui")
    print(f"NATS          {parts.nats.url}, nkey of a subscriber in {parts.nats.seed_file('subscriber')}")
    print(f"Health        {', '.join(f'{name} {stack.operations(name)}/readyz' for name in MODULES)}")
    if parts.exchange is not None:
        print(f"Exchange      {', '.join(f'{name} {url}' for name, url in parts.exchange.regions.items())}")
        print(f"              simulated; trust {parts.exchange.ca}, accounts in deploy/local/accounts.toml")


async def until_signal(options: argparse.Namespace) -> int:
    """Run the command; the first SIGINT or SIGTERM takes the stack down in order, a second one at once."""
    command = asyncio.ensure_future(up(options) if options.command == "up" else demo(options))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, command.cancel)
    try:
        return await command or 0
    except asyncio.CancelledError:
        return INTERRUPTED if getattr(options, "once", False) else 0


def main() -> int:
    """Run a command; what stops it is told in words, and is exit code 1."""
    options = arguments()
    # `make` may be killed without a word to us.
    tether.tie_to(os.getppid(), signal.SIGTERM)
    try:
        return asyncio.run(until_signal(options))
    except (PartFailed, PortTaken, DirectoryInUse, httpx.HTTPError, psycopg.Error, OSError) as error:
        print(f"\nThe stack has stopped: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
