"""Password hashing with argon2id in a bounded pool, because one hash takes 46 MiB."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from contracts.values import Secret
from gateway.common_passwords import is_common, is_email
from gateway.errors import weak_password

MEMORY_KIB = 46 * 1024
ROUNDS = 2
AT_ONCE = 2
MAX_WAITING = 32

Result = TypeVar("Result")


class TooBusy(Exception):
    """More passwords wait to be hashed than can be in a few seconds."""


class Passwords:
    """Hashes and checks passwords, two at a time; what would wait for long is refused with TooBusy."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=ROUNDS, memory_cost=MEMORY_KIB, parallelism=1)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
        self._waiting = 0
        self._nobody = self._hasher.hash("nobody has this password")

    async def check_new(self, password: Secret, email: str) -> None:
        """Refuse the commonest passwords and the user's own address; raises Problem, TooBusy."""
        if is_email(password.reveal(), email):
            raise weak_password("The password is your email address: choose another.")
        if await self._run(is_common, password.reveal()):
            raise weak_password(
                "This password is one of the commonest, which are tried first: choose a longer or rarer one."
            )

    async def hash(self, password: Secret) -> str:
        """Hash a password; the text holds its salt and parameters."""
        return await self._run(self._hasher.hash, password.reveal())

    async def matches(self, password_hash: str | None, password: Secret) -> bool:
        """Check a password; None, for an unknown user, takes as long and is False."""
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

    async def _run(self, work: Callable[..., Result], *arguments: str) -> Result:
        if self._waiting >= MAX_WAITING:
            raise TooBusy
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        finally:
            self._waiting -= 1
