"""The general settings of the sync-worker, from its environment and the files it names."""

import re
import ssl
from urllib.parse import unquote, urlsplit

import msgspec

from chassis.settings import OPTIONAL as RUNNING
from chassis.settings import Environment, Running, listed, parsed, running
from contracts.exchanges import EXCHANGES
from contracts.exchanges.types import Exchange
from contracts.values import Secret

DEFAULT_PORT = 3001
NAME = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)
PACE = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,3})?)/([0-9]{1,4}(?:\.[0-9]{1,3})?)", re.ASCII)
CEILING = re.compile(r"([0-9]{1,6})/([0-9]{1,5}(?:\.[0-9]{1,3})?)", re.ASCII)
MAX_WINDOW = 86400.0
PROXY = "EXCHANGE_PROXY_URL"
GROUP = "EGRESS_GROUP"
BANK = "ECB_URL"
PROBES = "EXCHANGE_PROBE_SECONDS"
MAX_PROBE_SECONDS = 3600.0


def origin_setting(*names: str) -> str:
    """Return the setting that names the origin of an exchange's region, or of a further host there."""
    return "_".join(("EXCHANGE", *filter(None, names), "URL")).upper()


def named_hosts(exchange: Exchange) -> dict[str, dict[str, tuple[str, str]]]:
    """Return, by region and host name, the name of the setting and the origin that it may replace."""
    return {
        region.key: {
            host: (origin_setting(exchange.key, region.key, host), origin)
            for host, origin in region.hosts.items()
        }
        for region in exchange.regions
    }


def ceiling_setting(exchange: str) -> str:
    """Return the setting that limits all calls of our address to an exchange."""
    return f"EXCHANGE_{exchange}_CALLS_PER_ADDRESS".upper()


HOSTS = {exchange.key: named_hosts(exchange) for exchange in EXCHANGES.values()}
_NAMES = [name for regions in HOSTS.values() for hosts in regions.values() for name, _ in hosts.values()]
# Their names in the previous release; the next release will not read these.
RENAMED = {name: name.removeprefix("EXCHANGE_") for name in _NAMES if name.startswith("EXCHANGE_OKX_")}
# The optional settings of `load`; a starter passes on only these from its own environment.
OPTIONAL = (
    *RUNNING,
    *_NAMES,
    *RENAMED.values(),
    "EXCHANGE_CA_FILE",
    "EGRESS_ADDRESSES",
    GROUP,
    *map(ceiling_setting, EXCHANGES),
    PROXY,
    PROBES,
    BANK,
)


class Proxy(msgspec.Struct, frozen=True):
    """An HTTP proxy: `http://host:port` or `https://host:port`, and its `user:password` if required."""

    url: str
    login: Secret | None = None


class Ceiling(msgspec.Struct, frozen=True):
    """The operator's limit of all calls to an exchange in any window of seconds."""

    calls: int
    seconds: float


class Pace(msgspec.Struct, frozen=True):
    """The seconds until the first probe of a closed exchange, which each failed one doubles to `longest`."""

    first: float = 30.0
    longest: float = 300.0

    def after(self, probes: int) -> float:
        """Return the seconds until the next probe after so many failed ones."""
        return float(min(self.first * 2 ** min(probes, 16), self.longest))


class Settings(msgspec.Struct, frozen=True):
    """The settings of one sync-worker.

    `origins` maps each host of each region of each exchange to `https://host[:port]`. Without
    `exchange_ca_file` the worker trusts the public CAs, and without `exchange_proxy` it connects to the
    exchange directly.
    `renamed` lists the settings that use a name of the previous release, with their new names.
    `egress_group` names the egress address that this worker shares with others, and `ceilings` are the
    operator's limits for it, by exchange.
    `probes` is the pace of looking whether a closed exchange is open again.
    Without `ecb_origin` the worker reads no rates of the European Central Bank.
    """

    running: Running
    origins: dict[str, dict[str, dict[str, str]]]
    exchange_ca_file: str | None
    egress_addresses: tuple[str, ...]
    exchange_proxy: Proxy | None = None
    renamed: tuple[str, ...] = ()
    ecb_origin: str | None = None
    egress_group: str = "default"
    ceilings: dict[str, Ceiling] = {}
    probes: Pace = Pace()

    @property
    def certificates(self) -> dict[str, str]:
        """Return the files of its certificates, by setting."""
        exchange = {"EXCHANGE_CA_FILE": self.exchange_ca_file} if self.exchange_ca_file else {}
        return {**self.running.certificates, **exchange}


