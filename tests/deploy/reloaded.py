"""NATS, OpenBao and PostgreSQL as the manifests start them, whose files change as a kubelet changes them."""

import json
import os
import pwd
import shlex
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import trustme

from deploy.local.ports import LOOPBACK, free_ports
from deploy.reloading.server import Server
from tests.kubernetes.manifests import workload
from tests.kubernetes.providing import authority, contents, files, write_server

OVERLAY = "single-node"
PROGRAMS = Path(sys.executable).parent
# PostgreSQL of the Python package has no TLS; Debian's has.
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
UNPRIVILEGED = pwd.getpwnam("nobody")
MOUNTED = "/run/secrets/butler"


class Secret:
    """A mounted Secret with a certificate; its folder is reached through a link that changes at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = count()
        folder.mkdir(parents=True, exist_ok=True)
        self.renew()
        for name in ("tls.crt", "tls.key", "ca.crt"):
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(f"..data/{name}")

    def renew(self, minutes: int = 0) -> bytes:
        """Bring another certificate, written so many minutes ago, and return it (DER)."""
        issued = authority().issue_cert("localhost", LOOPBACK)
        chain = issued.cert_chain_pems[0].bytes()
        self.bring(chain, issued.private_key_pem.bytes())
        written = time.time() - 60 * minutes
        os.utime(self.folder / "..data" / "tls.crt", (written, written))
        return ssl.PEM_cert_to_DER_cert(chain.decode())

    def bring(self, certificate: bytes, key: bytes, issuer: trustme.CA | None = None) -> None:
        """Replace all files at once."""
        named = f"..{next(self._numbers)}"
        (self.folder / named).mkdir()
        told = {"tls.crt": certificate, "tls.key": key, "ca.crt": (issuer or authority()).cert_pem.bytes()}
        for name, content in told.items():
            (path := self.folder / named / name).write_bytes(content)
            path.chmod(0o440)
            if os.geteuid() == 0:
                os.chown(path, -1, UNPRIVILEGED.pw_gid)
        (link := self.folder / "..next").symlink_to(named)
        link.rename(self.folder / "..data")


@dataclass(frozen=True)
class Running:
    """A running server with its Secret."""

    server: Server
    secret: Secret
    process: subprocess.Popen[bytes]

    @property
    def options(self) -> list[str]:
        """Return what the reloader is told of this server alone, as the manifests do it."""
        if self.server.asks:
            return ["--postgres"]
        return [f"--server={shlex.join(self.server.words)}"] if self.server.words[0] == "nats-server" else []

    def probe(self) -> None:
        """Ask PostgreSQL as a kubelet does for the liveness probe of its manifest."""
        shell, option, script = workload(OVERLAY, "database").container["livenessProbe"]["exec"]["command"]
        script = script.replace("kill -HUP 1\n", f"kill -HUP {self.process.pid}\n")
        assert str(self.process.pid) in script, "it would signal the first process of this machine"
        script = script.replace(MOUNTED, str(self.secret.folder)) + f" --port={self.server.port}"
        environment = {"PATH": f"{POSTGRES[-1]}:{os.defpath}"}
        subprocess.run([shell, option, script.replace("\n --port", " --port")], env=environment, check=True)

    def configuration(self, name: str) -> Path:
        """Return a file beside the configuration of NATS."""
        return Path(self.server.words[2]).with_name(name)

    def shows(self, certificate: bytes) -> bool:
        """Return whether it shows this certificate; False where it shows none."""
        try:
            return self.server.certificate(self.secret.folder) == certificate
        except OSError:
            return False


@contextmanager
def sleeping(name: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program with the command `NAME 60`, which a SIGHUP would end."""
    with subprocess.Popen([name, "60"], executable="/bin/sleep") as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def reloading(run: Running, port: int, log: Path) -> Iterator[None]:
    """Run the reloader as a program of its own, with its metrics on a port."""
    command = [sys.executable, "-m", "deploy.reloading"]
    command += [f"--port={run.server.port}", f"--certificate={run.secret.folder}", f"--metrics-port={port}"]
    with log.open("w") as output, subprocess.Popen([*command, *run.options], stderr=output) as reloader:
        try:
            yield
        finally:
            reloader.terminate()
    assert reloader.returncode == 0


