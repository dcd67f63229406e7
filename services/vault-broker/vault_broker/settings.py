"""The settings of the vault-broker, from the environment and the files that it names."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec
import nkeys
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from contracts.bus.grants import load_verifying_key
from contracts.values import Secret

DEFAULT_PORT = "3002"
MAX_PORT = 65535
MAX_FILE = 64 * 1024
Value = TypeVar("Value")


class BadSetting(Exception):
    """A setting that is missing or can not be used; the text names the variable and repeats no secret."""


class Settings(msgspec.Struct, frozen=True):
    """All that the process is told from outside.

    The two AppRole files are read at each log-in, so that their content may be replaced while it runs.
    """

    nats_url: str
    nats_seed: Secret
    vault_address: str
    vault_ca_file: str
    role_id_file: Path
    secret_id_file: Path
    gateway_key: Ed25519PublicKey
    log_level: str
    listen_host: str
    port: int


def load(environ: Mapping[str, str]) -> Settings:
    """Read the settings; raises BadSetting."""
    return Settings(
        nats_url=_required(environ, "NATS_URL"),
        nats_seed=_parsed(environ, "NATS_NKEY_FILE", _seed),
        vault_address=_parsed(environ, "VAULT_ADDR", _https),
        vault_ca_file=_parsed(environ, "VAULT_CACERT", lambda text: str(_file(text))),
        role_id_file=_parsed(environ, "VAULT_ROLE_ID_FILE", _file),
        secret_id_file=_parsed(environ, "VAULT_SECRET_ID_FILE", _file),
        gateway_key=_parsed(
            environ, "GRANT_PUBLIC_KEY_FILE", lambda text: load_verifying_key(_content(text))
        ),
        log_level=environ.get("LOG_LEVEL", "info"),
        listen_host=environ.get("LISTEN_HOST", "127.0.0.1"),
        port=_parsed({"PORT": DEFAULT_PORT, **environ}, "PORT", _port),
    )


def _required(environ: Mapping[str, str], name: str) -> str:
    if not environ.get(name):
        raise BadSetting(f"{name} is not set")
    return environ[name]


def _parsed(environ: Mapping[str, str], name: str, parse: Callable[[str], Value]) -> Value:
    text = _required(environ, name)
    try:
        return parse(text)
    except (OSError, ValueError, UnsupportedAlgorithm, nkeys.NkeysError) as error:
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        raise BadSetting(f"{name} can not be used: {reason}") from None


def _file(text: str) -> Path:
    path = Path(text)
    with path.open("rb"):
        return path


def _content(text: str) -> bytes:
    with _file(text).open("rb") as file:
        return file.read(MAX_FILE)


def _seed(text: str) -> Secret:
    seed = _content(text).strip()
    nkeys.from_seed(bytearray(seed)).wipe()
    return Secret(seed.decode("ascii"))


def _https(text: str) -> str:
    if not text.startswith("https://"):
        raise ValueError("the vault is spoken to over https only")
    return text


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port <= MAX_PORT:
        raise ValueError("a port is a number from 1 to 65535")
    return port
