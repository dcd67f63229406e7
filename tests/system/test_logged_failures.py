"""Every 5xx response is one line in the log, which names the route and repeats no input."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.stack import Stack
from tests.forking import ForkingProcesses
from tests.system.gateways import another_gateway
from tests.system.test_login_throttling import login, unknown
from tests.waiting import until

# No process listens there.
NO_DATABASE = "postgresql://butler_gateway@127.0.0.1:1/butler"
CANARY = "canary"


def failed(log: Path) -> list[dict[str, Any]]:
    """Return the log lines about 5xx responses."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("status", 0) >= 500]


@pytest.mark.parametrize("request_id", ["4f1c:abc.DEF-9", f"{CANARY} {{}}"])
async def test_each_5xx_is_one_line(stack: Stack, tmp_path: Path, request_id: str) -> None:
    """The line has method, template, status, code and the request's valid id; no query and no body."""
    logs = ForkingProcesses(tmp_path / "logs")
    async with (
        another_gateway(
            Stack(logs, stack.parts, stack.ports), ready="/healthz", DATABASE_URL=NO_DATABASE
        ) as address,
        httpx.AsyncClient(base_url=f"{address}/api/v1", timeout=30, trust_env=False) as client,
    ):
        (log,) = (tmp_path / "logs").glob("*.log")
        before = len(failed(log))
        client.headers["X-Request-ID"] = request_id
        answer = await client.post(f"/auth/refresh?q={CANARY}", json={"refresh_token": CANARY})
        again = await login(client, unknown(), CANARY + CANARY)

        async def both() -> bool:
            return len(failed(log)) >= before + 2

        await until(both)
        first, second = failed(log)[before:]
        text = log.read_text()

    assert (answer.status_code, again.status_code) == (503, 503)
    assert (first["event"], first["method"], first["route"]) == (
        "http_failed",
        "POST",
        "/api/v1/auth/refresh",
    )
    assert (first["status"], first["code"]) == (503, "database_unavailable")
    assert first.get("request_id") == (None if CANARY in request_id else request_id)
    assert second["route"] == "/api/v1/auth/login"
    assert text.count("database_unavailable") == 2
    assert CANARY not in text
