"""A client that openapi-python-client generates from the document does the main job, with its own types."""

import asyncio
import json
import os
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio

from deploy.local.processes import executable
from deploy.local.stack import Stack
from tests.system.person import PASSWORD, credentials

README = Path(__file__).parents[2] / "README.md"
COMMAND = re.compile(r"^openapi-python-client (.*)$", re.MULTILINE)
LOCAL = "http://127.0.0.1:3000"
PACKAGE = "crypto_pocket_butler_client"
SECONDS = 60


class Generated:
    """The generated package: its operations by tag and name, and its types."""

    def __init__(self, address: str, closing: AsyncExitStack) -> None:
        self.models = import_module(f"{PACKAGE}.models")
        self._clients = import_module(PACKAGE)
        self._closing = closing
        self._settings = {"base_url": address, "timeout": SECONDS, "httpx_args": {"trust_env": False}}
        self.client: Any = None

    async def visit(self) -> None:
        """Send further calls without a token."""
        self.client = await self._closing.enter_async_context(self._clients.Client(**self._settings))

    async def sign_in(self, token: str) -> None:
        """Send further calls as a user."""
        client = self._clients.AuthenticatedClient(token=token, **self._settings)
        self.client = await self._closing.enter_async_context(client)

    async def call(self, tag: str, operation: str, *identifiers: object, **arguments: object) -> Any:
        """Call an operation and return the response, with its status and headers."""
        module = import_module(f"{PACKAGE}.api.{tag}.{operation}")
        return await module.asyncio_detailed(*identifiers, client=self.client, **arguments)


