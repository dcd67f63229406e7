"""A refresh token is good for one use; a second use ends everything that came of it (R-24)."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from deploy.local.stack import Stack
from tests.system.person import CALL_SECONDS, PASSWORD, Person

REVOKED_WITHIN = 1.0
RUNS = settings(
    max_examples=10,
    stateful_step_count=12,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class Families(RuleBasedStateMachine):
    """One login after another of one person, against what this model expects of its tokens."""

    def __init__(self, client: httpx.Client, email: str) -> None:
        super().__init__()
        self._client, self._email = client, email
        self.current = ""
        self.used: list[str] = []
        self.access: list[str] = []
        self.alive = False

    @precondition(lambda self: not self.alive)
    @rule()
    def sign_in(self) -> None:
        """Begin a family."""
        answer = self._client.post("/auth/login", json={"email": self._email, "password": PASSWORD})
        tokens = answer.raise_for_status().json()
        self.current, self.used, self.access = tokens["refresh_token"], [], [tokens["access_token"]]
        self.alive = True

    @precondition(lambda self: self.alive)
    @rule()
    def rotate(self) -> None:
        """Exchange the newest token for the next."""
        self._took_over(self._refresh(self.current))

    @precondition(lambda self: self.alive and self.used)
    @rule(data=st.data())
    def reuse(self, data: st.DataObject) -> None:
        """Any used token, however old, ends the family."""
        assert self._refresh(data.draw(st.sampled_from(self.used))).status_code == 401
        self._ended()

    @precondition(lambda self: self.alive)
    @rule(times=st.integers(2, 4))
    def race(self, times: int) -> None:
        """Of uses at the same time at most one gives tokens, and the family is over."""
        with ThreadPoolExecutor(times) as threads:
            answers = list(threads.map(self._refresh, [self.current] * times))
        (won,) = [answer for answer in answers if answer.status_code != 401]
        self._took_over(won)
        self._ended()

    @precondition(lambda self: self.alive)
    @rule()
    def sign_out(self) -> None:
        """Signing out ends the family at once."""
        headers = {"Authorization": f"Bearer {self.access[0]}"}
        assert self._client.post("/auth/logout", headers=headers).status_code == 204
        self._ended()

    @rule(guess=st.sampled_from(["", "x", "0" * 43, "0" * 129]))
    def guess(self, guess: str) -> None:
        """Try what never was a token, which changes nothing."""
        assert self._refresh(guess).status_code == 401

    @invariant()
    def access_follows_the_family(self) -> None:
        """Every access token of a family works as long as the family lives, and no longer."""
        assert {self._me(token) for token in self.access} <= {200 if self.alive else 401}

    @precondition(lambda self: self.access and not self.alive)
    @rule(data=st.data())
    def knock(self, data: st.DataObject) -> None:
        """Nothing of a dead family gives tokens again."""
        token = data.draw(st.sampled_from([self.current, *self.used]))
        assert self._refresh(token).status_code == 401

    def _refresh(self, token: str) -> httpx.Response:
        return self._client.post("/auth/refresh", json={"refresh_token": token})

    def _took_over(self, answer: httpx.Response) -> None:
        tokens = answer.raise_for_status().json()
        assert tokens["refresh_token"] not in {self.current, *self.used}
        self.used = [*self.used, self.current]
        self.current = tokens["refresh_token"]
        self.access = [*self.access, tokens["access_token"]]

    def _ended(self) -> None:
        deadline = time.monotonic() + REVOKED_WITHIN
        while {self._me(token) for token in self.access} != {401}:
            assert time.monotonic() < deadline, "an access token outlives its family"
        self.alive = False

    def _me(self, token: str) -> int:
        return self._client.get("/me", headers={"Authorization": f"Bearer {token}"}).status_code


async def test_a_refresh_token_is_good_for_one_use(stack: Stack, person: Person) -> None:
    """Whatever is done with tokens in whatever order, a family is alive or dead as a whole."""
    with httpx.Client(base_url=f"{stack.api}/api/v1", timeout=CALL_SECONDS, trust_env=False) as client:
        machine: Any = partial(Families, client, person.email)  # typed as a class, but a factory will do
        await asyncio.to_thread(run_state_machine_as_test, machine, settings=RUNS)
