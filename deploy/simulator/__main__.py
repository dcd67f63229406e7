"""Starts the simulated exchanges: `python -m deploy.simulator --directory DIR`."""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from deploy.local.certificates import Identity, make_authority
from deploy.local.ports import LOOPBACK
from deploy.simulator import simulated
from deploy.simulator.app import HOSTS, listening
from deploy.simulator.limits import Addresses, Limit, parse_limit
from deploy.simulator.switches import Switches, administered
from deploy.simulator.types import Origin


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.simulator", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="for ca.pem, keys and address.json")
    parser.add_argument(
        "--port", type=int, default=0, help="of the first origin; the others have the next ones; 0: free ones"
    )
    parser.add_argument(
        "--accounts",
        type=Path,
        action="append",
        default=[],
        help="a TOML file with the accounts of the exchange that it names, in place of the exchange's own",
    )
    parser.add_argument("--strict-limits", action="store_true", help="spread the rate limits: no bursts")
    parser.add_argument(
        "--address-limit", type=parse_limit, metavar="CALLS/SECONDS", help="of all calls of a client address"
    )
    parser.add_argument("--address-ban", type=float, default=0.0, metavar="SECONDS", help="above that limit")
    parser.add_argument("--address-spread", action="store_true", help="that limit allows no bursts")
    parser.add_argument("--listen", default=LOOPBACK, metavar="HOST", help="address of the origins")
    parser.add_argument("--certificate", type=Path, help="of the origins, in place of one made in DIR")
    parser.add_argument("--key", type=Path, help="of that certificate")
    parser.add_argument("--admin-port", type=int, help="plain HTTP to switch faults on; 0: a free one")
    options = parser.parse_args()
    if bool(options.certificate) != bool(options.key):
        parser.error("--certificate and --key are given together")
    return options


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT; `address.json` exists only while the servers listen."""
    options.directory.mkdir(parents=True, exist_ok=True)
    address = options.directory / "address.json"
    address.unlink(missing_ok=True)
    exchanges = simulated(options.accounts, strict=options.strict_limits)
    identity, authority = identified(options)
    origins = [
        Origin(exchange.key, region, host)
        for exchange in exchanges
        for region in exchange.regions
        for host in exchange.hosts
    ]
    ports = {origin: options.port and options.port + index for index, origin in enumerate(origins)}
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    switches = Switches(exchanges, limited(options))
    async with (
        listening(switches, identity, ports, options.listen) as bound,
        administered(switches, options.admin_port) as admin,
    ):
        announce(address, authority, bound, admin)
        await stopping.wait()
        address.unlink(missing_ok=True)


def limited(options: argparse.Namespace) -> Addresses | None:
    """Return the limit of client addresses, if one was requested."""
    limit: Limit | None = options.address_limit
    if limit is None:
        return None
    return Addresses(limit, options.address_ban, strict=options.address_spread)


def identified(options: argparse.Namespace) -> tuple[Identity, Path]:
    """Return the identity of the origins, and the certificate that clients trust."""
    if options.certificate and options.key:
        return Identity(options.certificate, options.key), options.certificate
    authority = make_authority(options.directory, "Simulated exchange CA")
    return authority.issue(HOSTS), authority.certificate_path


def announce(address: Path, ca: Path, ports: Mapping[Origin, int], admin: str | None) -> None:
    """Write the servers' addresses atomically to `address.json`, and print them."""
    urls: dict[str, dict[str, str]] = {}
    for origin, port in ports.items():
        urls.setdefault(origin.exchange, {})[origin.name] = f"https://{LOOPBACK}:{port}"
    where = {"exchanges": urls, "ca": str(ca.resolve())} | ({"admin": admin} if admin is not None else {})
    draft = address.with_name(address.name + ".new")
    draft.write_text(json.dumps(where, indent=2) + os.linesep)
    draft.replace(address)
    listed = (f"{exchange} {name} {url}" for exchange, named in urls.items() for name, url in named.items())
    print(f"simulated exchange: {', '.join(listed)}; trust {where['ca']}", flush=True)


def main() -> None:
    """Run the simulator; a port in use or an invalid accounts file is reported in one line."""
    try:
        asyncio.run(serve(arguments()))
    except (OSError, msgspec.DecodeError) as error:
        sys.exit(f"the simulated exchanges can not start: {error}")


if __name__ == "__main__":
    main()
