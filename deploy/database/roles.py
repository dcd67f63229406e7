"""Passwords of the roles of the database."""

from datetime import UTC, datetime

import psycopg
from psycopg import sql

# Before the time in the comment of a role; the gateway reads it.
NOTED = "password made "

Connection = psycopg.AsyncConnection[tuple[object, ...]]


async def set_password(connection: Connection, role: str, secret: bytes) -> None:
    """Set a role's password, and let it log in; raises psycopg.Error."""
    await change_password(connection, role, secret)
    await connection.execute(sql.SQL("alter role {} login").format(sql.Identifier(role)))


async def change_password(connection: Connection, role: str, secret: bytes) -> None:
    """Set a role's password, which it may do itself; only the scram verifier is sent to the server."""
    verifier = connection.pgconn.encrypt_password(secret, role.encode(), b"scram-sha-256").decode()
    statement = sql.SQL("alter role {} password {}")
    await connection.execute(statement.format(sql.Identifier(role), sql.Literal(verifier)))


async def note_password(connection: Connection, role: str, made: datetime) -> None:
    """Note when a role's password was made, where gateways read it; an administrator of the role may."""
    text = f"{NOTED}{made.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    statement = sql.SQL("comment on role {} is {}")
    await connection.execute(statement.format(sql.Identifier(role), sql.Literal(text)))
