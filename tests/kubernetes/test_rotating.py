"""The command that rotates a key of a cluster: its calls of kubectl, their order, and what they show."""

import asyncio
import fcntl
import json
import os
import re
import shlex
import subprocess
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import httpx
import msgspec
import psycopg
import pytest

from contracts.wire.key_files import pieces
from deploy.kubernetes import rotate
from deploy.kubernetes.cluster import ClusterPlace
from deploy.kubernetes.kubectl import Kubectl
from deploy.kubernetes.secrets import objects
from deploy.private_files import private_folder, write_private
from deploy.rotation.catalogue import PURPOSES, ROTATIONS, Rotation
from deploy.rotation.surroundings import RotationFailed, Surroundings
from deploy.signing_keys import new_key
from deploy.vault import __main__ as vault_command
from deploy.vault.connecting import Access
from tests.kubernetes.kubectl import Refused, answering, applied
from tests.kubernetes.manifests import TOOLS, every, of_kind, tool

SECONDS = 60
REPLACED = [
    "get pods --selector app.kubernetes.io/name=NAME --output name",
    "rollout restart deployment/NAME",
    "rollout status deployment/NAME --timeout=600s",
    "wait --for=delete --timeout=120s pod/NAME-1 pod/NAME-2",
]
MOUNTED = "exec nats-{} -- cat /etc/nats/accounts.conf"
LOADED = "exec nats-{} -- wget -q -O - http://127.0.0.1:8222/varz"
RELOAD = "exec nats-{} -- nats-server -sl=reload=/var/run/nats/nats.pid"


def replaced(service: str) -> list[str]:
    """Return the calls that replace the pods of a service."""
    return [each.replace("NAME", service) for each in REPLACED]


