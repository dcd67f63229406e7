"""Migrate a database of an existing server: `python -m deploy.database --url URL --password-file FILE`.

The role in the URL owns the database and may create roles (CREATEROLE). The first migration creates the
gateway's role; with --gateway-password-file the command sets its password. Repeating it changes nothing.
`... operator add | list | revoke` manages the operators of a migrated database instead.
"""

import argparse
import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psycopg

from deploy.database.connecting import connect, with_password
from deploy.database.migrations import migrating
from deploy.database.operators import OperatorFailed, act, operator_arguments
from deploy.database.roles import set_password

GATEWAY = "butler_gateway"
MIGRATION_SECONDS = 900


def arguments(line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line, by default that of the process."""
    parser = argparse.ArgumentParser(prog="python -m deploy.database", description=__doc__)
    parser.add_argument("--url", required=True, help="postgresql://OWNER@HOST:PORT/DATABASE?sslmode=...")
    parser.add_argument("--password-file", type=Path, required=True, help="file with the owner's password")
    parser.add_argument(
        "--gateway-password-file", type=Path, help="its first line is the password of the gateway"
    )
    commands = parser.add_subparsers(dest="command", help="without a command: migrate")
    operator_arguments(commands.add_parser("operator", help="people who use the API on the operations port"))
    return parser.parse_args(line)


def migrate(url: str) -> None:
    """Run the migrations that are due; raises subprocess.SubprocessError."""
    program = Path(sys.executable).with_name("dbmate")
    environment = {"PATH": os.environ.get("PATH", ""), "DATABASE_URL": url}
    subprocess.run(migrating(program), env=environment, check=True, timeout=MIGRATION_SECONDS)


async def admit_gateway(url: str, password: bytes) -> None:
    """Set the password of the gateway's role; raises psycopg.Error."""
    async with await connect(url) as connection:
        await set_password(connection, GATEWAY, password)


async def operate(url: str, options: argparse.Namespace) -> None:
    """Manage operators; raises psycopg.Error, OperatorFailed."""
    async with await connect(url) as connection:
        await act(connection, options)


def _first_line(file: Path) -> bytes:
    """Return the password with which the gateway was last seen; the next one may follow it."""
    return file.read_bytes().strip().partition(b"\n")[0].strip()


def main() -> None:
    """Run the command; a failure is reported in one line, without a password."""
    options = arguments()
    try:
        url = with_password(options.url, options.password_file.read_text().strip())
        if options.command == "operator":
            asyncio.run(operate(url, options))
            return
        migrate(url)
        if options.gateway_password_file:
            asyncio.run(admit_gateway(url, _first_line(options.gateway_password_file)))
    except subprocess.SubprocessError:
        sys.exit("the database is not migrated: dbmate failed")  # its command line has no password
    except OperatorFailed as error:
        sys.exit(f"not done: {error}")
    except (OSError, ValueError, psycopg.Error) as error:
        happened = "not done" if options.command else "the database is not migrated"
        sys.exit(f"{happened}: {type(error).__name__}: {str(error).partition(chr(10))[0]}")
    print("the database is migrated")


if __name__ == "__main__":
    main()
