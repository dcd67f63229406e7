"""Starts the simulated exchange: `python -m deploy.simulator --directory DIR`."""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from deploy.local.certificates import make_authority
from deploy.simulator.accounts import Region, load_accounts
from deploy.simulator.app import HOSTS, LOOPBACK, listening
from deploy.simulator.exchange import Exchange
from deploy.simulator.limits import Limiter
from deploy.simulator.switches import Switches, administered

ACCOUNTS = Path(__file__).with_name("accounts.toml")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.simulator", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="for ca.pem, keys and address.json")
    parser.add_argument(
        "--port", type=int, default=0, help="of region global; eea and us have the next two; 0: free ones"
    )
    parser.add_argument("--accounts", type=Path, default=ACCOUNTS, help="a TOML file of accounts")
    parser.add_argument("--strict-limits", action="store_true", help="spread the rate limits: no bursts")
    parser.add_argument("--admin-port", type=int, help="plain HTTP to switch faults on; 0: a free one")
    return parser.parse_args()


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT; `address.json` is there while, and only while, the servers listen."""
    address = options.directory / "address.json"
    address.unlink(missing_ok=True)
    authority = make_authority(options.directory, "Simulated exchange CA")
    exchange = Exchange(load_accounts(options.accounts), Limiter(strict=options.strict_limits))
    ports = {region: options.port and options.port + index for index, region in enumerate(Region)}
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    switches = Switches(exchange)
    async with (
        listening(exchange, switches, authority.issue(HOSTS), ports) as bound,
        administered(switches, options.admin_port) as admin,
    ):
        announce(address, authority.certificate_path, bound, admin)
        await stopping.wait()
        address.unlink(missing_ok=True)


def announce(address: Path, ca: Path, ports: Mapping[Region, int], admin: str | None) -> None:
    """Write where the servers listen, at once and whole, and print it."""
    urls = {region.value: f"https://{LOOPBACK}:{port}" for region, port in ports.items()}
    where = {"url": urls["global"], "port": ports[Region.GLOBAL], "regions": urls, "ca": str(ca.resolve())}
    if admin is not None:
        where["admin"] = admin
    draft = address.with_name(address.name + ".new")
    draft.write_text(json.dumps(where, indent=2) + os.linesep)
    draft.replace(address)
    listed = ", ".join(f"{region} {url}" for region, url in urls.items())
    print(f"simulated exchange: {listed}; trust {where['ca']}", flush=True)


def main() -> None:
    """Run the simulator; a taken port or a mistake in the file of accounts is told in one line."""
    try:
        asyncio.run(serve(arguments()))
    except (OSError, msgspec.ValidationError) as error:
        sys.exit(f"the simulated exchange can not start: {error}")


if __name__ == "__main__":
    main()
