"""Giving a user access to files in folders that it can not enter, at the same paths, by private mounts.

An empty folder with only the needed files is mounted over the outermost folder that the user can not enter.
The modes of folders stay unchanged.
"""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local import kernel

MAX_LINKS = 40


@dataclass(frozen=True, slots=True)
class Veil:
    """A folder that a user can not enter, the paths below it to show, and the symbolic links on the way."""

    folder: Path
    shown: set[Path] = field(default_factory=set)
    links: dict[Path, str] = field(default_factory=dict)


def needed_veils(paths: Iterable[Path], user: int, group: int) -> list[Veil]:
    """Return veils for the folders on these paths that a user without other groups can not enter."""
    veils: dict[Path, Veil] = {}
    for path in paths:
        real, links = _walked(path)
        for place in (real, *links):
            folder = _closed_folder(place, user, group)
            if folder is not None:
                veil = veils.setdefault(folder, Veil(folder))
                if place in links:
                    veil.links[place] = links[place]
                else:
                    veil.shown.add(real)
    return list(veils.values())


def draw(veils: Iterable[Veil]) -> None:
    """Mount the veils, for this process and its children only; raises OSError."""
    opened = [
        (veil, {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in _outermost(veil.shown)})
        for veil in veils
    ]
    for veil, sources in opened:
        kernel.mount_empty(veil.folder)
        for path, source in sources.items():
            _show(source, path)
        for link, target in veil.links.items():
            link.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(target)
    os.chdir("/")


def show_as_own(paths: Iterable[Path], user: int, group: int) -> None:
    """Show files that only root may read as the user's own, read-only; raises OSError.

    Call it after `draw`. It affects only the mounts of this process and its children, not the files.
    """
    real = {_walked(path)[0] for path in paths if path.exists()}
    mapping = kernel.mapping_of_root(user, group)
    for path in _outermost({path for path in real if path.stat().st_uid == 0}):
        kernel.mount_mapped(path, mapping)
    os.close(mapping)


def _show(source: int, path: Path) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if stat.S_ISDIR(os.fstat(source).st_mode):
        path.mkdir(mode=0o755)
    else:
        path.touch(mode=0o644)
    kernel.bind(source, path)
    os.close(source)


def _outermost(paths: set[Path]) -> list[Path]:
    """Return the paths without those inside another one."""
    return sorted(path for path in paths if not paths.intersection(path.parents))


def _closed_folder(path: Path, user: int, group: int) -> Path | None:
    """Return the outermost folder above a path that a user can not enter."""
    above = reversed(path.parents)
    return next((folder for folder in above if not _may_enter(folder.stat(), user, group)), None)


def _may_enter(folder: os.stat_result, user: int, group: int) -> bool:
    if folder.st_uid == user:
        return bool(folder.st_mode & stat.S_IXUSR)
    return bool(folder.st_mode & (stat.S_IXGRP if folder.st_gid == group else stat.S_IXOTH))


def links_on_the_way(path: Path) -> list[Path]:
    """Return the symbolic links on a path; raises OSError for a loop of links."""
    return list(_walked(path)[1])


def _walked(path: Path) -> tuple[Path, dict[Path, str]]:
    """Return the target of a path and the symbolic links on the way; raises OSError for a loop of links."""
    links: dict[Path, str] = {}
    at, ahead = Path("/"), list(path.absolute().parts[1:])
    while ahead:
        at, part = (at.parent, None) if ahead[0] == ".." else (at, at / ahead[0])
        ahead.pop(0)
        if part is not None and part.is_symlink():
            target = part.readlink()
            links[part] = str(target)
            if len(links) > MAX_LINKS:
                raise OSError(f"too many symbolic links on the way to {path}")
            at = Path("/") if target.is_absolute() else at
            ahead = [*(each for each in target.parts if each != "/"), *ahead]
        elif part is not None:
            at = part
    return at, links
