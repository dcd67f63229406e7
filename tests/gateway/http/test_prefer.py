"""A client's Prefer header sets how long it waits, within bounds."""

import pytest

from gateway.http.prefer import wait_seconds


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 20),
        ("", 20),
        ("wait=5", 5),
        ("wait=0", 0),
        ("wait=600", 60),
        ("respond-async", 0),
        ("respond-async, wait=10", 10),
        ("return=minimal; foo, wait=7", 7),
        ("WAIT = 3", 3),
        ("waiting=3", 20),
        ("wait=-1", 20),
        ('foo="a,wait=0"', 20),
        ('wait="5"', 5),
        ("wait=4, wait=9", 4),
        ("wait=1e9", 20),
        ("wait=99999999999", 20),
    ],
)
def test_the_wait_is_what_the_client_prefers(header: str | None, seconds: float) -> None:
    """`wait` wins, `respond-async` alone does not wait, anything else is the default."""
    assert wait_seconds(header) == seconds
