"""The list of subscribers of a stack, and the keys of its bus."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contracts.wire.subscribers import PREFIX, Subscriber, read_subscribers, write_subscribers
from deploy import bus_keys
from deploy.private_files import kept, write_private


@dataclass(frozen=True, slots=True)
class Registry:
    """A file with the subscribers and their public keys; only the subscriber itself needs its seed.

    A new stack has one subscriber, for the events of all users.
    """

    path: Path
    keys: Path

    def subscribers(self) -> tuple[Subscriber, ...]:
        """Read the list; raises msgspec.DecodeError if the file is not a valid list."""
        if not self.path.exists():
            self.write((Subscriber(PREFIX, public_key(self.seed_file(PREFIX))),))
        return read_subscribers(self.path.read_bytes())

    def write(self, subscribers: tuple[Subscriber, ...]) -> None:
        """Write the list; raises msgspec.ValidationError if it is too long or a name is not valid."""
        write_private(self.path, write_subscribers(subscribers))

    def revoked(self) -> frozenset[str]:
        """Return the names of revoked subscribers whose consumer may still exist."""
        return frozenset(self._revoked.read_text().split()) if self._revoked.exists() else frozenset()

    def revoke(self, name: str) -> None:
        """Record that a subscriber's consumer must be deleted before its name may be used again."""
        write_private(self._revoked, "\n".join(sorted(self.revoked() | {name})).encode())

    def settle(self) -> None:
        """Clear the revoked names after their consumers were deleted."""
        self._revoked.unlink(missing_ok=True)

    @property
    def _revoked(self) -> Path:
        return self.path.with_name("revoked")

    @contextmanager
    def held(self) -> Iterator[tuple[Subscriber, ...]]:
        """Yield the list and lock it against other processes until the end of the block."""
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.subscribers()

    def seed_file(self, name: str) -> Path:
        """Return the path of a subscriber's seed."""
        return self.keys / f"{name}.nk"


def public_key(seed_file: Path) -> str:
    """Return the public key of a subscriber's seed; creates the seed, without a time, if it is missing."""
    return bus_keys.public_key(kept(seed_file, bus_keys.new_seed))
