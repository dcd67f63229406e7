"""A program reaches what it is shown, in folders that stay closed, and owns only what was handed over."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.local import confinement
from deploy.local.confinement import USERS, Reach, Way, best_way
from deploy.local.processes import PartFailed, Processes, Program

SECONDS = 20.0
USER = USERS["exchange"]
CAT = Path("/bin/cat")
by_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a program another user")
USERS_ALONE = Way(users=True, mounts=True, landlock=0)


def said(processes: Processes, name: str) -> str:
    """Return what a program wrote."""
    return (processes.logs / f"{name}.log").read_text()


def closed(path: Path) -> Path:
    """Make a folder that its owner alone can enter."""
    path.mkdir(mode=0o700)
    return path


def modes(path: Path) -> dict[Path, tuple[int, int]]:
    """Return mode and owner of each folder above a path."""
    return {above: (above.stat().st_mode, above.stat().st_uid) for above in path.parents}


@by_root
async def test_a_file_is_shown_at_its_place_in_closed_folders(tmp_path: Path) -> None:
    """Its neighbours are not shown, and neither modes nor the starter's own view change."""
    folder = closed(closed(tmp_path / "outer") / "inner")
    shown, hidden = folder / "shown", folder / "hidden"
    for path in (shown, hidden):
        path.write_text(path.name)
        path.chmod(0o644)
    before, mounts = modes(shown), Path("/proc/self/mounts").read_text()
    processes = Processes(tmp_path / "logs", USERS_ALONE)
    program = Program("seer", ["/bin/sh", "-c", f"cat {shown}; cat {hidden}; true"])

    await processes.run(replace(program, reach=Reach("exchange", (shown,))), SECONDS)

    assert said(processes, "seer").startswith("shown")
    assert "hidden: No such file" in said(processes, "seer")
    assert modes(shown) == before
    assert Path("/proc/self/mounts").read_text() == mounts
    assert hidden.read_text() == "hidden"


@by_root
async def test_what_symbolic_links_lead_to_is_shown(tmp_path: Path) -> None:
    """A path that passes links, absolute and relative ones, between closed folders, leads there."""
    first, second = closed(tmp_path / "first"), closed(tmp_path / "second")
    (second / "real").mkdir()
    (second / "real" / "file").write_text("found")
    (second / "by-name").symlink_to("real")
    (first / "link").symlink_to(second / "by-name")
    path = first / "link" / "file"
    processes = Processes(tmp_path / "logs", USERS_ALONE)

    await processes.run(Program("seer", [CAT, path], reach=Reach("exchange", (path,))), SECONDS)

    assert said(processes, "seer") == "found"


@by_root
async def test_what_root_made_for_itself_alone_is_shown_to_be_read(tmp_path: Path) -> None:
    """Code of a umask of 077 is read by another user as if it were that one's own, and stays root's."""
    folder = closed(tmp_path / "code")
    file = closed(folder / "deep") / "file"
    file.write_text("found")
    file.chmod(0o600)
    processes = Processes(tmp_path / "logs", replace(USERS_ALONE, mapped=True))
    script = f"cat {file}; echo changed > {file}; true"
    program = Program("seer", ["/bin/sh", "-c", script], reach=Reach("exchange", (folder,)))

    await processes.run(program, SECONDS)

    assert said(processes, "seer").startswith("found")
    assert "Read-only" in said(processes, "seer")
    assert (file.read_text(), file.stat().st_uid, file.stat().st_mode & 0o777) == ("found", 0, 0o600)


@by_root
async def test_what_is_closed_is_named_where_mounts_are_not_to_be_had(tmp_path: Path) -> None:
    """Without mounts of its own a program is not started on less than it needs."""
    path = closed(tmp_path / "closed") / "file"
    path.write_text("x")
    processes = Processes(tmp_path / "logs", replace(USERS_ALONE, mounts=False))

    with pytest.raises(PartFailed, match=rf"exchange can not enter /.* as user {USER}"):
        await processes.run(Program("seer", [CAT, path], reach=Reach("exchange", (path,))), SECONDS)


