"""A gateway hands keys over to the pinned vault only, and does not start without a pin."""

import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
import pytest

from contracts.remedies import Situation, became
from deploy.local.ports import LOOPBACK
from deploy.local.processes import Program
from deploy.local.services import MODULES, environments, service_ports
from deploy.local.stack import Stack
from deploy.vault.provision import FINGERPRINTS
from tests.system.person import CALL_SECONDS, Person, credentials
from tests.waiting import until

WRAPPING, SEALING = FINGERPRINTS
OTHER = "0" * 64
SUBMITTED = {"exchange": "okx", "name": "one", "region": "global", "credentials": credentials("plain")}
READY_SECONDS = 60.0
ENDED_SECONDS = 20.0


def settings_of(stack: Stack, changed: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of another gateway of the stack, some of them changed."""
    return environments(stack.parts, service_ports())["gateway"] | dict(changed)


@asynccontextmanager
async def other_gateway(stack: Stack, changed: Mapping[str, str]) -> AsyncIterator[Person]:
    """Run another gateway, and yield a user who is signed up there."""
    settings = settings_of(stack, changed)
    program = Program("pinned-gateway", [sys.executable, "-m", MODULES["gateway"]], settings)
    address = f"http://{LOOPBACK}:{settings['PORT']}"
    async with (
        stack.processes.running(program),
        httpx.AsyncClient(base_url=f"{address}/api/v1", timeout=CALL_SECONDS, trust_env=False) as client,
    ):

        async def ready() -> bool:
            try:
                return (await client.get(f"{address}/readyz")).is_success
            except httpx.TransportError:
                return False

        await stack.processes.until(program.name, ready, READY_SECONDS)
        person = Person(client)
        await person.sign_up()
        yield person


def lines(stack: Stack, event: str) -> list[dict[str, object]]:
    """Return the other gateway's log lines of one kind."""
    log = stack.processes.logs / "pinned-gateway.log"
    said = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line for line in said if line["event"] == event]


@pytest.mark.parametrize(("name", "key"), [(WRAPPING, "wrapping"), (SEALING, "sealing")])
async def test_a_key_is_not_handed_to_a_vault_that_is_not_pinned(stack: Stack, name: str, key: str) -> None:
    """The submission gets a 503 problem; no account is made, and one log line tells the operator."""
    async with other_gateway(stack, {name: OTHER}) as person:
        problem = await person.post("/accounts", SUBMITTED, 503)
        accounts = await person.get("/accounts")

    assert problem["code"] == "vault_unavailable"
    assert "not handed over" in problem["detail"]
    assert became(Situation.CONNECT, stored=False) in problem["detail"]
    assert accounts == []
    assert [line["key"] for line in lines(stack, "keys_not_pinned")] == [key]


async def test_a_rotation_pins_two_keys(stack: Stack) -> None:
    """With the present key and another one pinned the user connects and syncs an account."""
    pinned = stack.parts.vault.fingerprints
    two = {WRAPPING: f"{OTHER},{pinned[WRAPPING]}", SEALING: f"{pinned[SEALING].upper()}, {OTHER}"}
    async with other_gateway(stack, two) as person:
        account = await person.connect("plain")
        assert (await person.post(f"/accounts/{account['id']}/sync"))["status"] == "completed"


@pytest.mark.parametrize("name", FINGERPRINTS)
@pytest.mark.parametrize("value", ["", "abc", f"{OTHER},{OTHER},{OTHER}"], ids=["none", "no hash", "three"])
async def test_a_gateway_does_not_start_without_its_pins(stack: Stack, name: str, value: str) -> None:
    """The exit code is 2, and one line names the setting and how to find its value."""
    log = stack.processes.logs / "unpinned-gateway.log"
    command = [sys.executable, "-m", MODULES["gateway"]]
    program = Program("unpinned-gateway", command, settings_of(stack, {name: value}))
    async with stack.processes.running(program) as process:

        async def ended() -> bool:
            return process.returncode is not None

        await until(ended, ENDED_SECONDS)

    assert process.returncode == 2
    (line,) = log.read_text().splitlines()
    assert name in line
    assert "fingerprints.env" in line
