"""The list of credentials that may never sign again, in a file that lies outside every backup.

A credential stands on it a second after the gateway doomed it, at the latest. A restore destroys all of them
again, because an earlier snapshot of the vault brings them back.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from deploy.database.roles import Connection
from deploy.private_files import kept

# A whole id: the end of a line that a crash has cut off is not one, and other words of a line do no harm.
ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
# Transactions commit in another order than they took their audit numbers.
OVERLAP = 10_000

# The first line identifies the list, so that no other file passes for one.
HEADER = "# Credentials that may never sign again. A restore destroys them."


class NotTheList(OSError):
    """A file is not a list of destroyed credentials, or not the one that was opened."""


def listed(file: Path) -> frozenset[UUID]:
    """Return the ids in a file; raises OSError if it is missing or another file."""
    text = file.read_text(errors="replace")
    if not text.startswith(HEADER):
        raise NotTheList(f"{file} is not the list: its first line must be {HEADER!r}")
    return frozenset(map(UUID, ID.findall(text)))


class Destroyed:
    """Appends ids of the database to the list; raises OSError when the file is missing or replaced."""

    def __init__(self, file: Path) -> None:
        self._file = file
        kept(file, f"{HEADER}\n".encode)
        self._known = set(listed(file))
        # It stays open, so that no other file gets its inode.
        self._open = os.open(file, os.O_WRONLY | os.O_APPEND)
        self._size = os.fstat(self._open).st_size
        self._up_to = 0

    def close(self) -> None:
        """Close the file."""
        os.close(self._open)

    async def note(self, connection: Connection) -> None:
        """Add the credentials that are doomed or destroyed since the last call; raises psycopg.Error."""
        found = await connection.execute(
            """select subject, id from audit where action = 'secret_destroyed' and id > %s
               union all select id, 0 from credentials where state = 'doomed'""",
            [self._up_to - OVERLAP],
        )
        rows = [(UUID(str(credential)), int(str(number))) for credential, number in await found.fetchall()]
        self._add(credential for credential, _ in rows)
        self._up_to = max([self._up_to, *(number for _, number in rows)])

    def _add(self, credentials: Iterable[UUID]) -> None:
        """Append ids to the file, and return when they are on the disk."""
        self._require_same()
        if not (new := sorted({*credentials} - self._known)):
            return
        # A line break goes first, because a crash may have cut off the last line.
        text = "".join(f"\n{each}" for each in new) + "\n"
        with os.fdopen(os.dup(self._open), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self._known.update(new)
        self._size = os.fstat(self._open).st_size

    def _require_same(self) -> None:
        found, opened = self._file.stat(), os.fstat(self._open)
        if not os.path.samestat(found, opened) or found.st_size < self._size:
            raise NotTheList(f"{self._file} is another file than before, or lost lines: put the list back")


async def destroyed_in(connection: Connection) -> frozenset[UUID]:
    """Return the credentials that a database itself knows as doomed or destroyed."""
    found = await connection.execute(
        """select subject from audit where action = 'secret_destroyed'
           union select id from credentials where state = 'doomed'"""
    )
    return frozenset(UUID(str(credential)) for (credential,) in await found.fetchall())
