"""The exchange's checks of a signed request, in its order.

The real order is not documented; this one agrees with all observations. A check is a function that raises
Refused. The first tuple checks only the request, the second also the account of its key.
"""

import base64
import hmac
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

from deploy.simulator.okx.accounts import Account
from deploy.simulator.okx.refusals import Refused
from deploy.simulator.types import Request

KEY, SIGN = "ok-access-key", "ok-access-sign"
TIMESTAMP, PASSPHRASE = "ok-access-timestamp", "ok-access-passphrase"
ENVIRONMENT = "x-simulated-trading"

KEY_FORMAT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIMESTAMP_FORMAT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
TIMESTAMP_TOLERANCE = timedelta(seconds=30)


def sign(secret: str, timestamp: str, method: str, target: str, body: bytes = b"") -> str:
    """Return Base64 of HMAC-SHA256 over time, method, raw target and body; the key is the secret's text."""
    content = _octets(timestamp + method + target) + body
    return base64.b64encode(hmac.digest(_octets(secret), content, "sha256")).decode()


def check_headers(request: Request) -> None:
    """Refuse a request that lacks one of the four headers."""
    for header, code in ((KEY, "50103"), (SIGN, "50106"), (TIMESTAMP, "50107"), (PASSPHRASE, "50104")):
        if not request.headers.get(header):
            raise Refused(code)


def check_timestamp_format(request: Request) -> None:
    """Refuse a time that is not ISO 8601 in UTC with milliseconds."""
    try:
        well_formed = TIMESTAMP_FORMAT.fullmatch(request.headers[TIMESTAMP]) and _signed_at(request)
    except ValueError:
        well_formed = None
    if not well_formed:
        raise Refused("50112")


def check_timestamp_age(request: Request) -> None:
    """Refuse a time that is too far from the exchange's time."""
    if abs(request.received_at - _signed_at(request)) > TIMESTAMP_TOLERANCE:
        raise Refused("50102")


def check_key_format(request: Request) -> None:
    """Refuse a text that is not a valid key."""
    if not KEY_FORMAT.fullmatch(request.headers[KEY]):
        raise Refused("50111")


def check_environment(request: Request, _account: Account) -> None:
    """Refuse demo trading, because all keys are production keys."""
    if request.headers.get(ENVIRONMENT) == "1":
        raise Refused("50101")


def check_passphrase(request: Request, account: Account) -> None:
    """Refuse a passphrase that is not the key's."""
    if not _same(request.headers[PASSPHRASE], account.passphrase):
        raise Refused("50105")


def check_signature(request: Request, account: Account) -> None:
    """Refuse a signature that does not match the key's secret and the exact request."""
    expected = sign(
        account.api_secret, request.headers[TIMESTAMP], request.method, request.target, request.body
    )
    if not _same(request.headers[SIGN], expected):
        raise Refused("50113")


def check_address(request: Request, account: Account) -> None:
    """Refuse an address that is not on the IP allow-list of a bound key."""
    networks = [ip_network(bound) for bound in account.ip]
    if networks and not any(ip_address(request.address) in network for network in networks):
        raise Refused("50110", request.address)


REQUEST_CHECKS: tuple[Callable[[Request], None], ...] = (
    check_headers,
    check_timestamp_format,
    check_timestamp_age,
    check_key_format,
)
ACCOUNT_CHECKS: tuple[Callable[[Request, Account], None], ...] = (
    check_environment,
    check_passphrase,
    check_signature,
    check_address,
)


def _signed_at(request: Request) -> datetime:
    """Read the time in the header; raises ValueError for a date that does not exist."""
    return datetime.strptime(request.headers[TIMESTAMP], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(_octets(given), _octets(expected))


def _octets(text: str) -> bytes:
    """Return the bytes as received; the HTTP parser keeps bytes that are not UTF-8 as surrogates."""
    return text.encode("utf-8", "surrogateescape")
