"""The nkeys of the bus's own users: NATS learns the new ones, they are used, and the old ones go.

The files say which step comes next. All users take a step together, because each reload of NATS
interrupts requests.
"""

from deploy.bus_keys import OWN_USERS, dated_seed, following, former, public_key, seed_file
from deploy.private_files import kept, write_private
from deploy.rotation.surroundings import SERVICES, RotationFailed, Surroundings


async def rotate_nkeys(place: Surroundings) -> None:
    """Replace the nkeys of services, administrator and system user; raises RotationFailed.

    Subscribers keep theirs, which other programs have.
    """
    try:
        _make(place)
        await place.reload_bus()
        _use(place)
        await place.roll(*SERVICES)
        for name in OWN_USERS:
            former(place.keys, name).unlink(missing_ok=True)
    except OSError as error:
        raise RotationFailed(f"the nkeys can not be changed: {error.strerror}") from None
    await place.reload_bus()
    place.tell("nkeys: NATS refuses the earlier ones")


def _make(place: Surroundings) -> None:
    """Make the seeds that follow, unless an interrupted rotation uses some already."""
    if any(former(place.keys, name).exists() for name in OWN_USERS):
        return
    for name in OWN_USERS:
        kept(following(place.keys, name), dated_seed)
    place.tell("nkeys: NATS learns the new ones")


def _use(place: Surroundings) -> None:
    """Put the new seeds in place; NATS admits both until the old public keys are forgotten."""
    for name in OWN_USERS:
        path, new = seed_file(place.keys, name), following(place.keys, name)
        if new.exists():
            write_private(former(place.keys, name), public_key(path).encode())
            new.replace(path)