def load(environ: Environment) -> Settings:
    """Read the settings; raises BadSetting."""
    has_authorities = environ.get("EXCHANGE_CA_FILE")
    return Settings(
        running=running(environ, DEFAULT_PORT, also=["PORT"]),
        origins={
            exchange: {
                region: {host: _told_origin(environ, *named) for host, named in hosts.items()}
                for region, hosts in regions.items()
            }
            for exchange, regions in HOSTS.items()
        },
        exchange_ca_file=parsed(environ, "EXCHANGE_CA_FILE", _authorities) if has_authorities else None,
        egress_addresses=listed(environ.get("EGRESS_ADDRESSES", "")),
        exchange_proxy=parsed(environ, PROXY, _proxy) if environ.get(PROXY) else None,
        ecb_origin=parsed(environ, BANK, _origin) if environ.get(BANK) else None,
        egress_group=parsed({GROUP: environ.get(GROUP) or "default"}, GROUP, _group),
        ceilings={
            key: parsed(environ, name, _ceiling)
            for key, name in ((key, ceiling_setting(key)) for key in EXCHANGES)
            if environ.get(name)
        },
        probes=parsed(environ, PROBES, _pace) if environ.get(PROBES) else Pace(),
        renamed=tuple(f"{old} is now {new}" for new, old in RENAMED.items() if environ.get(old)),
    )


def _told_origin(environ: Environment, name: str, host: str) -> str:
    """Read the origin of a host from its setting, or from its previous name; default to the exchange's."""
    told = next((each for each in (name, RENAMED.get(name, name)) if environ.get(each)), None)
    return host if told is None else parsed(environ, told, _origin)


def _origin(text: str) -> str:
    origin = text.removesuffix("/")
    parts = urlsplit(origin)
    usable = parts.scheme == "https" and parts.hostname and parts.port != 0 and parts.username is None
    if not usable or origin != f"https://{parts.netloc}":
        raise ValueError("not https://HOST or https://HOST:PORT")
    return origin


def _group(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError("not a name of lower-case letters, digits and hyphens")
    return text


def _ceiling(text: str) -> Ceiling:
    """Parse a number of calls and the seconds of their window, as in `40/2`."""
    written = CEILING.fullmatch(text)
    if written is None or not int(written[1]) or not 0 < float(written[2]) <= MAX_WINDOW:
        raise ValueError("not CALLS/SECONDS, for example 40/2")
    return Ceiling(int(written[1]), float(written[2]))


def _pace(text: str) -> Pace:
    """Parse the seconds until the first probe and the longest ones, as in `30/300`."""
    written = PACE.fullmatch(text)
    if written is None or not 1 <= float(written[1]) <= float(written[2]) <= MAX_PROBE_SECONDS:
        raise ValueError("not FIRST/LONGEST in seconds from 1 to 3600, for example 30/300")
    return Pace(float(written[1]), float(written[2]))


def _proxy(text: str) -> Proxy:
    """Parse the address of a proxy; user and password may be percent-encoded."""
    parts = urlsplit(text)
    login, _, place = parts.netloc.rpartition("@")
    usable = (
        parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and parts.path in ("", "/")
    )
    if not usable or parts.query or parts.fragment or "@" in login:
        raise ValueError("not http://HOST:PORT or https://USER:PASSWORD@HOST:PORT")
    user, _, password = login.partition(":")
    plain = f"{unquote(user)}:{unquote(password)}"
    if not plain.isascii() or not plain.isprintable():
        raise ValueError("not a user and a password that can be sent")
    return Proxy(f"{parts.scheme}://{place}", Secret(plain) if login else None)


def _authorities(text: str) -> str:
    ssl.create_default_context(cafile=text)
    return text
