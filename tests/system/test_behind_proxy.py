"""Behind a real proxy each client counts by its own address, and strangers lock no user out."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from deploy.local.postgres import Postgres
from deploy.local.stack import Stack
from tests.system.gateways import another_gateway
from tests.system.person import PASSWORD, Person
from tests.system.reverse_proxy import Front, from_address, reverse_proxy
from tests.system.test_login_throttling import WRONG, failed, login, unknown
from tests.system.test_sweeper import run

PROXY, THIEF, OWNER, ELSEWHERE = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"
LONG = 20  # failures after which the delay is longest
HSTS = "strict-transport-security"


@dataclass(frozen=True)
class Scene:
    """A gateway that trusts the proxy in front of it."""

    gateway: str
    front: Front

    def client(self, address: str, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
        """Return a client that comes through the proxy from an address."""
        client = from_address(address, f"{self.front.clear}/api/v1")
        client.headers.update(headers or {})
        return client


@pytest_asyncio.fixture(name="scene")
async def _scene(stack: Stack, tmp_path: Path) -> AsyncIterator[Scene]:
    async with (
        another_gateway(stack, TRUSTED_PROXIES=f"{PROXY}/32") as gateway,
        reverse_proxy(tmp_path, gateway) as front,
    ):
        yield Scene(gateway, front)


async def addresses(database: Postgres) -> set[object]:
    """Return the addresses of failed logins in the audit."""
    rows = await run(database, "select distinct address from audit where action = 'login_failed'")
    return {address for (address,) in rows}


async def failures(database: Postgres) -> dict[object, object]:
    """Return the failed logins that count against each client address."""
    return dict(await run(database, "select subject, used from rate_limits where policy = 'login'"))


@pytest.mark.parametrize(
    "forged",
    [
        {},
        {"X-Forwarded-For": "198.51.100.9"},
        {"X-Forwarded-For": f"{OWNER}, {PROXY}"},
        {"X-Forwarded-For": "garbage"},
        {"Forwarded": f"for={OWNER}", "X-Real-IP": OWNER, "True-Client-IP": OWNER},
    ],
)
async def test_forged_headers_change_nothing(
    scene: Scene, database: Postgres, forged: dict[str, str]
) -> None:
    """Through the proxy and past it, the client's address is the source address of its connection."""
    async with scene.client(THIEF, forged) as through:
        await login(through, unknown())
    assert (await addresses(database), await failures(database)) == ({THIEF}, {THIEF: 1})

    async with from_address(ELSEWHERE, f"{scene.gateway}/api/v1") as past:
        past.headers.update(forged)
        await login(past, unknown())
    assert await failures(database) == {THIEF: 1, ELSEWHERE: 1}


async def test_two_clients_behind_one_proxy_count_apart(scene: Scene) -> None:
    """A client that has used up its address's limit does not affect other addresses."""
    async with scene.client(THIEF) as thief, scene.client(OWNER) as owner:
        answers = [await login(thief, unknown()) for _ in range(21)]

        assert [answer.status_code for answer in answers] == [401] * 20 + [429]
        assert (await login(owner, unknown())).status_code == 401


async def test_without_trusted_proxies_the_proxy_is_the_client(
    stack: Stack, tmp_path: Path, database: Postgres
) -> None:
    """The gateway reads a proxy's headers only when its network is configured."""
    async with (
        another_gateway(stack) as gateway,
        reverse_proxy(tmp_path, gateway) as front,
        from_address(THIEF, f"{front.clear}/api/v1") as through,
    ):
        await login(through, unknown())

    assert await failures(database) == {PROXY: 1}


async def test_a_right_password_from_a_known_address_is_never_refused_for_others_failures(
    scene: Scene, person: Person, database: Postgres
) -> None:
    """Strangers fail for the same user from elsewhere, and for other users from the same address."""
    async with scene.client(OWNER) as owner, scene.client(THIEF) as thief:
        assert (await login(owner, person.email, PASSWORD)).is_success
        await failed(database, person, person.email, LONG)
        elsewhere = [await login(thief, person.email) for _ in range(2)]
        same = [await login(owner, unknown()) for _ in range(21)]
        new = await login(thief, person.email, PASSWORD)
        known = [await login(owner, person.email, PASSWORD) for _ in range(3)]

    assert (elsewhere[-1].status_code, same[-1].status_code) == (429, 429)
    assert (new.status_code, new.json()["code"]) == (429, "login_throttled")
    assert [answer.status_code for answer in known] == [200] * 3


async def test_a_known_address_is_no_way_to_guess(scene: Scene, person: Person, database: Postgres) -> None:
    """A wrong password from a known address gets the strangers' response, and ever fewer are checked."""
    async with scene.client(OWNER) as owner, scene.client(THIEF) as thief:
        assert (await login(owner, person.email, PASSWORD)).is_success
        await failed(database, person, person.email, LONG)
        await login(thief, person.email)
        stranger = await login(thief, person.email)
        guessed = [await login(owner, person.email) for _ in range(3)]
        await run(database, "update login_failures set failures = 20, blocked_until = now()")
        await login(thief, person.email)
        guessed.append(await login(owner, person.email))
        right = await login(owner, person.email, PASSWORD)

    assert {answer.status_code for answer in guessed} == {429}
    assert {answer.json()["detail"] for answer in guessed} == {stranger.json()["detail"]}
    assert (right.status_code, right.json()["code"]) == (429, "login_throttled")
    assert int(right.headers["Retry-After"]) > 800


async def test_a_network_is_known_for_its_own_user_only(
    scene: Scene, person: Person, database: Postgres
) -> None:
    """Signing in from an address makes it known for that user only."""
    other = f"{uuid4()}@example.com"
    async with scene.client(OWNER) as owner, scene.client(THIEF) as thief:
        body = {"email": other, "password": PASSWORD}
        assert (await owner.post("/auth/register", json=body)).status_code == 201
        assert (await login(owner, person.email, PASSWORD)).is_success
        await failed(database, person, other, LONG)
        await login(thief, other)

        assert (await login(owner, other, PASSWORD)).status_code == 429
        assert (await login(owner, other, WRONG)).status_code == 429


async def test_hsts_stands_on_answers_that_went_over_tls(scene: Scene) -> None:
    """Every response over TLS carries HSTS; responses in clear do not, even if the client claims TLS."""
    async with (
        from_address(OWNER, scene.front.tls, scene.front.trust) as tls,
        from_address(OWNER, scene.front.clear) as clear,
        from_address(OWNER, scene.gateway) as past,
    ):
        for path in ("/healthz", "/nowhere", "/api/v1/me", "/swagger-ui"):
            assert (await tls.get(path)).headers[HSTS] == "max-age=31536000"
            for client in (clear, past):
                said = await client.get(path, headers={"X-Forwarded-Proto": "https"})
                assert HSTS not in said.headers
