"""The settings of a service from its environment; errors name a missing or bad setting, never its content."""

import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import nkeys
from cryptography.exceptions import UnsupportedAlgorithm

from chassis.tls import tls_context
from contracts.values import Secret

MAX_PORT = 65535
MAX_FILE = 64 * 1024
MAX_SECONDS = 86400
MAX_NUMBER = 1_000_000
NATS_TLS = ("NATS_CA_FILE", "NATS_CERT_FILE", "NATS_KEY_FILE")
# The optional settings of `running`, besides the address on which the service listens.
OPTIONAL = ("LOG_LEVEL", *NATS_TLS)

Environment = Mapping[str, str]
Value = TypeVar("Value")


class BadSetting(Exception):
    """The setting is missing or cannot be used; the text names the variable and repeats no secret."""


class Address(msgspec.Struct, frozen=True):
    """The address on which a service listens."""

    host: str
    port: int


class Running(msgspec.Struct, frozen=True):
    """The settings of every service: access to the bus, address of the operations port, and log level.

    `nats_urls` are the servers of the bus. Without `nats_tls` the connection to it is not encrypted.
    `certificates` are the files of its certificates, by setting.
    """

    nats_urls: tuple[str, ...]
    nats_seed: Secret
    operations: Address
    log_level: str
    nats_tls: ssl.SSLContext | None = None
    certificates: Mapping[str, str] = {}


def running(environ: Environment, port: int, also: Sequence[str] = ()) -> Running:
    """Read the settings of every service, with its default port for operations; raises BadSetting.

    `also` are other settings that may name that port.
    """
    return Running(
        nats_urls=parsed(environ, "NATS_URL", _servers),
        nats_seed=parsed(environ, "NATS_NKEY_FILE", _seed),
        operations=listening(environ, ("OPERATIONS_PORT", *also), port),
        log_level=environ.get("LOG_LEVEL") or "info",
        nats_tls=_nats_tls(environ),
        certificates={name: environ[name] for name in NATS_TLS[:2] if environ.get(name)},
    )


def listening(environ: Environment, names: Sequence[str], port: int) -> Address:
    """Read the address to listen on; the first setting that is set names the port; raises BadSetting."""
    name = next((name for name in names if environ.get(name)), names[0])
    wanted = {name: environ.get(name) or str(port)}
    return Address(environ.get("LISTEN_HOST") or "127.0.0.1", parsed(wanted, name, _port))


def parsed(environ: Environment, name: str, parse: Callable[[str], Value]) -> Value:
    """Read a required setting; raises BadSetting if it is missing or `parse` refuses it."""
    text = environ.get(name)
    if not text:
        raise BadSetting(f"{name} is not set")
    try:
        return parse(text)
    except (OSError, ValueError, UnsupportedAlgorithm, nkeys.NkeysError) as error:
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        raise BadSetting(f"{name} can not be used: {reason}") from None


def readable(text: str) -> Path:
    """Return the path of a readable file; raises OSError."""
    path = Path(text)
    with path.open("rb"):
        return path


def content(text: str) -> bytes:
    """Read a small file; raises OSError."""
    with Path(text).open("rb") as file:
        return file.read(MAX_FILE).strip()


def seconds(text: str) -> float:
    """Parse a number of seconds, at most a day; raises ValueError."""
    number = float(text)
    if not 0 < number <= MAX_SECONDS:
        raise ValueError("not a time")
    return number


def whole_number(text: str) -> int:
    """Parse a number from one to a million; raises ValueError."""
    number = int(text)
    if not 0 < number <= MAX_NUMBER:
        raise ValueError("not a number of things")
    return number


def listed(text: str) -> tuple[str, ...]:
    """Parse a list with commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _nats_tls(environ: Environment) -> ssl.SSLContext | None:
    """Read the CA of the bus, and the client certificate with its key; raises BadSetting."""
    ca, certificate, key = NATS_TLS
    if not any(environ.get(name) for name in NATS_TLS):
        return None
    parsed(environ, ca, tls_context)
    if not environ.get(certificate) and not environ.get(key):
        return tls_context(environ[ca])
    parsed(environ, key, readable)
    return parsed(environ, certificate, lambda text: tls_context(environ[ca], text, environ[key]))


def _servers(text: str) -> tuple[str, ...]:
    urls = listed(text)
    if not urls:
        raise ValueError("not a list of servers")
    return urls


def _seed(text: str) -> Secret:
    seed = content(text)
    nkeys.from_seed(bytearray(seed)).wipe()
    return Secret(seed.decode("ascii"))


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port <= MAX_PORT:
        raise ValueError("not a port")
    return port