@contextmanager
def running(name: str) -> Iterator[Running]:
    """Run a server; skips the test where it has no TLS."""
    with TemporaryDirectory() as made:
        (directory := Path(made)).chmod(0o755)
        start = {"nats": _nats, "openbao": _openbao, "postgres": _postgres}[name]
        command, secret, port, identity = start(directory)
        log = (directory / "log").open("wb")
        process = subprocess.Popen(command, stdout=log, stderr=log, env={"POD_NAME": "nats-0"}, **identity)
        words = [Path(command[0]).name, *command[1:]]
        try:
            yield Running(Server(words, port, name == "postgres"), secret, process)
        finally:
            process.terminate()
            process.wait()
            log.close()


def _nats(directory: Path) -> tuple[list[str], Secret, int, dict[str, Any]]:
    configuration = write_server(OVERLAY, directory, contents(OVERLAY))
    port, monitoring = free_ports(2)
    command = [str(PROGRAMS / "nats-server"), "--config", str(configuration), "--addr", LOOPBACK]
    command += ["--port", str(port), "--http_port", str(monitoring), "--pid", str(directory / "pid")]
    return command, Secret(directory / MOUNTED[1:]), port, {}


def _openbao(directory: Path) -> tuple[list[str], Secret, int, dict[str, Any]]:
    secret, (port, inner) = Secret(directory / MOUNTED[1:]), free_ports(2)
    told = files(workload(OVERLAY, "openbao"), contents(OVERLAY))["/etc/openbao/openbao.json"].decode()
    configuration = json.loads(told.replace(MOUNTED, str(secret.folder)))
    listener = configuration["listener"][0]["tcp"]
    listener |= {"tls_auto_reload_interval": "5s"}  # the least that it takes
    listener |= {"address": f"{LOOPBACK}:{port}", "cluster_address": f"{LOOPBACK}:{inner}"}
    address = {"node_id": "first"}
    configuration |= {"storage": {"raft": {"path": str(directory), **address}}}
    configuration |= {"api_addr": f"https://{LOOPBACK}:{port}", "cluster_addr": f"https://{LOOPBACK}:{inner}"}
    (secret.folder / "seal.key").write_bytes(os.urandom(32))
    (file := directory / "openbao.json").write_text(json.dumps(configuration))
    return [str(PROGRAMS / "bao"), "server", f"-config={file}"], secret, port, {}


def _postgres(directory: Path) -> tuple[list[str], Secret, int, dict[str, Any]]:
    if not POSTGRES:
        pytest.skip("needs a PostgreSQL with TLS (apt-get install postgresql)")
    secret, (port,), data = Secret(directory / MOUNTED[1:]), free_ports(1), directory / "data"
    data.mkdir(mode=0o700)
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:  # it refuses to run as root
        shutil.chown(data, UNPRIVILEGED.pw_uid, UNPRIVILEGED.pw_gid)
        identity = {"user": UNPRIVILEGED.pw_uid, "group": UNPRIVILEGED.pw_gid, "extra_groups": []}
    initdb: list[str | Path] = [POSTGRES[-1] / "initdb", "--auth=trust", "--no-sync", data]
    subprocess.run(initdb, capture_output=True, check=True, **identity)
    told = [
        each.replace(MOUNTED, str(secret.folder)) for each in workload(OVERLAY, "database").container["args"]
    ]
    command = [str(POSTGRES[-1] / "postgres"), *told, "-D", str(data), "-p", str(port)]
    return [*command, "-h", LOOPBACK, "-k", str(data)], secret, port, identity
