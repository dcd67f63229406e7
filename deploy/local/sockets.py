"""The Unix sockets of the database: a folder for each of its clients, which no other program may enter."""

import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

from deploy.local.confinement import DATABASE, Way
from deploy.private_files import private_folder

STARTER = "starter"
CLIENTS = (STARTER, "gateway", "dbmate")
PORT = 5432
NAME = f".s.PGSQL.{PORT}"
# The kernel's limit for the path of a socket, without the final zero.
MAX_PATH = 107
# Client and server take a path with these for several.
NOT_IN_LISTS = {",", '"'}


class NotOurs(OSError):
    """The folder for the sockets of a deep directory belongs to another user."""


def socket_folders(way: Way, home: Path) -> Path:
    """Return the folder that has one for each client, with the database as its owner; raises OSError.

    Only the client's group may enter its folder. Where the path of a socket would be too long or look
    like a list, the folders are in the system's one for temporary files.
    """
    base = private_folder(sockets_of(home))
    require_ours(base, home)
    base.chmod(0o711)
    for client in CLIENTS:
        folder = private_folder(base / client)
        owner = way.user(DATABASE)
        if owner is not None:
            user = way.user(client) if client != STARTER else None
            os.chown(folder, owner[0], user[1] if user else os.getegid())
        folder.chmod(0o710)
    return base


def require_ours(base: Path, home: Path) -> None:
    """Raise OSError unless the folder exists and the starter made it."""
    found = base.lstat()
    if stat.S_ISLNK(found.st_mode) or found.st_uid != os.geteuid():
        raise NotOurs(f"{base} belongs to another user, and {home / 'sockets'} is too long for sockets")


def private_starter(base: Path) -> Path:
    """Return the starter's folder; the starter's group can not enter it any more, unless it is root's."""
    folder = base / STARTER
    if os.geteuid() != 0:
        folder.chmod(0o700)
    return folder


def remove_short(base: Path, home: Path) -> None:
    """Remove the folders if they are not in the database's folder."""
    if base.parent != home:
        shutil.rmtree(base, ignore_errors=True)


def sockets_of(home: Path) -> Path:
    """Return the path of the folder that has those of the clients of the database in `home`."""
    base = home / "sockets"
    longest = max(len(os.fsencode(base / client / NAME)) for client in CLIENTS)
    if longest <= MAX_PATH and not NOT_IN_LISTS & {*str(base)}:
        return base
    name = hashlib.sha256(os.fsencode(base.resolve())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"butler-{name}"
