"""The settings of a service from its environment; errors name a missing or bad setting, never its content."""

import ssl
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
import nkeys
from cryptography.exceptions import UnsupportedAlgorithm

from chassis.tls import tls_context
from contracts.values import Secret
from contracts.wire.key_files import created, last_line

MAX_PORT = 65535
MAX_FILE = 64 * 1024
MAX_SECONDS = 86400
MAX_NUMBER = 1_000_000
NATS_TLS = ("NATS_CA_FILE", "NATS_CERT_FILE", "NATS_KEY_FILE")
# `chassis.otlp` exports traces to a collector; the SDK itself reads the others.
TRACES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_CERTIFICATE")
SDK = ("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_BSP_SCHEDULE_DELAY")
# The optional settings of every service, besides the address on which it listens.
OPTIONAL = ("LOG_LEVEL", *NATS_TLS, *TRACES, *SDK)

Environment = Mapping[str, str]
Value = TypeVar("Value")


class BadSetting(Exception):
    """The setting is missing or cannot be used; the text names the variable and repeats no secret."""


class Address(msgspec.Struct, frozen=True):
    """The address on which a service listens.

    `descriptor` is a socket that its starter has bound to it, None if the service binds one itself.
    A process that follows a running one tells its starter by `ready` that it accepts connections.
    """

    host: str
    port: int
    descriptor: int | None = None
    ready: int | None = None


class Running(msgspec.Struct, frozen=True):
    """The settings of every service: access to the bus, address of the operations port, and log level.

    `nats_urls` are the servers of the bus. Without `nats_tls` the connection to it is not encrypted.
    `nkey_made` is the time when the seed was made, None if its file does not say it.
    `certificates` are the files of its certificates, by setting.
    """

    nats_urls: tuple[str, ...]
    nats_seed: Secret
    operations: Address
    log_level: str
    nats_tls: ssl.SSLContext | None = None
    nkey_made: datetime | None = None
    certificates: Mapping[str, str] = {}


class Collector(msgspec.Struct, frozen=True):
    """A collector of traces, `http(s)://host[:port][/path]`; without `ca_file` the public CAs count."""

    url: str
    ca_file: str | None = None


def collector(environ: Environment) -> Collector | None:
    """Read the collector of traces; None if none is set, and then nothing is traced; raises BadSetting."""
    endpoint, certificate = TRACES
    if not environ.get(endpoint):
        return None
    ca_file = parsed(environ, certificate, _authorities) if environ.get(certificate) else None
    return Collector(parsed(environ, endpoint, _collector), ca_file)


def running(environ: Environment, port: int, also: Sequence[str] = ()) -> Running:
    """Read the settings of every service, with its default port for operations; raises BadSetting.

    `also` are other settings that may name that port.
    """
    seed, nkey_made = parsed(environ, "NATS_NKEY_FILE", _seed)
    return Running(
        nats_urls=parsed(environ, "NATS_URL", _servers),
        nats_seed=seed,
        operations=listening(environ, ("OPERATIONS_PORT", *also), port),
        log_level=environ.get("LOG_LEVEL") or "info",
        nats_tls=_nats_tls(environ),
        nkey_made=nkey_made,
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


def _collector(text: str) -> str:
    parts = urlsplit(text)
    usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    if not usable or parts.username is not None or parts.query or parts.fragment:
        raise ValueError("not http://HOST:PORT or https://HOST:PORT")
    return text.rstrip("/")


def _authorities(text: str) -> str:
    tls_context(text)
    return text


def _servers(text: str) -> tuple[str, ...]:
    urls = listed(text)
    if not urls:
        raise ValueError("not a list of servers")
    return urls


def _seed(text: str) -> tuple[Secret, datetime | None]:
    """Read a seed, which is the last line of its file, and the time of a line before it."""
    whole = content(text)
    seed = last_line(whole)
    nkeys.from_seed(bytearray(seed)).wipe()
    return Secret(seed.decode("ascii")), created(whole)


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port <= MAX_PORT:
        raise ValueError("not a port")
    return port
