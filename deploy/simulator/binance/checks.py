"""The exchange's checks of a signed request.

Their order is not documented; this one agrees with all observations. A payload that is not percent-encoded is
refused like a wrong signature. A header without a key is refused as one of a wrong format, which is not
documented, either.
"""

import re
from datetime import datetime
from decimal import Decimal
from ipaddress import ip_address, ip_network
from typing import NamedTuple
from urllib.parse import parse_qsl

from deploy.simulator.binance.keys import KEY_FORMAT, Key, Keys
from deploy.simulator.binance.refusals import Refused
from deploy.simulator.types import Request

KEY = "x-mbx-apikey"
# Every character that may stand in a query, where others are percent-encoded.
ENCODED = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*")
NUMBER = re.compile(r"\d{1,20}", re.ASCII)
WINDOW = re.compile(r"\d{1,8}(\.\d{1,3})?", re.ASCII)
DEFAULT_WINDOW, LONGEST_WINDOW = Decimal(5000), Decimal(60000)
AHEAD = Decimal(1000)
# A timestamp from here on is in microseconds.
MICROSECONDS = 10**15


class Payload(NamedTuple):
    """A request's signed bytes, its signature as sent, and its parameters; parameters of the query win."""

    signed: bytes
    signature: str
    parameters: dict[str, str]


def payload_of(request: Request) -> Payload:
    """Take the signature out of query and body; the rest is signed as it was sent, without a separator."""
    query, body = _octets(request.target.partition("?")[2]), request.body
    signed, signatures = b"", []
    for part in (query, body):
        pairs = part.split(b"&") if part else []
        signatures += [pair for pair in pairs if pair.startswith(b"signature=")]
        signed += b"&".join(pair for pair in pairs if not pair.startswith(b"signature="))
    signature = signatures[0].partition(b"=")[2].decode("latin-1") if signatures else ""
    read = [dict(parse_qsl(part.decode("utf-8", "replace"))) for part in (body, query)]
    return Payload(signed, signature, read[0] | read[1])


def authenticated(request: Request, payload: Payload, keys: Keys) -> Key:
    """Return the key of a request that passes every check; raises Refused of the first failed one."""
    given = request.headers.get(KEY, "")
    if not KEY_FORMAT.fullmatch(given):
        raise Refused("-2014")
    check_time(payload.parameters, request.received_at)
    if not payload.signature:
        raise Refused("-1102", "signature")
    key = keys.find(given)
    if key is None:
        raise Refused("-2015")
    if not ENCODED.fullmatch(payload.signed) or not key.signed(payload.signed, payload.signature):
        raise Refused("-1022")
    check_address(request.address, key)
    return key


def check_time(parameters: dict[str, str], now: datetime) -> None:
    """Refuse a time that is too far ahead, or too old for the request's window."""
    sent, window = parameters.get("timestamp", ""), parameters.get("recvWindow", str(DEFAULT_WINDOW))
    if not sent:
        raise Refused("-1102", "timestamp")
    if not NUMBER.fullmatch(sent):
        raise Refused("-1100", "timestamp", "^[0-9]{1,20}$")
    if not WINDOW.fullmatch(window):
        raise Refused("-1102", "recvWindow")
    if Decimal(window) > LONGEST_WINDOW:
        raise Refused("-1102", "recvWindow", f"{LONGEST_WINDOW}", form=1)
    moment = Decimal(sent) / (1000 if int(sent) >= MICROSECONDS else 1)
    server = Decimal(int(now.timestamp() * 1_000_000)) / 1000
    if moment >= server + AHEAD:
        raise Refused("-1021", form=1)
    if server - moment > Decimal(window):
        raise Refused("-1021")


def check_address(address: str, key: Key) -> None:
    """Refuse an address that is not on the IP allow-list of a bound key."""
    networks = [ip_network(bound) for bound in key.account.ip]
    if networks and not any(ip_address(address) in network for network in networks):
        raise Refused("-2015")


def _octets(text: str) -> bytes:
    """Return the bytes as received; the HTTP parser keeps bytes that are not UTF-8 as surrogates."""
    return text.encode("utf-8", "surrogateescape")