class Cluster:
    """Answers as a cluster where everything works; it keeps the calls, the objects, and the waits."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.applied: list[dict[str, dict[str, str]]] = []
        self.waits: list[float] = []
        self.refused: dict[str, str] = {}
        self.mounted = ""
        self.loads = 0

    async def answer(self, words: Sequence[str], given: str) -> str:
        """Answer one call."""
        namespace, call = words[:2], " ".join(words[2:])
        assert namespace == ["--namespace", "butler"]
        self.calls.append(call)
        for start, reason in self.refused.items():
            if call.startswith(start):
                raise Refused(reason.replace("GIVEN", given))
        if call == "apply --filename -":
            self.applied.append({each["metadata"]["name"]: each["data"] for each in applied(given)})
        if call.startswith("get pods"):
            name = words[5].partition("=")[2]
            return f"pod/{name}-1\npod/{name}-2\n"
        if call.startswith("get statefulset"):
            return "3"
        self.loads += "reload" in call
        if call.startswith("exec"):
            load = f'  "config_load_time": "{self.loads}",\n'
            return {"cat": self.mounted, "wget": load}.get(words[5], "")
        return ""

    async def passes(self, seconds: float) -> None:
        """Let a time pass; what was applied is mounted then."""
        self.waits.append(seconds)
        self.mounted = self.applied[-1]["nats-accounts"]["accounts.conf"]

    def place(self, program: str, keys: Path) -> ClusterPlace:
        """Return this cluster as a place of rotations."""
        return ClusterPlace(keys, Kubectl(program, "butler"), Access(None), None, self.passes)


@pytest.fixture(name="keys")
def _keys(tmp_path: Path) -> Path:
    keys = private_folder(tmp_path / "keys")
    for name in ("jwt.pem", "grant.pem"):
        write_private(keys / name, re.sub(rb"Created: \d+", b"Created: 2025", new_key()))
    objects(keys, "butler")
    return keys


async def test_the_jwt_key_is_applied_before_the_gateways_roll(keys: Path) -> None:
    """Each of three steps applies a file, and goes on when the pods of the step before are gone."""
    cluster, first = Cluster(), (keys / "jwt.pem").read_bytes().strip()
    async with answering(cluster.answer) as program:
        await ROTATIONS["jwt"](cluster.place(program, keys))

    assert cluster.calls == ["apply --filename -", *replaced("gateway")] * 3
    assert (sum(cluster.waits), max(cluster.waits)) == (1200, 300)
    one, two, three = (pieces(b64decode(each["gateway"]["jwt.pem"])) for each in cluster.applied)
    assert [each.strip() for each in (one[0], two[1])] == [first, first]
    assert (len(one), len(two)) == (2, 2)
    assert [each.strip() for each in three] == [two[0].strip()] == [one[1].strip()]


async def test_servers_of_the_bus_read_their_accounts_where_they_run(keys: Path) -> None:
    """All three have the file before the first one reads it, and none restarts."""
    cluster = Cluster()
    async with answering(cluster.answer) as program:
        await cluster.place(program, keys).reload_bus()

    size = "get statefulset/nats --output jsonpath={.spec.replicas}"
    mounted = [MOUNTED.format(0), *(MOUNTED.format(number) for number in range(3))]
    read = [call.format(number) for number in range(3) for call in (LOADED, RELOAD, LOADED)]
    assert cluster.calls == ["apply --filename -", size, *mounted, *read]


async def test_kubectl_knows_each_call(keys: Path) -> None:
    """It understands the words and the objects as far as it goes without an API server."""
    cluster, kubectl = Cluster(), tool(TOOLS / "kubectl")
    async with answering(cluster.answer) as program:
        place = cluster.place(program, keys)
        await place.reload_bus()
        await place.roll("gateway")
        await place.restart_vault()
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects(keys, "butler")})

    def said(call: str) -> str:
        command: list[str | Path] = [kubectl, "--server", "http://127.0.0.1:9", *call.split()]
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        return str(done.stderr.splitlines()[-1])

    words = await asyncio.gather(*(asyncio.to_thread(said, call) for call in {*cluster.calls}))
    assert [each for each in words if "refused" not in each] == []


async def test_an_interrupted_rotation_goes_on(keys: Path) -> None:
    """A pod that does not become ready stops it with one sentence; the same command makes no second key."""
    cluster = Cluster()
    cluster.refused["rollout status"] = "error: timed out waiting for the condition"
    async with answering(cluster.answer) as program:
        with pytest.raises(
            RotationFailed, match=r"timed out waiting for .* same command again, which goes on"
        ):
            await ROTATIONS["jwt"](cluster.place(program, keys))
        assert cluster.waits == []
        cluster.refused.clear()
        await ROTATIONS["jwt"](cluster.place(program, keys))

    before, *_, after = (pieces(b64decode(each["gateway"]["jwt.pem"])) for each in cluster.applied)
    assert [each.strip() for each in after] == [before[1].strip()]


async def test_no_secret_is_in_a_call_or_in_words(keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Kubectl gets objects by its standard input; what it says of them is not shown where it repeats one."""
    cluster = Cluster()
    cluster.refused["apply"] = "error: invalid object GIVEN"
    async with answering(cluster.answer) as program:
        with pytest.raises(RotationFailed, match="hidden, because it repeats a secret") as failed:
            await ROTATIONS["jwt"](cluster.place(program, keys))
        cluster.refused.clear()
        await ROTATIONS["jwt"](cluster.place(program, keys))

    shown = "".join((*cluster.calls, str(failed.value), *capsys.readouterr()))
    secrets = [
        value
        for each in objects(keys, "butler")
        if each["kind"] == "Secret"
        for value in each["data"].values()
    ]
    texts = [value for each in secrets for value in (each, b64decode(each).decode(errors="replace"))]
    names = {"butler_owner", "butler_gateway", "postgres"}
    assert [text for text in texts if text in shown and text not in names] == []
    assert not re.search("PRIVATE KEY", shown)


async def test_a_folder_of_other_keys_replaces_none(tmp_path: Path, keys: Path) -> None:
    """New keys in the place of missing ones would cut off every service, so nothing is applied."""
    cluster = Cluster()
    (keys / "seal.key").unlink()
    async with answering(cluster.answer) as program:
        for folder in (tmp_path / "missing", keys):
            with pytest.raises(RotationFailed, match=r"has no \S+: name the folder with the cluster's keys"):
                await cluster.place(program, folder).roll("gateway")

    assert cluster.calls == []


