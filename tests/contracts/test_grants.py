"""A grant is worth what the gateway signed, and only until its deadline."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts.bus.grants import VERIFY, Grant, GrantRefused, read_grant, sign_grant

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEY = Ed25519PrivateKey.generate()
GRANT = Grant(uuid4(), "okx", VERIFY, NOW + timedelta(seconds=120))
TEXT = sign_grant(GRANT, KEY)


def test_a_grant_says_what_was_signed() -> None:
    """The broker reads exactly what the gateway granted."""
    assert read_grant(TEXT, KEY.public_key(), NOW) == GRANT


def test_a_grant_ends_at_its_deadline() -> None:
    """At the deadline it is over, a moment before it is not."""
    assert read_grant(TEXT, KEY.public_key(), GRANT.exp - timedelta(microseconds=1)) == GRANT
    with pytest.raises(GrantRefused):
        read_grant(TEXT, KEY.public_key(), GRANT.exp)


def test_a_grant_of_another_key_is_refused() -> None:
    """Only the gateway's key signs grants."""
    with pytest.raises(GrantRefused):
        read_grant(sign_grant(GRANT, Ed25519PrivateKey.generate()), KEY.public_key(), NOW)


@given(st.integers(0, len(TEXT) - 1), st.characters(codec="ascii"))
def test_an_altered_grant_is_refused(place: int, letter: str) -> None:
    """No changed letter passes, not even one that decodes to the same."""
    assume(letter != TEXT[place])

    with pytest.raises(GrantRefused):
        read_grant(TEXT[:place] + letter + TEXT[place + 1 :], KEY.public_key(), NOW)


@given(st.text(max_size=60))
def test_garbage_is_refused(text: str) -> None:
    """Whatever is sent as a grant is refused in words, never with another error."""
    with pytest.raises(GrantRefused):
        read_grant(text, KEY.public_key(), NOW)