@pytest_asyncio.fixture(name="package", scope="module")
async def _package(shared_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[None]:
    """Generate and import the client with the command of the README, from the running stack."""
    found, directory = COMMAND.search(README.read_text()), tmp_path_factory.mktemp("generated")
    assert found is not None
    process = await asyncio.create_subprocess_exec(
        str(executable("openapi-python-client")),
        *found[1].replace(LOCAL, shared_stack.api).split(),
        cwd=directory,
        # The generator formats its output with the ruff of this environment.
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=PIPE,
        stderr=STDOUT,
    )
    output = (await asyncio.wait_for(process.communicate(), SECONDS))[0].decode()
    assert (process.returncode, "warning" in output.lower()) == (0, False), output
    with pytest.MonkeyPatch.context() as path:
        (package,) = directory.glob(f"**/{PACKAGE}")
        path.syspath_prepend(str(package.parent))
        yield


@pytest_asyncio.fixture(name="generated")
async def _generated(stack: Stack, package: None) -> AsyncIterator[Generated]:
    """Yield the client, without a token."""
    async with AsyncExitStack() as closing:
        generated = Generated(stack.api, closing)
        await generated.visit()
        yield generated


@pytest_asyncio.fixture(name="signed_in")
async def _signed_in(generated: Generated) -> Generated:
    """Register and sign in with the generated client."""
    models = generated.models
    login = models.Login(email=f"{uuid4()}@example.com", password=PASSWORD)
    registered = await generated.call("auth", "register", body=login)
    assert (registered.status_code, type(registered.parsed)) == (201, models.UserView)
    tokens = (await generated.call("auth", "login", body=login)).parsed
    assert isinstance(tokens, models.TokenView)
    await generated.sign_in(tokens.access_token)
    return generated


async def connected(client: Generated, name: str) -> Any:
    """Connect a simulated account and return the response."""
    listed = (await client.call("exchanges", "list_exchanges")).parsed
    (okx,) = [each for each in listed if each.key == "okx"]
    fields = {field.key for field in okx.credential_fields}
    given = {key: text for key, text in credentials(name).items() if key in fields}
    written = {"exchange": okx.key, "name": name, "region": okx.regions[0].key, "credentials": given}
    body = client.models.Connect.from_dict(written)
    return await client.call("accounts", "connect_account", body=body)


async def test_a_generated_client_does_the_main_job(signed_in: Generated) -> None:
    """Connect, sync, read, rename and delete; every response, time and id has its type."""
    client, models = signed_in, signed_in.models
    answer = await connected(client, "plain")
    account = answer.parsed
    assert (answer.status_code, type(account), type(account.id)) == (201, models.AccountView, UUID)
    assert (account.last_synced_at, account.paused) == (None, None)

    sync = (await client.call("accounts", "sync_account", account.id, prefer="wait=30")).parsed
    assert isinstance(sync, models.SyncView)
    assert (sync.account_id, sync.success, sync.holdings_count) == (account.id, True, 5)
    assert (sync.status, type(sync.finished_at)) == ("completed", datetime)
    assert {wallet.wallet: wallet.verdict for wallet in sync.wallets}["earn"] == "complete"

    balances = (await client.call("balances", "show_balances", account.id)).parsed
    assert {wallet.wallet: wallet.state for wallet in balances.wallets}["trading"] == "fresh"
    holdings = (await client.call("balances", "show_holdings", account.id)).parsed
    amounts = {holding.asset: Decimal(holding.total) for holding in holdings.holdings}
    assert amounts["ETH"] == Decimal("1.234567890123456789")
    assert holdings.total_checks["trading"] == "agrees"

    rename = models.ChangeAccount(name="Savings")
    renamed = (await client.call("accounts", "change_account", account.id, body=rename)).parsed
    (listed,) = (await client.call("accounts", "list_accounts")).parsed
    assert (renamed.name, listed) == ("Savings", renamed)
    assert type(listed.last_synced_at) is datetime
    assert (await client.call("accounts", "delete_account", account.id)).status_code == 204
    assert (await client.call("accounts", "list_accounts")).parsed == []


async def test_a_generated_client_follows_a_sync(signed_in: Generated) -> None:
    """A 202 response names the address of the outcome; pages of syncs link to the next one."""
    client, models = signed_in, signed_in.models
    account = (await connected(client, "plain")).parsed

    accepted = await client.call("accounts", "sync_account", account.id, prefer="respond-async")
    assert (accepted.status_code, type(accepted.parsed)) == (202, models.SyncView)
    assert accepted.headers["location"].endswith(str(accepted.parsed.sync_id))
    batch = (await client.call("accounts", "sync_all", prefer="wait=30", idempotency_key="once")).parsed
    assert (type(batch), batch.total, batch.successful) == (models.BatchView, 1, 1)
    ended = (await client.call("syncs", "show_sync", accepted.parsed.sync_id)).parsed
    assert (ended.sync_id, ended.success) == (accepted.parsed.sync_id, True)
    await client.call("accounts", "sync_account", account.id, prefer="wait=30")
    page = (await client.call("syncs", "list_syncs", account.id, limit=1)).parsed
    assert type(page.next_cursor) is UUID
    for _ in range(2):  # the batch joined the first sync, or began one of its own after it
        if page.next_cursor is not None:
            arguments = {"limit": 1, "cursor": page.next_cursor}
            page = (await client.call("syncs", "list_syncs", account.id, **arguments)).parsed
    assert (page.items, page.next_cursor) == ([ended], None)


async def test_a_generated_client_reads_problems(signed_in: Generated) -> None:
    """A problem has its type, with its additional members."""
    client, models = signed_in, signed_in.models
    await connected(client, "plain")

    again = (await connected(client, "plain")).parsed
    missing = (await client.call("accounts", "show_account", uuid4())).parsed
    refused = (await connected(client, "trade-enabled")).parsed

    assert [type(each) for each in (again, missing, refused)] == [models.ProblemDocument] * 3
    assert [each.code for each in (again, missing)] == ["account_exists", "not_found"]
    assert type(again.account_id) is UUID
    assert (refused.status, refused.code, refused.rights) == (422, "over_privileged_key", ["trade"])


async def test_a_generated_client_reads_words_of_a_later_version(stack: Stack, generated: Generated) -> None:
    """The client keeps an unknown status, state, verdict or code as text, and keeps a new member."""
    async with httpx.AsyncClient(base_url=stack.api, trust_env=False) as client:
        examples = (await client.get("/openapi.json")).json()["components"]["examples"]
    text = json.dumps(examples["SyncView.failed"]["value"])
    for known in ("failed", "credential_missing"):
        text = text.replace(f'"{known}"', '"later"')

    sync = generated.models.SyncView.from_dict(json.loads(text) | {"new": 1})

    assert (sync.status, sync.error_code, sync["new"]) == ("later", "later", 1)
    assert {wallet.verdict for wallet in sync.wallets} == {"later"}
