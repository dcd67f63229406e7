"""The keys that an operator rotates, by their names on the command line."""

from collections.abc import Awaitable, Callable, Mapping

from deploy.rotation.bus import rotate_nkeys
from deploy.rotation.certificates import rotate_certificates
from deploy.rotation.login import rotate_login
from deploy.rotation.passwords import rotate_passwords
from deploy.rotation.seal import rotate_seal
from deploy.rotation.sealing import rotate_sealing
from deploy.rotation.signing import rotate_grant, rotate_jwt
from deploy.rotation.surroundings import Surroundings
from deploy.rotation.wrapping import rotate_wrapping

Rotation = Callable[[Surroundings], Awaitable[None]]

ROTATIONS: Mapping[str, Rotation] = {
    "jwt": rotate_jwt,
    "grant": rotate_grant,
    "sealing": rotate_sealing,
    "wrapping": rotate_wrapping,
    "login": rotate_login,
    "seal": rotate_seal,
    "nkeys": rotate_nkeys,
    "passwords": rotate_passwords,
    "certificates": rotate_certificates,
}

# What each key is for, as `--help` shows it.
PURPOSES: Mapping[str, str] = {
    "jwt": "signs the access tokens of users",
    "grant": "signs the gateway's grants, by which workers use an exchange key",
    "sealing": "protects credentials on their way to the vault-broker",
    "wrapping": "protects exchange keys on their way into the vault",
    "login": "the secret id with which the vault-broker logs in at the vault",
    "seal": "unseals the vault",
    "nkeys": "with which services log in at the bus",
    "passwords": "of the database's roles",
    "certificates": "of the bus and the vault, and their authorities",
}


def explained() -> str:
    """Return a line for each key."""
    width = max(map(len, PURPOSES))
    return "\n".join(["keys:", *(f"  {name:{width}}  {text}" for name, text in PURPOSES.items())])
