"""A response of HTTP/1.1 from its bytes, as the vault sends it. Pure. Source: RFC 9112."""

import re
from collections.abc import Mapping

import msgspec

MAX_HEAD = 16 * 1024
MAX_ANSWER = 1024 * 1024
# Chunks may add their sizes to the body.
_MAX_BYTES = MAX_HEAD + 2 * MAX_ANSWER
_MAX_CHUNK_LINE = 256
_NO_CONTENT = 204
_NOT_MODIFIED = 304

_STATUS = re.compile(r"HTTP/1\.([01]) ([2-5][0-9]{2})( [^\r\n]*)?", re.ASCII)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_LENGTH = re.compile(r"[0-9]{1,12}", re.ASCII)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(;[^\r\n]*)?")


class BadHTTP(OSError):
    """A message is not valid HTTP, or is too long; the text does not repeat it."""


class Response(msgspec.Struct, frozen=True):
    """A whole response; the names of its headers are in lower case.

    `reusable` says whether its connection may be used again.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    reusable: bool


def read_response(data: bytes) -> Response | None:
    """Return the response, None if bytes are missing; raises BadHTTP.

    A response must say the length of its body or be chunked: without that, a cut one would look whole. Bytes
    after it, and responses that announce another, are refused.
    """
    if len(data) > _MAX_BYTES:
        raise BadHTTP("the response is too long")
    head, end, rest = data.partition(b"\r\n\r\n")
    if len(head) > MAX_HEAD:
        raise BadHTTP("the response has a head that is too long")
    if not end:
        return None
    status, version, headers = _read_head(head.decode("latin-1"))
    body = _read_body(status, headers, rest)
    if body is None:
        return None
    closes = version == "0" or "close" in headers.get("connection", "").lower()
    return Response(status, headers, body, not closes)


def _read_head(head: str) -> tuple[int, str, dict[str, str]]:
    """Return status, minor version and headers."""
    line, *fields = head.split("\r\n")
    found = _STATUS.fullmatch(line)
    if not found:
        raise BadHTTP("the response has no valid status")
    headers: dict[str, str] = {}
    for field in fields:
        name, colon, value = field.partition(":")
        if not colon or not _NAME.fullmatch(name):
            raise BadHTTP("the response has a header that is not valid")
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return int(found[2]), found[1], headers


def _read_body(status: int, headers: Mapping[str, str], rest: bytes) -> bytes | None:
    """Return the body, None if bytes of it are missing."""
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if status in (_NO_CONTENT, _NOT_MODIFIED):
        length, coding = "0", None
    if coding is not None:
        if coding.lower() != "chunked" or length is not None:
            raise BadHTTP("the response has no valid length")
        return _read_chunks(rest)
    if length is None or not _LENGTH.fullmatch(length):
        raise BadHTTP("the response has no valid length")
    size = int(length)
    if size > MAX_ANSWER:
        raise BadHTTP("the response is too long")
    if len(rest) > size:
        raise BadHTTP("the response is longer than it says")
    return rest if len(rest) == size else None


def _read_chunks(rest: bytes) -> bytes | None:
    """Return the body of a chunked response, None if bytes of it are missing."""
    body, at = bytearray(), 0
    while (end := rest.find(b"\r\n", at)) >= 0:
        found = _CHUNK.fullmatch(rest, at, end)
        if not found:
            raise BadHTTP("the response has a chunk that is not valid")
        size, start = int(found[1], 16), end + 2
        if not size:
            return _whole(bytes(body), rest, end)
        at = start + size + 2
        body += rest[start : start + size]
        if len(body) > MAX_ANSWER or size > MAX_ANSWER:
            raise BadHTTP("the response is too long")
        if rest[start + size : at] not in (b"\r\n", b"\r", b""):
            raise BadHTTP("the response has a chunk that is not valid")
    if len(rest) - at > _MAX_CHUNK_LINE:
        raise BadHTTP("the response has a chunk that is not valid")
    return None


def _whole(body: bytes, rest: bytes, end: int) -> bytes | None:
    """Return a chunked body if the trailer that begins at `end` is there, too."""
    done = rest.find(b"\r\n\r\n", end)
    if done >= 0 and len(rest) > done + 4:
        raise BadHTTP("the response is longer than it says")
    return body if done >= 0 else None
