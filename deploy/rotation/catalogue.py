"""The keys that an operator rotates, by their names on the command line."""

from collections.abc import Awaitable, Callable, Mapping

from deploy.rotation.bus import rotate_nkeys
from deploy.rotation.certificates import rotate_certificates
from deploy.rotation.passwords import rotate_passwords
from deploy.rotation.signing import rotate_grant, rotate_jwt
from deploy.rotation.surroundings import Surroundings

Rotation = Callable[[Surroundings], Awaitable[None]]

ROTATIONS: Mapping[str, Rotation] = {
    "jwt": rotate_jwt,
    "grant": rotate_grant,
    "nkeys": rotate_nkeys,
    "passwords": rotate_passwords,
    "certificates": rotate_certificates,
}
