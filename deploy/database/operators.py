"""Adding, showing and revoking operators, as the owner of the database: the gateway's role may not."""

import argparse
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row
from uuid_utils.compat import uuid7

from contracts.operators import NAME, Role, new_token
from contracts.values import Secret
from deploy.database.roles import Connection


class OperatorFailed(Exception):
    """An operator can not be added or revoked; the text says why."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An operator as `list` shows them; nothing of it opens anything."""

    name: str
    role: str
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None

    def __str__(self) -> str:
        state = f"revoked {_minute(self.revoked_at)}" if self.revoked_at else self.role
        used = _minute(self.last_used_at) if self.last_used_at else "never"
        return f"{self.name}  {state}  added {_minute(self.created_at)}  last used {used}"


def operator_arguments(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """Describe the command line, and return the parsers of its actions: add, revoke and list."""
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="make an operator, and show the token once")
    add.add_argument("--name", required=True, help="a-z, 0-9, - and .; the audit of acts names it")
    add.add_argument(
        "--role",
        type=Role,
        choices=[*Role],
        default=Role.VIEWER,
        help="viewer sees (default), operator also acts",
    )
    revoke = actions.add_parser("revoke", help="refuse the token of an operator from now on")
    revoke.add_argument("name", help="as `list` shows it")
    return [add, revoke, actions.add_parser("list", help="show all operators, revoked ones too")]


async def act(connection: Connection, options: argparse.Namespace) -> None:
    """Add, revoke or list operators, and print the result; raises OperatorFailed."""
    if options.action == "add":
        token = await add(connection, options.name, options.role)
        print(f"{options.name} is {options.role}. This token is shown once, and stored nowhere:")
        print(token.reveal())
    elif options.action == "revoke":
        await revoke(connection, options.name)
        print(f"{options.name} is revoked")
    else:
        for each in await listed(connection):
            print(each)


async def add(connection: Connection, name: str, role: Role) -> Secret:
    """Add an operator and return the token, which is stored nowhere; raises OperatorFailed."""
    if not NAME.fullmatch(name):
        raise OperatorFailed(f"{name!r} is not valid: a name has a-z, 0-9, - and ., 63 characters at most")
    token = new_token(uuid7())
    try:
        await connection.execute(
            "insert into operators (id, name, role, token_hash) values (%s, %s, %s, %s)",
            [token.operator_id, name, role, token.hash],
        )
    except psycopg.errors.UniqueViolation:
        raise OperatorFailed(
            f"{name} exists, or existed: choose another name, so that acts stay apart"
        ) from None
    return token.written()


async def revoke(connection: Connection, name: str) -> None:
    """Revoke an operator, whose token is refused from then on; raises OperatorFailed."""
    revoked = await connection.execute(
        "update operators set revoked_at = now() where name = %s and revoked_at is null", [name]
    )
    if not revoked.rowcount:
        raise OperatorFailed(f"the operator {name} does not exist or is revoked: `list` shows all operators")


async def listed(connection: Connection) -> list[Listed]:
    """Return all operators, revoked ones too."""
    async with connection.cursor(row_factory=class_row(Listed)) as cursor:
        await cursor.execute(
            "select name, role, created_at, revoked_at, last_used_at from operators order by name"
        )
        return await cursor.fetchall()


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
