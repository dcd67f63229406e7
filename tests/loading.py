"""A steady load of syncs at the gateway that a user calls at the time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import cycle

import httpx

from tests.system.person import Person

# Settings of a gateway for one user with a load.
UNLIMITED = {
    "SYNC_LIMIT_PER_MINUTE": "100000",
    "WRITE_LIMIT_PER_MINUTE": "100000",
    "SIGN_IN_LIMIT_PER_MINUTE": "100000",
}


class Load:
    """Requests syncs of users' accounts in turn, and keeps what failed and the ids of what was accepted."""

    def __init__(self, accounts: Sequence[tuple[Person, str]], per_second: float) -> None:
        self._accounts = cycle(accounts)
        self._pause = 1 / per_second
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
        try:
            answer = await person.client.post(
                f"/accounts/{account}/sync", headers={"Prefer": "respond-async"}
            )
        except httpx.TransportError as error:
            self.failed[repr(error)] += 1
            return
        if answer.is_success:  # 200 if the sync ended before the response was written
            self.accepted[answer.json()["sync_id"]] = None  # that of an open sync of the account is known
        else:
            self.failed[f"{answer.status_code} {answer.text}"] += 1