@by_root
async def test_a_program_that_its_user_may_not_run_is_named_with_what_to_do(tmp_path: Path) -> None:
    """A virtual environment that was made for its owner alone does not end in a bare system error."""
    program = tmp_path / "program"
    program.write_bytes(CAT.read_bytes())
    program.chmod(0o700)
    processes = Processes(tmp_path / "logs", USERS_ALONE)

    with pytest.raises(PartFailed, match="umask 022"):
        await processes.run(Program("seer", [program], reach=Reach("exchange", (program,))), SECONDS)


@pytest.mark.parametrize("way", [best_way(), replace(best_way(), landlock=0)], ids=["best", "no Landlock"])
async def test_a_program_changes_what_it_may_and_nothing_else(tmp_path: Path, way: Way) -> None:
    """A folder that is its own takes files; one that it may read does not."""
    if not (way.users or way.landlock):
        pytest.skip("nothing keeps programs apart here")
    own, read = tmp_path / "own", tmp_path / "read"
    for folder in (own, read):
        folder.mkdir()
    way.hand_over(own, "exchange")
    processes = Processes(tmp_path / "logs", way)
    script = f"cd {own}; echo x > new; mkdir a; mv new a/moved; echo x > {read}/new; true"
    reach = Reach("exchange", (read,), (own,))

    await processes.run(Program("writer", ["/bin/sh", "-c", script], reach=reach), SECONDS)

    assert (own / "a" / "moved").read_text() == "x\n"
    assert list(read.iterdir()) == []


@by_root
def test_only_what_lies_in_a_folder_is_handed_over(tmp_path: Path) -> None:
    """Every file of an earlier start gets its new owner; what links lead to keeps its own."""
    folder, elsewhere, second_name = tmp_path / "folder", tmp_path / "elsewhere", tmp_path / "second"
    (folder / "deep").mkdir(parents=True)
    for path in (folder / "deep" / "file", elsewhere, second_name):
        path.write_text("x")
    (folder / "link").symlink_to(elsewhere)
    (folder / "hard").hardlink_to(second_name)

    USERS_ALONE.hand_over(folder, "exchange")

    assert {path.stat().st_uid for path in (folder, folder / "deep", folder / "deep" / "file")} == {USER}
    assert {path.stat().st_uid for path in (tmp_path, elsewhere, second_name)} == {0}


@by_root
def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    """What a server links to in the place of its own file stays; what root links to is handed over."""
    secret, data = tmp_path / "secret", tmp_path / "data"
    links = tmp_path / "link-of-server", tmp_path / "link-of-root"
    for link, path in zip(links, (secret, data), strict=True):
        path.write_text("x")
        link.symlink_to(path)
    os.chown(links[0], USER, USER, follow_symlinks=False)

    for link in links:
        USERS_ALONE.hand_over(link, "exchange")

    assert (secret.stat().st_uid, data.stat().st_uid) == (0, USER)


@by_root
def test_a_way_that_does_not_work_leaves_the_folder_closed(tmp_path: Path) -> None:
    """Only a way that is taken lets other users pass through the folder of the stack."""
    directory = closed(tmp_path / "data")

    works = confinement._works(Way(users=True, mounts=False, landlock=0), directory)

    assert (directory.stat().st_mode & 0o777 == 0o711) is works
    assert list(directory.iterdir()) == []


def test_a_person_is_told_what_holds() -> None:
    """The start names users and Landlock where they hold, and warns where neither does."""
    users = USERS_ALONE
    landlock, neither = replace(users, users=False, landlock=7), replace(users, users=False)

    assert "user of its own" in users.words()
    assert "Landlock" not in users.words()
    assert "Landlock (version 7)" in landlock.words()
    assert "one user" in landlock.words()
    assert neither.words().startswith("WARNING")
