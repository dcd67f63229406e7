"""A steady load of syncs at the gateway that a user calls at the time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from itertools import cycle
from uuid import uuid4

import httpx

from tests.system.person import Person
from tests.waiting import until

# Settings of a gateway for one user with a load.
UNLIMITED = {
    "SYNC_LIMIT_PER_MINUTE": "100000",
    "WRITE_LIMIT_PER_MINUTE": "100000",
    "SIGN_IN_LIMIT_PER_MINUTE": "100000",
}
# Where servers are killed, a refusal with one of these codes is followed by another try of the same request.
WHILE_DYING = ("database_unavailable", "overloaded")


class Load:
    """Requests syncs of users' accounts in turn, and keeps the failures and the ids of the accepted syncs.

    It repeats a request that is refused with a code of `repeated`, with the same Idempotency-Key.
    """

    def __init__(
        self, accounts: Sequence[tuple[Person, str]], per_second: float, repeated: Collection[str] = ()
    ) -> None:
        self._accounts = cycle(accounts)
        self._pause = 1 / per_second
        self._repeated = repeated
        self.failed: Counter[str] = Counter()
        self.accepted: dict[str, None] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Request at an even rate, without waiting for responses, until the end of the block."""
        async with asyncio.TaskGroup() as requests:
            ticking = requests.create_task(self._tick(requests))
            yield
            ticking.cancel()

    async def _tick(self, requests: asyncio.TaskGroup) -> None:
        clock = asyncio.get_running_loop()
        due = clock.time()
        while True:
            requests.create_task(self._request(*next(self._accounts)))
            due += self._pause
            await asyncio.sleep(due - clock.time())

    async def _request(self, person: Person, account: str) -> None:
        headers = {"Prefer": "respond-async", "Idempotency-Key": str(uuid4())}
        answer = httpx.Response(0)

        async def final() -> bool:
            nonlocal answer
            answer = await person.client.post(f"/accounts/{account}/sync", headers=headers)
            # The server itself answers without a problem.
            code = answer.json()["code"] if answer.content and not answer.is_success else ""
            return code not in self._repeated

        try:
            await until(final)
        except httpx.TransportError as error:
            self.failed[repr(error)] += 1
            return
        if answer.is_success:  # 200 if the sync ended before the response was written
            self.accepted[answer.json()["sync_id"]] = None  # that of an open sync of the account is known
        else:
            self.failed[f"{answer.status_code} {answer.text}"] += 1
