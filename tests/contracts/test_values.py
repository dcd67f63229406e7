"""Amounts keep every digit or are refused; secrets do not show."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.credentials import SignedRead
from contracts.values import Balance, Secret, amount_text, parse_amount
from contracts.wire.envelope import decode, encode

plain_amounts = st.from_regex(r"-?(0|[1-9][0-9]{0,19})(\.[0-9]{1,20})?", fullmatch=True)


@given(plain_amounts)
def test_no_digit_of_an_amount_is_lost_from_text_to_text(text: str) -> None:
    """An amount is shown exactly as the exchange wrote it."""
    assert amount_text(parse_amount(text)) == text


@given(plain_amounts)
def test_no_digit_of_an_amount_is_lost_on_the_bus(text: str) -> None:
    """A message returns the amount unchanged."""
    sent = Balance("BTC", parse_amount(text))

    received: Balance = decode(encode(sent), Balance)

    assert amount_text(received.total) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        " 1",
        "1 ",
        "NaN",
        "sNaN",
        "Infinity",
        "-inf",
        "1e400",
        "1e-400",
        "1_000",
        "0x10",
        "1,5",
        "9" * 81,
        "9" * 41,
        "9" * 21 + "." + "9" * 20,
        "1." + "0" * 40,
        "\u0661",
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    """Garbage, infinities and absurd sizes raise, and the words do not repeat the input."""
    with pytest.raises(ValueError, match="amount") as caught:
        parse_amount(text)

    assert not text.strip() or text not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "9" * 40,
        "9" * 20 + "." + "9" * 20,
        "0." + "0" * 39 + "1",
        "1e39",
        "12345678901234567890.123456789012345678",
    ],
)
def test_an_amount_of_forty_digits_is_read(text: str) -> None:
    """Eighteen decimals beside twenty digits are within the limit, and so is the smallest of forty."""
    assert parse_amount(text) == Decimal(text)


def test_an_amount_that_was_stored_before_all_digits_were_counted_is_read() -> None:
    """Forty digits on each side of the point are more than an exchange may send, and stay readable."""
    stored = "9" * 40 + "." + "9" * 40

    assert str(Balance("BTC", Decimal(stored)).total) == stored


def test_an_exponent_is_written_out() -> None:
    """Scientific notation becomes plain notation of the same value."""
    assert amount_text(parse_amount("1e-7")) == "0.0000001"


@pytest.mark.parametrize("total", ["NaN", "Infinity", "1E+400"])
def test_a_balance_on_the_bus_is_finite(total: str) -> None:
    """A balance that is not a number is refused when it is read from the bus."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(f'{{"asset":"BTC","total":"{total}"}}', type=Balance)


def test_a_secret_does_not_show() -> None:
    """Neither repr nor str nor formatting nor a struct around it shows a secret."""
    secret = Secret("canary")
    read = SignedRead("read", "POST", "/", {"key": secret}, body=secret)

    assert "canary" not in f"{secret} {secret!r} {secret!s} {read} {read!r} { {'key': secret} }"


def test_a_total_of_zero_is_not_an_unknown_one() -> None:
    """Zero and absent stay distinct on the bus."""
    received: Balance = decode(encode(Balance("BTC", Decimal(0), available=None)), Balance)

    assert (received.total, received.available) == (Decimal(0), None)
