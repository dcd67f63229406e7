"""The commands that an operator copies lose no key, and choose the objects that their text names."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.imports import ROOT
from tests.kubernetes.manifests import MANIFESTS, Object, every, names, objects, of_kind

SECONDS = 60
README = (MANIFESTS / "README.md").read_text()
LINES = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
WRITING = [line for line in LINES if "> KEYS/" in line]
KEPT = ("openbao.json", "fingerprints.env")
OUTPUT = '{"root_token": "a token"}\n'


def runs(directory: Path, *, works: bool) -> dict[str, str]:
    """Run the commands that write into KEYS with a kubectl of this outcome; return the files of KEYS."""
    if shutil.which("jq") is None:
        pytest.skip("needs jq, which the commands use")
    kubectl = directory / "bin" / "kubectl"
    kubectl.parent.mkdir(exist_ok=True)
    kubectl.write_text(f"#!/bin/sh\necho '{OUTPUT.strip()}'\nexit {0 if works else 1}\n")
    kubectl.chmod(0o700)
    (directory / "KEYS").mkdir(mode=0o700, exist_ok=True)
    script = "\n".join([*re.findall(r"umask \d+", "\n".join(LINES)), *WRITING])
    environment = {**os.environ, "PATH": f"{kubectl.parent}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", script], cwd=directory, env=environment, timeout=SECONDS, check=False)
    assert {path.stat().st_mode & 0o777 for path in (directory / "KEYS").iterdir()} <= {0o600}
    return {path.name: path.read_text() for path in (directory / "KEYS").iterdir() if path.suffix != ".new"}


def test_a_command_that_fails_leaves_no_file(tmp_path: Path) -> None:
    """Neither an empty one nor one with half of the output; the next run writes it."""
    assert len(WRITING) == 3
    assert runs(tmp_path, works=False) == {}
    (tmp_path / "KEYS" / "openbao.json.new").unlink()

    assert runs(tmp_path, works=True) == {
        "openbao.json": OUTPUT,
        "vault.token": "a token\n",
        "fingerprints.env": OUTPUT,
    }


@pytest.mark.parametrize("works", [True, False])
def test_a_repeated_command_keeps_the_recovery_key_and_the_pins(tmp_path: Path, *, works: bool) -> None:
    """Also where the recovery key was not yet moved to its name."""
    (tmp_path / "KEYS").mkdir(mode=0o700)
    for name in (*KEPT, "openbao.json.new"):
        (tmp_path / "KEYS" / name).touch(mode=0o600)
        (tmp_path / "KEYS" / name).write_text('{"root_token": "the first"}')
    before = {name: (tmp_path / "KEYS" / name).read_text() for name in (*KEPT, "openbao.json.new")}

    runs(tmp_path, works=works)
    assert {name: (tmp_path / "KEYS" / name).read_text() for name in before} == before

    (tmp_path / "KEYS" / "openbao.json").unlink()
    runs(tmp_path, works=works)
    assert (tmp_path / "KEYS" / "openbao.json.new").read_text() == before["openbao.json.new"]


def chosen(overlay: str, selector: str) -> list[Object]:
    """Return the objects that `kubectl -l` chooses."""
    terms = [re.fullmatch(r"([\w./-]+?)(!?=)([\w.-]+)", term) for term in selector.split(",")]
    assert all(terms), selector
    return [
        each
        for each in objects(overlay)
        if all(
            (each["metadata"].get("labels", {}).get(term[1]) == term[3]) == (term[2] == "=")
            for term in terms
            if term
        )
    ]


@every()
@pytest.mark.parametrize("with_vault", [True, False])
def test_an_update_can_leave_out_the_job_of_the_vault(overlay: str, *, with_vault: bool) -> None:
    """Its selectors choose the Jobs with or without it, and the last command everything else."""
    said = re.findall(r"CHOSEN='?([\w./!=-]+)", README)
    (choice,) = (each for each in said if ("provision-vault" in each) != with_vault)
    applied = [re.search(r'-l "(\S+)"', line) for line in LINES if "apply -k" in line and "$CHOSEN" in line]
    first, last = (chosen(overlay, found[1].replace("$CHOSEN", choice)) for found in applied if found)
    jobs = names(overlay, "Job") - (set() if with_vault else {"provision-vault"})

    assert {each["metadata"]["name"] for each in first if each["kind"] == "Job"} == jobs
    assert not [each for each in first if each["kind"] in {"Deployment", "StatefulSet"}]
    left_out = [each for each in objects(overlay) if each not in last]
    assert [(each["kind"], each["metadata"]["name"]) for each in left_out] == (
        [] if with_vault else [("Job", "provision-vault")]
    )
    assert of_kind(overlay, "Deployment")[0] in last


def test_the_commands_name_the_namespace_and_the_environment() -> None:
    """A command of the runbooks works from any context, and with the Python that `make install` has made."""
    runbooks = "".join(page.read_text() for page in sorted((ROOT / "docs" / "runbooks").glob("*.md")))
    for text in (README, runbooks):
        assert not re.findall(r"(?<!\.venv/bin/)python -m", text)
    asked = re.findall(r"kubectl ([^`|\n]+)", runbooks)
    assert asked
    assert all(each.startswith("-n butler ") for each in asked if not each.startswith("apply -f -"))
