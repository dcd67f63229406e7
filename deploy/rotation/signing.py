"""The two keys with which gateways sign, each replaced in the three steps of decision 35.

The file of a key says which step comes next: it has one key, two with the newer one second, or two with the
newer one first. The step before is done again then, because its roll may have been interrupted.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from contracts.wire.key_files import created, pieces
from deploy.keys import OWNER
from deploy.private_files import write_private
from deploy.rotation.surroundings import RotationFailed, Surroundings
from deploy.signing_keys import new_key

BROKER, GATEWAY = "vault-broker", "gateway"
# Programs outside may keep /.well-known/jwks.json for so long.
JWKS_SECONDS = 300.0
ACCESS_TOKEN_SECONDS = 900.0
# An outcome may come so long after its sync was settled, and one of a forgotten key counts as forged.
LATE_OUTCOME_SECONDS = 60.0
MAX_KEYS = 2
POLL_SECONDS = 5.0
# A key of an earlier release does not say when it was made.
UNKNOWN = datetime.min.replace(tzinfo=UTC)

Step = Callable[[], Awaitable[None]]


async def rotate_jwt(place: Surroundings) -> None:
    """Replace the key of access tokens; raises RotationFailed."""

    async def learn() -> None:
        await place.roll(GATEWAY)
        await place.wait(JWKS_SECONDS, "programs outside may keep the earlier list of public keys")

    async def use() -> None:
        await place.roll(GATEWAY)
        await place.wait(ACCESS_TOKEN_SECONDS, "access tokens of the earlier key are valid for so long")

    await _three_steps(place, "jwt.pem", learn, use)
    await place.roll(GATEWAY)


async def rotate_grant(place: Surroundings) -> None:
    """Replace the key of grants; raises RotationFailed."""

    async def learn() -> None:
        await place.roll(BROKER, GATEWAY)

    async def use() -> None:
        await place.roll(GATEWAY)
        await _open_syncs_ended(place)
        await place.wait(LATE_OUTCOME_SECONDS, "an outcome of the earlier key may come late")

    await _three_steps(place, "grant.pem", learn, use)
    await place.roll(GATEWAY, BROKER)


async def _three_steps(place: Surroundings, name: str, learn: Step, use: Step) -> None:
    """Add a key to a file, put it first, and remove the earlier one, from the step that comes next.

    `learn` and `use` return when all gateways accept the key, and when nothing needs the earlier one.
    """
    path = place.keys / name
    if len(_keys(path)) == 1:
        (old,) = _keys(path)
        write_private(path, _lines(old, _newer(old, name)))
        place.tell(f"{name}: a new key is the second one")
    first, second = _keys(path)
    if _made(first) == _made(second):
        raise RotationFailed(
            f"the two keys of {path} do not say which is newer: end the rotation that was begun by hand, or "
            "write a line `Created: TIME` before each"
        )
    if _made(second) > _made(first):
        await learn()
        first, second = second, first
        write_private(path, _lines(first, second))
        place.tell(f"{name}: the new key is the first one")
    await use()
    write_private(path, _lines(first))
    place.tell(f"{name}: the earlier key is gone")


async def _open_syncs_ended(place: Surroundings) -> None:
    """Wait until the syncs that are open now have ended, at their deadline at the latest."""
    async with place.database(OWNER) as database:
        opened = "select coalesce(max(number), 0) from syncs where status = 'queued'"
        (newest,) = await (await database.execute(opened)).fetchone() or (0,)
        left = "select count(*) from syncs where status = 'queued' and number <= %s"
        while (found := await (await database.execute(left, [newest])).fetchone()) and found[0]:
            await place.wait(POLL_SECONDS, f"{found[0]} syncs have grants of the earlier key")


def _keys(path: Path) -> list[bytes]:
    try:
        found = [each.strip() for each in pieces(path.read_bytes())]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is damaged"
        raise RotationFailed(f"{path} can not be used: {reason}") from None
    if len(found) > MAX_KEYS:
        raise RotationFailed(f"{path} has {len(found)} keys: remove those that no token or grant needs")
    return found


def _newer(old: bytes, name: str) -> bytes:
    key = new_key()
    if _made(key) <= _made(old):
        raise RotationFailed(f"the clock is not after the time when the key of {name} was made: correct it")
    return key


def _made(key: bytes) -> datetime:
    return created(key) or UNKNOWN


def _lines(*keys: bytes) -> bytes:
    return b"".join(key.strip() + b"\n" for key in keys)
