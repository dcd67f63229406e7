"""What the sync-worker is told by its environment and the files that it names."""

import ssl
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

import msgspec

from contracts.catalogue import OKX
from contracts.operations.settings import Environment, Running, listed, parsed, running

DEFAULT_PORT = 3001
TOLERANCE = "OKX_TOTAL_TOLERANCE"
LEAST_TOLERANCE, MOST_TOLERANCE = Decimal("0.001"), Decimal("0.1")


class Settings(msgspec.Struct, frozen=True):
    """The settings of one sync-worker.

    `okx_origins` maps each region to `https://host[:port]`; without `exchange_ca_file` the public
    authorities are trusted. `okx_total_tolerance` is the share by which a list may differ from the total of
    its own answer.
    """

    running: Running
    okx_origins: dict[str, str]
    exchange_ca_file: str | None
    egress_addresses: tuple[str, ...]
    okx_total_tolerance: Decimal = LEAST_TOLERANCE


def load(environ: Environment) -> Settings:
    """Read the settings; raises BadSetting."""
    hosts = {f"OKX_{region.key.upper()}_URL": region.host for region in OKX.regions}
    told = {name: environ.get(name) or host for name, host in hosts.items()}
    origins = [parsed(told, name, _origin) for name in hosts]
    has_authorities = environ.get("EXCHANGE_CA_FILE")
    return Settings(
        running=running(environ, DEFAULT_PORT, also=["PORT"]),
        okx_origins=dict(zip((region.key for region in OKX.regions), origins, strict=True)),
        exchange_ca_file=parsed(environ, "EXCHANGE_CA_FILE", _authorities) if has_authorities else None,
        egress_addresses=listed(environ.get("EGRESS_ADDRESSES", "")),
        okx_total_tolerance=parsed(
            {TOLERANCE: environ.get(TOLERANCE) or str(LEAST_TOLERANCE)}, TOLERANCE, _tolerance
        ),
    )


def _origin(text: str) -> str:
    origin = text.removesuffix("/")
    parts = urlsplit(origin)
    usable = parts.scheme == "https" and parts.hostname and parts.port != 0 and parts.username is None
    if not usable or origin != f"https://{parts.netloc}":
        raise ValueError("not https://HOST or https://HOST:PORT")
    return origin


def _tolerance(text: str) -> Decimal:
    try:
        share = Decimal(text)
        usable = LEAST_TOLERANCE <= share <= MOST_TOLERANCE
    except InvalidOperation:  # no number, or one that can not be compared
        usable = False
    if not usable:
        raise ValueError("not a share between a thousandth and a tenth")
    return share


def _authorities(text: str) -> str:
    ssl.create_default_context(cafile=text)
    return text
