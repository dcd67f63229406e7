"""Whose the folder of a stack is: root writes, gives away and signals only where no other user leads it."""

import os
import pwd
from pathlib import Path
from stat import S_IWGRP, S_IWOTH

from deploy.local.confinement import DATABASE_USER, USERS
from deploy.local.veil import links_on_the_way


class NotRoots(Exception):
    """Another user can change what root would work on; the text says what to do."""


def require_own(directory: Path) -> None:
    """Raise NotRoots when root starts a stack in a folder that another user made, may change or leads to.

    In the folder lies what root made, and what belongs to the users of its programs. Of the folders above
    only the links are looked at: their owners own the code that root runs there, too.
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
