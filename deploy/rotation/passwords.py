"""The passwords of the database's roles: the gateway accepts both, the role changes, the old one goes.

A next password in its file says that a rotation was interrupted: it may be the role's already.
"""

from datetime import UTC, datetime

from deploy.database.passwords import both, following, in_use
from deploy.database.roles import change_password, note_password
from deploy.keys import GATEWAY, OWNER, SUPERUSER
from deploy.private_files import kept, password
from deploy.rotation.surroundings import RotationFailed, Surroundings

SERVICE = "gateway"


async def rotate_passwords(place: Surroundings) -> None:
    """Replace the passwords of gateway, owner and superuser; raises RotationFailed."""
    try:
        kept(following(place.keys, GATEWAY), password)
        place.tell("passwords: the gateway learns its next one")
        await place.roll(SERVICE)
        await _replace(place, GATEWAY, OWNER)
        await place.roll(SERVICE)
        await _replace(place, OWNER, OWNER)
        await _of_superuser(place)
    except OSError as error:
        raise RotationFailed(f"the files of passwords can not be changed: {error.strerror}") from None


async def _of_superuser(place: Surroundings) -> None:
    """Replace the superuser's password, unless it belongs to another; raises RotationFailed.

    Only the superuser may note when its own and the owner's were made.
    """
    if await _logs_in(place, SUPERUSER):
        await _replace(place, SUPERUSER, SUPERUSER)
        return
    async with place.database(OWNER):
        pass  # the database answers, so it refused the superuser alone
    if (new := following(place.keys, SUPERUSER)).exists():
        raise RotationFailed(
            f"the passwords of {GATEWAY} and {OWNER} are replaced. That of {SUPERUSER} is neither in its "
            f"file nor in {new.name}, which an interrupted rotation has left: repair that, or delete "
            f"{new.name} if the superuser belongs to another, then run the same command again"
        )
    place.tell(f"passwords: {SUPERUSER} can not log in with its own, which belongs to another, and stays")


async def _logs_in(place: Surroundings, role: str) -> bool:
    """Return whether a role can log in with a password of the folder."""
    try:
        async with place.database(role):
            return True
    except RotationFailed:
        return False


async def _replace(place: Surroundings, role: str, by: str) -> None:
    """Give a role its next password, and put its file in place; raises RotationFailed."""
    new = following(place.keys, role)
    secret = kept(new, password).read_bytes()
    async with place.database(by) as connection:
        await change_password(connection, role, secret)
        made = datetime.now(UTC)
        if by == SUPERUSER:
            await note_password(connection, SUPERUSER, made)
            await note_password(connection, OWNER, made)
        elif role != by:
            await note_password(connection, role, made)
    new.replace(in_use(place.keys, role))
    both(place.keys, role).unlink(missing_ok=True)
    place.tell(f"passwords: {role} has its new one")
