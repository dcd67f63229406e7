"""Isolating the programs of the stack: the user each one runs as, and the files it can access."""

import os
import pwd
import resource
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.local import kernel
from deploy.local.veil import draw, needed_veils, show_as_own
from deploy.private_files import write_private

# These uids need no user entries. Neither Debian nor systemd assigns them.
USERS = {
    "gateway": 61000,
    "sync-worker": 61001,
    "vault-broker": 61002,
    "nats": 61003,
    "openbao": 61004,
    "exchange": 61005,
    "dbmate": 61006,
}
# PostgreSQL's data have belonged to this user since the first version.
DATABASE, DATABASE_USER = "postgres", "nobody"
ROOT = Path(__file__).parents[2]
CODE = (ROOT / "contracts", ROOT / "services")
SYSTEM = (
    *("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc", "/nix/store", "/gnu/store"),
    *("/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager"),
    # Data of other processes in /proc stay unreadable, because Landlock denies tracing outside its domain.
    *("/proc", "/sys/devices/system/cpu", "/sys/fs/cgroup", "/sys/kernel/mm"),
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
CAT = "/bin/cat"
PROBE = "import sys; open(sys.argv[1], 'rb').read(); sys.stdin.read()"
IMPORTS = "import gateway, sync_worker, vault_broker, chassis, contracts, granian"
PROBE_SECONDS = 30

Identity = tuple[int, int]


class OutOfReach(OSError):
    """A program can not access its files as the user it must run as."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The access of a program: a role, which determines its user, and paths to read and run, change, or list.

    With Landlock, a listed folder shows all names in it.
    """

    role: str
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    listed: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Way:
    """The isolation of programs: by users, with mounts for files those can not access, and by Landlock.

    `landlock` is its version, 0 for none. `mapped` mounts also let a user read files that only root may read,
    as after a umask of 077.
    """

    users: bool
    mounts: bool
    landlock: int
    mapped: bool = False

    def user(self, role: str) -> Identity | None:
        """Return user and group of a role, None if it runs as the starter's user."""
        if os.geteuid() == 0 and role == DATABASE:  # PostgreSQL refuses to run as root
            found = pwd.getpwnam(DATABASE_USER)
            return found.pw_uid, found.pw_gid
        return (USERS[role], USERS[role]) if self.users else None

    def words(self) -> str:
        """Describe the isolation to the operator."""
        landlock = f"Landlock (version {self.landlock}) limits each service to its own files"
        if self.users:
            users = f"each service runs as a user of its own (uids {min(USERS.values())} and following)"
            return f"{users}, and {landlock}" if self.landlock else users
        if self.landlock:
            return f"{landlock}; all run as one user"
        return "WARNING: neither users nor Landlock keep the services apart here: each can read every key"

    def hand_over(self, path: Path, role: str) -> Path:
        """If root starts the stack, make a role the owner of a file, or of a folder with its content.

        A symbolic link of the starter is followed, another user's is not.
        """
        if os.geteuid() == 0:
            owner = self.user(role) or (os.geteuid(), os.getegid())
            place = path.resolve() if path.lstat().st_uid == os.geteuid() else path
            if owner[0] == os.geteuid():  # without CAP_DAC_OVERRIDE root can enter only its own folders
                _chown(str(place), None, owner)
            for name, folder in _below(place):
                _chown(name, folder, owner)
            _chown(str(place), None, owner)
        return path

    def take_back(self, path: Path) -> None:
        """Make root the owner of a file again, or of a folder without its content."""
        if os.geteuid() == 0:
            with suppress(FileNotFoundError):
                _chown(str(path), None, (os.geteuid(), os.getegid()))

    def take_all_back(self, directory: Path) -> None:
        """If programs run as root, make root the owner of files that an earlier start gave to their users.

        Without CAP_DAC_OVERRIDE, root could not access them otherwise.
        """
        if os.geteuid() == 0 and not self.users:
            for name, folder in _below(directory):
                if os.stat(name, dir_fd=folder, follow_symlinks=False).st_uid in USERS.values():
                    _chown(name, folder, (os.geteuid(), os.getegid()))

    def let_pass(self, directory: Path) -> None:
        """Without mounts, let other users enter, but not list, a folder of the stack."""
        if os.geteuid() == 0 and not self.mounts:
            directory.chmod(0o711)

    def confining(self, reach: Reach) -> Callable[[], None]:
        """Return the function that a child calls between fork and exec to drop rights its role does not need.

        Raises OutOfReach if its user can not access a path and private mounts are not possible.
        """
        user = self.user(reach.role)
        paths = (*reach.readable, *reach.writable)
        veils = needed_veils(paths, *user) if user else []
        mapped = self.mapped and user is not None
        if veils and not self.mounts:
            raise OutOfReach(
                f"{reach.role} can not enter {veils[0].folder} as user {(user or (0,))[0]}, and nothing can "
                "be mounted here (CAP_SYS_ADMIN is missing): move the clone and the data to folders that "
                "others may enter, or start as another user than root"
            )

        def confine() -> None:
            if veils or mapped:
                kernel.unshare_mounts()
                draw(veils)
            if mapped and user:
                show_as_own(reach.readable, *user)
            _give_up_rights(user)
            if self.landlock:
                readable, writable = [*_system(user), *reach.readable], [*map(Path, DEVICES), *reach.writable]
                kernel.landlock(self.landlock, readable, writable, reach.listed)

        return confine


def python() -> tuple[Path, ...]:
    """Return the paths that an interpreter reads to run our code."""
    packages = (Path(each) for each in sys.path if each.endswith(("site-packages", "dist-packages")))
    own = (sys.executable, sys.prefix, sys.base_prefix, sys.base_exec_prefix, sysconfig.get_path("stdlib"))
    return tuple(dict.fromkeys((*map(Path, own), *packages, *CODE)))


@cache
def best_way(directory: Path | None = None) -> Way:
    """Return the strongest isolation that works here for this interpreter, code and data folder."""
    neither = Way(users=False, mounts=False, landlock=0)
    return next((way for way in _ways() if _works(way, directory)), neither)


def _ways() -> Iterator[Way]:
    """Return the isolations that this kernel may support, the strongest first."""
    landlock = kernel.landlock_version() if kernel.LINUX else 0
    versions = dict.fromkeys((landlock, 0))
    by_root = kernel.LINUX and os.geteuid() == 0
    if by_root:
        for mounts, mapped in ((True, False), (True, True), (False, False)):
            yield from (Way(users=True, mounts=mounts, landlock=each, mapped=mapped) for each in versions)
    mounts_of_database = (True, False) if by_root else (False,)  # it has a separate user in any case
    for version in versions:
        yield from (Way(users=False, mounts=each, landlock=version) for each in mounts_of_database)


def _works(way: Way, directory: Path | None) -> bool:
    """Test an isolation: programs must read their files in a new folder that only the starter may access."""
    with TemporaryDirectory(prefix="probe-", dir=directory) as name:
        place, mode = Path(name), directory.stat().st_mode if directory else 0
        for folder in (directory, place):
            if folder is not None:
                way.let_pass(folder)
        if _all_run(way, place):
            return True
        if directory is not None:
            directory.chmod(stat.S_IMODE(mode))
        return False


def _all_run(way: Way, place: Path) -> bool:
    """Return whether the database's user and an interpreter read their files; the faster test runs first."""
    import_all = (sys.executable, "-c", f"{IMPORTS}; {PROBE}")
    if os.geteuid() == 0 and not _runs(way, Reach(DATABASE), place, (CAT,)):
        return False
    return _runs(way, Reach("gateway", python()), place, import_all)


def _runs(way: Way, reach: Reach, place: Path, command: Sequence[str]) -> bool:
    """Return whether a program can read its file, and the starter can write another and send a signal."""
    folder = place / reach.role
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        file = write_private(folder / "file", b"", way.user(reach.role))
        way.hand_over(folder, reach.role)
        if reach.role != DATABASE:  # the starter does not enter its folder
            write_private(folder / "other", b"")
        own = replace(reach, readable=(*reach.readable, folder))
        return _ended_well(way, own, [*command, str(file), "-"])
    except (OSError, subprocess.SubprocessError):
        return False
    finally:
        with suppress(OSError):
            way.take_back(folder)


def _ended_well(way: Way, reach: Reach, command: Sequence[str]) -> bool:
    """Run a program until its input ends; returns whether it succeeded; raises OSError, SubprocessError."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=way.confining(reach),  # noqa: PLW1509 - as the stack does it
    ) as tried:
        if way.users:
            tried.send_signal(0)  # fails without CAP_KILL, which is needed to stop services
        try:
            tried.communicate(timeout=PROBE_SECONDS)
        finally:
            tried.kill()
    return tried.returncode == 0


def _system(user: Identity | None) -> list[Path]:
    """Return the system files that programs may read; programs run as root read only world-readable ones."""
    paths = [Path(path) for path in SYSTEM]
    if os.geteuid() == 0 and user is None:
        etc = Path("/etc")
        open_to_all = [path for path in etc.iterdir() if path.exists() and path.stat().st_mode & stat.S_IROTH]
        paths = [*(path for path in paths if path != etc), *open_to_all]
    return paths


def _give_up_rights(user: Identity | None) -> None:
    """Change to the user, if given, and drop capabilities, groups, core dumps and new privileges by exec."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if kernel.LINUX:
        kernel.drop_bounding_set()
    if user is not None:
        os.setgroups([])
        os.setresgid(user[1], user[1], user[1])
        os.setresuid(user[0], user[0], user[0])
    if kernel.LINUX:
        kernel.drop_capabilities()
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)


def _below(path: Path) -> Iterator[tuple[str, int]]:
    """Yield each name below a folder, with the opened folder that contains it; links are not followed.

    Folders that root can not enter without CAP_DAC_OVERRIDE are left out.
    """
    if path.is_symlink() or not path.is_dir() or not os.access(path, os.R_OK | os.X_OK):
        return
    for _, folders, files, opened in os.fwalk(path):
        yield from ((name, opened) for name in (*folders, *files))


def _chown(name: str, folder: int | None, owner: Identity) -> None:
    """Change the owner of a file, but not of a hard link, because its other name may be outside."""
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    second_name = found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode)
    if (found.st_uid, found.st_gid) != owner and not second_name:
        os.chown(name, *owner, dir_fd=folder, follow_symlinks=False)
