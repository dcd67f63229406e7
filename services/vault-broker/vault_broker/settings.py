"""The settings of the vault-broker, from its environment and the files it names."""

from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from chassis.settings import OPTIONAL as RUNNING
from chassis.settings import Environment, Running, content, parsed, readable, running
from contracts.wire.grants import load_verifying_key

DEFAULT_PORT = 3002
# The optional settings of `load`; a starter passes on only these from its own environment.
OPTIONAL = RUNNING


class Settings(msgspec.Struct, frozen=True):
    """The settings of one vault-broker.

    The broker reads the two AppRole files at each login, so the operator may replace them while it runs.
    """

    running: Running
    vault_address: str
    vault_ca_file: str
    role_id_file: Path
    secret_id_file: Path
    gateway_key: Ed25519PublicKey


def load(environ: Environment) -> Settings:
    """Read the settings; raises BadSetting."""
    return Settings(
        running=running(environ, DEFAULT_PORT, also=["PORT"]),
        vault_address=parsed(environ, "VAULT_ADDR", _https),
        vault_ca_file=str(parsed(environ, "VAULT_CACERT", readable)),
        role_id_file=parsed(environ, "VAULT_ROLE_ID_FILE", readable),
        secret_id_file=parsed(environ, "VAULT_SECRET_ID_FILE", readable),
        gateway_key=parsed(environ, "GRANT_PUBLIC_KEY_FILE", lambda text: load_verifying_key(content(text))),
    )


def _https(text: str) -> str:
    if not text.startswith("https://"):
        raise ValueError("the vault is spoken to over https only")
    return text
