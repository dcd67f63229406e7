"""Password hashing with argon2id in a bounded pool, because one hash takes 46 MiB."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from contracts.values import Secret
from gateway.places import Places

MEMORY_KIB = 46 * 1024
ROUNDS = 2
AT_ONCE = 2

Result = TypeVar("Result")


class Passwords:
    """Hashes and checks passwords, two at a time; what would wait for long is refused with TooBusy.

    Clients that are known have places of their own, which strangers can not take.
    """

    def __init__(self, most: int) -> None:
        self._hasher = PasswordHasher(time_cost=ROUNDS, memory_cost=MEMORY_KIB, parallelism=1)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
        self._strangers, self._known = Places(most), Places(most)
        self._nobody = self._hasher.hash("nobody has this password")

    async def hash(self, password: Secret, client: str, *, known: bool = False) -> str:
        """Hash a password for a client: an address or a user; the text holds its salt and parameters."""
        with self._places(known).taken(client):
            return await self._run(self._hasher.hash, password.reveal())

    async def matches(
        self, password_hash: str | None, password: Secret, client: str, *, known: bool = False
    ) -> bool:
        """Check a password for a client; None, for an unknown user, takes as long and is False."""
        with self._places(known).taken(client):
            matched = await self._run(self._verify, password_hash or self._nobody, password.reveal())
        return matched and password_hash is not None

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    def _places(self, known: bool) -> Places:  # noqa: FBT001 - passed on
        return self._known if known else self._strangers

    async def _run(self, work: Callable[..., Result], *arguments: str) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