@pytest.mark.parametrize("key", rotate.ELSEWHERE)
def test_a_key_that_the_cluster_replaces_is_told_in_a_sentence(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names what replaces it, with the namespace."""
    monkeypatch.setattr("sys.argv", ["rotate", "--directory", str(tmp_path), "--namespace", "mine", key])

    with pytest.raises(SystemExit, match=rf"^{key}: .* mine"):
        rotate.main()


def printed(key: str, keys: Path) -> str:
    """Return the command that is printed for a key that something else replaces."""
    text = rotate.ELSEWHERE[key].format(keys=shlex.quote(str(keys)), namespace="mine")
    return re.findall(r"`(\.venv[^`]*|cmctl[^`]*)`", text)[0].partition("deploy.vault ")[2] or text


def test_the_command_that_ends_logins_keeps_the_pins(tmp_path: Path) -> None:
    """It runs as it is printed, and writes the fingerprints into a file that pins nothing."""
    keys = tmp_path / "the keys"
    options = vault_command.arguments(shlex.split(printed("login", keys)))

    assert (options.directory, options.kubernetes_namespace, options.renew_login) == (keys, "mine", True)
    assert options.fingerprints_file == keys / "fingerprints.vault"
    assert (options.address, options.recovery_key_file) == ("https://127.0.0.1:8200", keys / "recovery.key")


@every()
def test_only_certificates_that_the_authority_issues_are_renewed(overlay: str) -> None:
    """A renewal of the authority itself would cut servers from clients."""
    leaves = {
        each["metadata"]["name"] for each in of_kind(overlay, "Certificate") if not each["spec"].get("isCA")
    }
    found = printed("certificates", Path())

    assert leaves - {"exchange"} == {*rotate.LEAVES}
    assert f"--namespace mine {' '.join(rotate.LEAVES)}`" in found


def failed(monkeypatch: pytest.MonkeyPatch, *line: str | Path) -> str:
    """Run the command, which fails, and return its line."""
    for name in ("VAULT_ADDR", "VAULT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.argv", ["rotate", *map(str, line)])
    with pytest.raises(SystemExit) as ended:
        rotate.main()
    assert "\n" not in str(ended.value)
    return str(ended.value)


@pytest.mark.parametrize("key", ["seal", "sealing", "wrapping"])
def test_without_a_token_nothing_is_changed(
    key: str, keys: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says what is missing, before the first change and without a call of kubectl."""
    before = {path.name: path.read_bytes() for path in keys.iterdir()}
    line = ("--directory", keys, "--kubectl", "/none", "--address", "https://127.0.0.1:9", key)

    assert "(the token is missing: set VAULT_TOKEN" in failed(monkeypatch, *line)
    assert {path.name: path.read_bytes() for path in keys.iterdir()} == before
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left on device", "jwt.pem.new"), "jwt.pem.new: No space left on device"),
        (psycopg.OperationalError("it ended\nthe secret"), "OperationalError: it ended"),
        (httpx.ReadTimeout("it is slow"), "ReadTimeout: it is slow"),
        (msgspec.DecodeError("the secret"), r"a file of the keys is damaged \(DecodeError\)"),
    ],
)
def test_an_unexpected_failure_is_told_in_one_line(
    error: Exception, reason: str, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that the same command goes on, and no secret of a file."""

    async def fails(_: Surroundings) -> None:
        raise error

    monkeypatch.setitem(cast("dict[str, Rotation]", ROTATIONS), "jwt", fails)
    said = failed(monkeypatch, "--directory", keys, "jwt")

    assert re.fullmatch(
        rf"jwt is not rotated yet: {reason}: repair that, then run the same .*goes on.*", said
    )
    assert "secret" not in said


def test_a_damaged_file_of_the_seal_is_named(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its content is not repeated."""
    write_private(keys / "seal.json", b'{"secret')

    assert "seal.json is damaged" in failed(monkeypatch, "--directory", keys, "seal")


def test_help_says_what_each_key_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    """All keys have a phrase."""
    with pytest.raises(SystemExit):
        rotate.arguments(["--help"])

    shown = capsys.readouterr().out
    assert PURPOSES.keys() == ROTATIONS.keys()
    assert all(f"{key} " in shown and PURPOSES[key] in shown for key in ROTATIONS)


async def test_one_rotation_runs_at_a_time_on_a_folder(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second command is refused before it changes anything."""
    folder = os.open(keys, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    before = {path: path.read_bytes() for path in keys.iterdir()}
    monkeypatch.setattr("sys.argv", ["rotate", "--directory", str(keys), "--kubectl", "/nowhere", "jwt"])
    try:
        with pytest.raises(SystemExit, match="another rotation runs on"):
            await asyncio.to_thread(rotate.main)
    finally:
        os.close(folder)
    assert {path: path.read_bytes() for path in keys.iterdir()} == before
