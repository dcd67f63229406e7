"""Checks of a stack's folder, so that another user can not redirect the file changes and signals of root."""

import os
import pwd
from pathlib import Path
from stat import S_IWGRP, S_IWOTH

from deploy.local.confinement import DATABASE_USER, USERS
from deploy.local.veil import links_on_the_way


class NotRoots(Exception):
    """Another user can change files that root would work on; the text says what to do."""


def require_own(directory: Path) -> None:
    """Raise NotRoots if root starts a stack in a folder that another user owns, may change or links to.

    The folder holds files of root and of the programs' users. In the folders above only links are checked,
    because the owners of these folders also own the code that root runs there.
    """
    if os.geteuid() != 0:
        return
    for link in links_on_the_way(directory):
        _require(link, directory, {0})
    if directory.exists():
        _require(directory, directory, {0})
        found = directory.stat()
        if found.st_mode & (S_IWOTH if found.st_gid == 0 else S_IWGRP | S_IWOTH):
            raise NotRoots(f"other users may write in {directory}: `chmod go-w` it, if all in it is root's")
        of_programs = {0, *USERS.values(), pwd.getpwnam(DATABASE_USER).pw_uid}
        for path in directory.iterdir():
            _require(path, directory, of_programs)


def _require(path: Path, directory: Path, users: set[int]) -> None:
    owner = path.lstat().st_uid
    if owner not in users:
        raise NotRoots(
            f"{path} belongs to {_name(owner)}, who could have root change files elsewhere: start the stack "
            f"as that user, or choose another folder than {directory} with --directory"
        )


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
