"""Connecting to a database of an existing server, whose address holds no password."""

from urllib.parse import quote, urlsplit

import psycopg

from deploy.database.roles import Connection

CONNECT_SECONDS = 10


def with_password(url: str, password: str) -> str:
    """Return the address with the password of its role; raises ValueError without a role."""
    parts = urlsplit(url)
    if not parts.username or parts.password:
        raise ValueError("the URL must name a role, and hold no password")
    _, _, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{parts.username}:{quote(password, safe='')}@{place}").geturl()


async def connect(url: str) -> Connection:
    """Open a connection that commits each statement; raises psycopg.Error."""
    return await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=CONNECT_SECONDS)
