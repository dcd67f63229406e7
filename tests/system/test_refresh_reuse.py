"""A refresh token gets one successor; using it late, or an older one, ends the login (R-24)."""

import asyncio
import time
from collections.abc import Callable
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

from deploy.local.postgres import Postgres
from deploy.local.stack import Stack
from tests.system.person import CALL_SECONDS, PASSWORD, Person
from tests.system.test_sweeper import run

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
    """Logins of one user, one after another, against this model's expectations of their tokens."""

    def __init__(self, client: httpx.Client, email: str, pass_time: Callable[[], None]) -> None:
        super().__init__()
        self._client, self._email, self._pass_time = client, email, pass_time
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
    @rule()
    def repeat(self) -> None:
        """Repeat the last token within 20 seconds, which gets the same successor."""
        answer = self._refresh(self.used[-1]).raise_for_status().json()
        assert answer["refresh_token"] == self.current
        self.access = [*self.access, answer["access_token"]]

    @precondition(lambda self: self.alive and self.used)
    @rule()
    def repeat_late(self) -> None:
        """Repeat the last token after 20 seconds, which ends the family."""
        self._pass_time()
        self._is_reuse(self.used[-1])

    @precondition(lambda self: self.alive and len(self.used) > 1)
    @rule(data=st.data())
    def reuse(self, data: st.DataObject) -> None:
        """Use an older token, which ends the family at any time."""
        self._is_reuse(data.draw(st.sampled_from(self.used[:-1])))

    @precondition(lambda self: self.alive)
    @rule(times=st.integers(2, 4))
    def race(self, times: int) -> None:
        """Use the newest token many times at once; all get the same successor."""
        with ThreadPoolExecutor(times) as threads:
            answers = list(threads.map(self._refresh, [self.current] * times))
        first, *others = [answer.raise_for_status().json() for answer in answers]
        assert {other["refresh_token"] for other in others} == {first["refresh_token"]}
        self._took_over(answers[0])
        self.access = [*self.access, *(other["access_token"] for other in others)]

    @precondition(lambda self: self.alive)
    @rule()
    def sign_out(self) -> None:
        """Sign out, which ends the family at once."""
        headers = {"Authorization": f"Bearer {self.access[0]}"}
        assert self._client.post("/auth/logout", headers=headers).status_code == 204
        self._ended()

    @rule(guess=st.sampled_from(["", "x", "0" * 43, "0" * 129]))
    def guess(self, guess: str) -> None:
        """Try an invented token, which changes nothing."""
        assert self._refresh(guess).status_code == 401

    @invariant()
    def access_follows_the_family(self) -> None:
        """Every access token of a family works exactly as long as the family lives."""
        assert {self._me(token) for token in self.access} <= {200 if self.alive else 401}

    @precondition(lambda self: self.access and not self.alive)
    @rule(data=st.data())
    def knock(self, data: st.DataObject) -> None:
        """Try a token of a dead family, which gets no tokens."""
        token = data.draw(st.sampled_from([self.current, *self.used]))
        assert self._refresh(token).status_code == 401

    def _refresh(self, token: str) -> httpx.Response:
        return self._client.post("/auth/refresh", json={"refresh_token": token})

    def _is_reuse(self, token: str) -> None:
        answer = self._refresh(token)
        assert (answer.status_code, answer.json()["code"]) == (401, "refresh_token_reused")
        self._ended()

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


async def test_a_login_lives_or_ends_as_a_whole(stack: Stack, person: Person, database: Postgres) -> None:
    """In any order of uses, a family is alive or dead as a whole."""
    loop = asyncio.get_running_loop()

    def pass_time() -> None:
        later = run(database, "update refresh_tokens set used_at = used_at - interval '20 seconds'")
        asyncio.run_coroutine_threadsafe(later, loop).result(CALL_SECONDS)

    with httpx.Client(base_url=f"{stack.api}/api/v1", timeout=CALL_SECONDS, trust_env=False) as client:
        # Typed as a class, but a factory works.
        machine: Any = partial(Families, client, person.email, pass_time)
        await asyncio.to_thread(run_state_machine_as_test, machine, settings=RUNS)
