"""What the sync-worker is told by its environment and the files that it names."""

import ssl
from urllib.parse import urlsplit

import msgspec

from contracts.catalogue import OKX
from contracts.operations.settings import Environment, Running, listed, parsed, running

DEFAULT_PORT = 3001


class Settings(msgspec.Struct, frozen=True):
    """The settings of one sync-worker.

    `okx_origins` maps each region to `https://host[:port]`; without `exchange_ca_file` the public
    authorities are trusted.
    """

    running: Running
    okx_origins: dict[str, str]
    exchange_ca_file: str | None
    egress_addresses: tuple[str, ...]


def load(environ: Environment) -> Settings:
    """Read the settings; raises BadSetting."""
    hosts = {f"OKX_{region.key.upper()}_URL": region.host for region in OKX.regions}
    told = {name: environ.get(name) or host for name, host in hosts.items()}
    origins = [parsed(told, name, _origin) for name in hosts]
    has_authorities = environ.get("EXCHANGE_CA_FILE")
    return Settings(
        running=running(environ, DEFAULT_PORT),
        okx_origins=dict(zip((region.key for region in OKX.regions), origins, strict=True)),
        exchange_ca_file=parsed(environ, "EXCHANGE_CA_FILE", _authorities) if has_authorities else None,
        egress_addresses=listed(environ.get("EGRESS_ADDRESSES", "")),
    )


def _origin(text: str) -> str:
    origin = text.removesuffix("/")
    parts = urlsplit(origin)
    usable = parts.scheme == "https" and parts.hostname and parts.port != 0 and parts.username is None
    if not usable or origin != f"https://{parts.netloc}":
        raise ValueError("not https://HOST or https://HOST:PORT")
    return origin


def _authorities(text: str) -> str:
    ssl.create_default_context(cafile=text)
    return text
