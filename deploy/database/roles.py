"""Passwords of the roles of the database."""

import psycopg
from psycopg import sql

Connection = psycopg.AsyncConnection[tuple[object, ...]]


async def set_password(connection: Connection, role: str, secret: bytes) -> None:
    """Set a role's password, and let it log in; only the scram verifier is sent to the server."""
    verifier = connection.pgconn.encrypt_password(secret, role.encode(), b"scram-sha-256").decode()
    statement = sql.SQL("alter role {} login password {}")
    await connection.execute(statement.format(sql.Identifier(role), sql.Literal(verifier)))
