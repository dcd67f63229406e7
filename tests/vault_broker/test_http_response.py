"""Reading responses: in whatever pieces they arrive, whole or not at all, and never two as one."""

import pytest

from vault_broker.http_response import MAX_ANSWER, MAX_HEAD, BadHTTP, read_response

OK = b"HTTP/1.1 200 OK\r\n"
SIZED = OK + b'Content-Type: application/json\r\nContent-Length: 8\r\n\r\n{"a": 1}'
CHUNKED = OK + b'Transfer-Encoding: chunked\r\n\r\n3;x=y\r\n{"a\r\n5\r\n": 1}\r\n0\r\nTrailer: t\r\n\r\n'
BARE_CHUNKED = OK + b'Transfer-Encoding: chunked\r\n\r\n08\r\n{"a": 1}\r\n0\r\n\r\n'


@pytest.mark.parametrize("data", [SIZED, CHUNKED, BARE_CHUNKED])
def test_a_response_is_whole_with_its_last_byte(data: bytes) -> None:
    """Wherever the network cuts it, nothing counts before the end, and what follows is refused."""
    assert all(read_response(data[:length]) is None for length in range(len(data)))

    response = read_response(data)
    assert response is not None
    assert (response.status, response.body, response.reusable) == (200, b'{"a": 1}', True)
    with pytest.raises(BadHTTP):
        read_response(data + b"H")


@pytest.mark.parametrize(
    ("data", "reusable"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 204 \r\nContent-Length: 5\r\n\r\n", True),
        (OK + b"Content-Length: 0\r\nConnection: keep-alive, Close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
    ],
)
def test_a_response_says_whether_its_connection_goes_on(data: bytes, reusable: bool) -> None:  # noqa: FBT001
    """No connection is used again that the vault closes."""
    response = read_response(data)

    assert response is not None
    assert (response.body, response.reusable) == (b"", reusable)


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/2 200\r\nContent-Length: 0\r\n\r\n",
        OK + b"\r\n",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nxyz0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 300,
        OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % (MAX_ANSWER + 1),
        OK + b"Content-Length: 1\r\n continued: 1\r\n\r\nx",
        OK + b"Content-Length : 1\r\n\r\nx",
        OK + b"Content-Length: %d\r\n\r\n" % (MAX_ANSWER + 1),
        OK + b"X: " + b"x" * MAX_HEAD,
    ],
    ids=lambda data: repr(data)[:60],
)
def test_a_response_with_two_readings_is_refused(data: bytes) -> None:
    """Another length than the sender's would take a part of one response for the next."""
    with pytest.raises(BadHTTP):
        read_response(data)
