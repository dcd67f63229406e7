"""The accounts, the requests and the running process that the simulator's tests share."""

import http.client
import json
import select
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from deploy.local.demo import ACCOUNTS
from deploy.simulator.okx.accounts import Account, Accounts, load_accounts
from deploy.simulator.okx.checks import KEY, PASSPHRASE, SIGN, TIMESTAMP, sign
from deploy.simulator.types import Request

REPOSITORY = Path(__file__).parents[3]
# However busy the machine is: other tests run beside this one.
START_SECONDS = 60
NOW = datetime(2026, 6, 27, 12, 0, 0, 123000, UTC)


def credentials(
    account: Account, method: str, target: str, body: bytes, signed_at: datetime
) -> dict[str, str]:
    """Return the four headers of a correctly signed request."""
    timestamp = signed_at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{signed_at.microsecond // 1000:03d}Z"
    signature = sign(account.api_secret, timestamp, method, target, body)
    return {
        KEY: account.api_key,
        SIGN: signature,
        TIMESTAMP: timestamp,
        PASSPHRASE: account.passphrase,
    }


@dataclass(frozen=True)
class Simulator:
    """A running simulator: its process, its directory and the address that it wrote there."""

    process: subprocess.Popen[str]
    directory: Path
    address: dict[str, Any]

    @property
    def regions(self) -> dict[str, str]:
        """Where the regions of OKX listen."""
        regions: dict[str, str] = self.address["exchanges"]["okx"]
        return regions

    @property
    def port(self) -> int:
        """The port of the first region."""
        return urlsplit(self.regions["global"]).port or 0

    def get(self, account: Account | None, target: str, region: str = "global") -> tuple[int, Any]:
        """Read a target over TLS, signed now if there is an account, and return HTTP status and body."""
        headers = credentials(account, "GET", target, b"", datetime.now(UTC)) if account else {}
        context = ssl.create_default_context(cafile=self.address["ca"])
        netloc = urlsplit(self.regions[region]).netloc
        with closing(http.client.HTTPSConnection(netloc, context=context, timeout=5)) as connection:
            connection.request("GET", target, headers=headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read(1_000_000))


@contextmanager
def running(directory: Path, *options: str, source: Path = REPOSITORY) -> Iterator[Simulator]:
    """Start a simulator and stop it as an operator would; `source` is where its code lies."""
    command = [sys.executable, "-m", "deploy.simulator", "--directory", str(directory), *options]
    with subprocess.Popen(command, cwd=source, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], START_SECONDS)[0], "it says nothing"
            assert process.stdout.readline().startswith("simulated exchange: "), "it did not start"
            yield Simulator(process, directory, json.loads((directory / "address.json").read_text()))
        finally:
            process.terminate()
            process.wait(START_SECONDS)


@pytest.fixture(scope="session")
def start() -> Callable[..., Any]:
    """Return the context manager that runs a simulator of one's own."""
    return running


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """Yield the one simulator that the tests of this folder share."""
    with running(tmp_path_factory.mktemp("simulator")) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def accounts() -> Accounts:
    """Return the accounts of the repository."""
    return load_accounts(ACCOUNTS)


@pytest.fixture(scope="session")
def signed(accounts: Accounts) -> Callable[..., Request]:
    """Return the maker of correct requests, which arrive at NOW; headers and other parts can be replaced."""

    def make(
        target: str = "/api/v5/account/config",
        account: str = "plain",
        method: str = "GET",
        headers: dict[str, str] | None = None,
        **parts: Any,
    ) -> Request:
        owner = accounts[account]
        given = credentials(owner, method, target, b"", NOW) | (headers or {})
        usual: dict[str, Any] = {
            "region": owner.region,
            "body": b"",
            "address": "127.0.0.1",
            "received_at": NOW,
        }
        return Request(method=method, target=target, headers=given, **(usual | parts))

    return make


@pytest.fixture(scope="session")
def facts() -> Path:
    """Return the folder of facts about exchanges that is kept beside the checkout."""
    folder = REPOSITORY.parent / "shared" / "exchanges"
    if not folder.is_dir():
        pytest.skip("the facts about exchanges are not kept beside this checkout")
    return folder
