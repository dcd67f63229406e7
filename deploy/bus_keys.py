"""Files of the nkeys of the bus's own users, in the folder of keys: a seed after the line with its time.

While a key is replaced, `gateway.next.nk` has the next seed, or `gateway.old.pub` the earlier public key.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_bytes

import nkeys

from contracts.wire.bus_users import USERS
from contracts.wire.key_files import created_line, last_line
from deploy.private_files import kept

SYSTEM = "system"
OWN_USERS = (*(user.name for user in USERS), SYSTEM)


def seed_file(keys: Path, name: str) -> Path:
    """Return the path of the seed that a user connects with."""
    return keys / f"{name}.nk"


def following(keys: Path, name: str) -> Path:
    """Return the path of the seed that a user will connect with, only while its key is replaced."""
    return keys / f"{name}.next.nk"


def former(keys: Path, name: str) -> Path:
    """Return the path of the public key that a user connected with, only while its key is replaced."""
    return keys / f"{name}.old.pub"


def public_keys(keys: Path) -> Mapping[str, tuple[str, ...]]:
    """Return the public keys that the bus admits for each of its own users; creates missing seeds."""
    return {name: _admitted(keys, name) for name in OWN_USERS}


def seed(path: Path) -> str:
    """Return the seed of a file; raises OSError."""
    return last_line(path.read_bytes()).decode()


def public_key(path: Path) -> str:
    """Return the public key of a file with a seed; raises OSError."""
    public: bytes = nkeys.from_seed(bytearray(last_line(path.read_bytes()))).public_key
    return public.decode()


def new_seed() -> bytes:
    """Return a new seed of a user."""
    made: bytes = nkeys.encode_seed(token_bytes(32), nkeys.PREFIX_BYTE_USER)
    return made


def dated_seed() -> bytes:
    """Return a new seed after the line with its time."""
    return created_line(datetime.now(UTC)) + new_seed()


def _admitted(keys: Path, name: str) -> tuple[str, ...]:
    found = [public_key(kept(seed_file(keys, name), dated_seed))]
    if following(keys, name).exists():
        found.append(public_key(following(keys, name)))
    if former(keys, name).exists():
        found.append(former(keys, name).read_text())
    return tuple(dict.fromkeys(found))
