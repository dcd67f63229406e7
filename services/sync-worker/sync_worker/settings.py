"""The settings of the sync-worker, from the environment and the files that it names."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import nkeys

from contracts.catalogue import OKX
from contracts.values import Secret
from sync_worker.errors import BadSetting

DEFAULT_PORT = "3001"
MAX_SEED_BYTES = 1024


class Settings(msgspec.Struct, frozen=True):
    """All that the process is told from outside.

    `okx_origins` maps each region to `https://host[:port]`; without `exchange_ca_file` the public
    authorities are trusted.
    """

    nats_url: str
    nats_seed: Secret
    okx_origins: dict[str, str]
    exchange_ca_file: str | None
    egress_addresses: tuple[str, ...]
    log_level: str
    listen_host: str
    port: int


def load(environ: Mapping[str, str]) -> Settings:
    """Read the settings; raises BadSetting."""
    return Settings(
        nats_url=_required(environ, "NATS_URL"),
        nats_seed=_seed(environ, "NATS_NKEY_FILE"),
        okx_origins={
            region.key: _origin(environ, f"OKX_{region.key.upper()}_URL", region.host)
            for region in OKX.regions
        },
        exchange_ca_file=_authorities(environ, "EXCHANGE_CA_FILE"),
        egress_addresses=_listed(environ.get("EGRESS_ADDRESSES", "")),
        log_level=environ.get("LOG_LEVEL", "info"),
        listen_host=environ.get("LISTEN_HOST", "127.0.0.1"),
        port=_port(environ, "PORT"),
    )


def _required(environ: Mapping[str, str], name: str) -> str:
    if not environ.get(name):
        raise BadSetting(f"{name} is not set")
    return environ[name]


def _seed(environ: Mapping[str, str], name: str) -> Secret:
    path = Path(_required(environ, name))
    try:
        with path.open("rb") as file:
            seed = file.read(MAX_SEED_BYTES).strip()
        nkeys.from_seed(bytearray(seed)).wipe()
        return Secret(seed.decode("ascii"))
    except OSError as error:
        raise BadSetting(f"{name} can not be read: {error.strerror}") from None
    except (ValueError, nkeys.NkeysError):
        raise BadSetting(f"{name} holds no nkey seed") from None


def _origin(environ: Mapping[str, str], name: str, default: str) -> str:
    text = (environ.get(name) or default).removesuffix("/")
    try:
        parts = urlsplit(text)
        usable = parts.scheme == "https" and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or text != f"https://{parts.netloc}" or parts.username is not None:
        raise BadSetting(f"{name} must be https://HOST or https://HOST:PORT")
    return text


def _authorities(environ: Mapping[str, str], name: str) -> str | None:
    path = environ.get(name) or None
    try:
        if path is not None:
            ssl.create_default_context(cafile=path)
    except OSError as error:
        raise BadSetting(f"{name} holds no certificates: {error.strerror or type(error).__name__}") from None
    return path


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _port(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name) or DEFAULT_PORT
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):  # noqa: PLR2004 - ports end there
        raise BadSetting(f"{name} must be a port, a number from 1 to 65535")
    return int(text)
