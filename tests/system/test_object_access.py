"""An object of another user gets, byte for byte, the response of one that does not exist (R-26)."""

import asyncio
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest_asyncio
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from deploy.local.stack import Stack
from tests.system.conftest import NewPerson
from tests.system.person import CALL_SECONDS, Person, credentials
from tests.system.routes import Route, all_routes

BODIES: dict[str, Any] = {
    "PATCH /api/v1/accounts/{account_id}": {"name": "Mine now"},
    "PUT /api/v1/accounts/{account_id}/credentials": {"credentials": credentials("plain")},
}
OFFER = {"exchange": "binance", "region": "global"}
# The parts of a response that change from one request to the next.
COUNTING = {"date": "", "ratelimit": ""}
SYNC = "POST /api/v1/accounts/{account_id}/sync"
RUNS = settings(
    max_examples=5,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class Owner:
    """A user with a synced account, alone and in a batch."""

    def __init__(self, client: httpx.Client, ids: dict[str, str]) -> None:
        self.client, self.ids = client, ids

    def asks(self, route: Route, identifier: str) -> httpx.Response:
        """Read an object by its id."""
        return self.client.request(route.method, route.at(identifier), json=BODIES.get(str(route)))

    def sees(self, routes: list[Route]) -> list[bytes]:
        """Return all that can be read."""
        own = [self.asks(route, self.ids[str(route.parameter)]) for route in routes if route.method == "GET"]
        return [answer.raise_for_status().content for answer in own]

    def renames(self, name: str) -> None:
        """Rename the account, the change without side effects."""
        path = f"/api/v1/accounts/{self.ids['account_id']}"
        assert self.client.patch(path, json={"name": name}).json()["name"] == name


class Neighbours(RuleBasedStateMachine):
    """Two users: each changes their own objects and tries those of the other."""

    def __init__(self, owners: list[Owner], routes: list[Route]) -> None:
        super().__init__()
        self.owners = owners
        self.routes = [route for route in routes if str(route) != SYNC]

    @rule(which=st.integers(0, 1), name=st.text("abc", min_size=1, max_size=8))
    def change(self, which: int, name: str) -> None:
        """Change an own object; the other's stays as it is."""
        before = self.owners[1 - which].sees(self.routes)
        self.owners[which].renames(name)
        assert self.owners[1 - which].sees(self.routes) == before

    @rule(which=st.integers(0, 1), data=st.data())
    def reach(self, which: int, data: st.DataObject) -> None:
        """Try an object of the other: it is not found and does not change."""
        route = data.draw(st.sampled_from(self.routes), label="route")
        other = self.owners[1 - which]
        before = other.sees(self.routes)
        for identifier in other.ids.values():
            is_missing(self.owners[which], route, identifier)
        assert other.sees(self.routes) == before

    @rule(which=st.integers(0, 1))
    def page(self, which: int) -> None:
        """Use the other's sync as a cursor in the own list; the gateway refuses it."""
        path = f"/api/v1/accounts/{self.owners[which].ids['account_id']}/syncs"
        cursors = [self.owners[1 - which].ids["sync_id"], str(uuid4())]
        answers = [self.owners[which].client.get(path, params={"cursor": cursor}) for cursor in cursors]
        assert (answers[0].status_code, answers[0].content) == (400, answers[1].content)


def is_missing(asking: Owner, route: Route, identifier: str) -> None:
    """Fail unless an id gets the response of an unknown one."""
    foreign, missing = asking.asks(route, identifier), asking.asks(route, str(uuid4()))
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found"), str(route)
    assert foreign.status_code == 404, str(route)
    assert foreign.content == missing.content, str(route)
    assert {**foreign.headers, **COUNTING} == {**missing.headers, **COUNTING}, str(route)


@pytest_asyncio.fixture(name="routes")
async def _routes(person: Person) -> list[Route]:
    # An asset is no object of a user; `test_prices` shows that a price of one user is not another's.
    return [route for route in await all_routes(person.client) if route.parameter not in {None, "asset"}]


@pytest_asyncio.fixture(name="owners")
async def _owners(stack: Stack, new_person: NewPerson) -> Any:
    owners = []
    for name in ("plain", "plain"):  # two users may connect the same account of an exchange
        person = await new_person()
        account = await person.connect(name)
        batch = await person.post("/accounts/sync-all")
        ids = {
            "account_id": account["id"],
            "sync_id": batch["results"][0]["sync_id"],
            "batch_id": batch["batch_id"],
            "offer_id": (await person.post("/key-offers", OFFER, 201))["offer"],
            "session_id": (await person.get("/me/sessions"))[0]["id"],
        }
        token = person.client.headers["Authorization"]
        client = httpx.Client(
            base_url=stack.api, timeout=CALL_SECONDS, trust_env=False, headers={"Authorization": token}
        )
        owners.append(Owner(client, ids))
    yield owners
    for owner in owners:
        owner.client.close()


async def test_every_foreign_id_is_a_missing_one(owners: list[Owner], routes: list[Route]) -> None:
    """No route distinguishes a foreign id from a missing one, or acts on it."""
    thief, owner = owners
    before = owner.sees(routes)

    for route in routes:
        for identifier in owner.ids.values():
            await asyncio.to_thread(is_missing, thief, route, identifier)

    assert owner.sees(routes) == before
    assert {str(route.parameter) for route in routes} == owner.ids.keys()


async def test_neighbours_never_meet(owners: list[Owner], routes: list[Route]) -> None:
    """In any order of actions, neither user sees or changes an object of the other."""
    machine: Any = partial(Neighbours, owners, routes)  # typed as a class, but a factory works
    await asyncio.to_thread(run_state_machine_as_test, machine, settings=RUNS)
