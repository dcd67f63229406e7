"""Password hashing with argon2id in bounded pools, because one hash takes 46 MiB."""

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
# The hash of no password, which takes as long to check as any other: parameters, salt, and 32 bytes of zero.
OF_NOBODY = f"$argon2id$v=19$m={MEMORY_KIB},t={ROUNDS},p=1${'A' * 22}${'A' * 43}"

Result = TypeVar("Result")


class Hashing:
    """Two hashing threads, and slots for the clients that use or wait for them."""

    def __init__(self, name: str, most: int) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix=f"argon2-{name}")
        self._places = Places(most)

    async def run(self, client: str, work: Callable[..., Result], *arguments: str) -> Result:
        """Run `work` for a client in a thread; raises TooBusy."""
        with self._places.taken(client):
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Passwords:
    """Hashes and checks passwords; raises TooBusy when a call would wait for long.

    Known clients are signed in, or signed in before from their network. They have separate slots and threads,
    so strangers can not use those up. Each client holds at most a quarter of the slots.
    """

    def __init__(self, most: int) -> None:
        self._hasher = PasswordHasher(time_cost=ROUNDS, memory_cost=MEMORY_KIB, parallelism=1)
        self._strangers, self._known = Hashing("strangers", most), Hashing("known", most)

    async def hash(self, password: Secret, client: str, *, known: bool = False) -> str:
        """Return the hash of a password, with salt and parameters; `client` is an address or a user."""
        return await self._hashing(known).run(client, self._hasher.hash, password.reveal())

    async def matches(
        self, password_hash: str | None, password: Secret, client: str, *, known: bool = False
    ) -> bool:
        """Check a password; for an unknown user the hash is None, and False takes as long to return."""
        expected = password_hash or OF_NOBODY
        matched = await self._hashing(known).run(client, self._verify, expected, password.reveal())
        return matched and password_hash is not None

    def close(self) -> None:
        """End the threads."""
        for hashing in (self._strangers, self._known):
            hashing.close()

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    def _hashing(self, known: bool) -> Hashing:  # noqa: FBT001 - passed on
        return self._known if known else self._strangers
