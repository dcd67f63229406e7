"""Values that cross every boundary: secrets, amounts and balances."""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import msgspec

MAX_AMOUNT_LENGTH = 80
MAX_AMOUNT_DIGITS = 40
# The vault refuses to import a shorter signing secret.
MIN_KEY_BYTES = 32

# A time in a message has a time zone.
AwareTime = Annotated[datetime, msgspec.Meta(tz=True)]
AssetCode = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Secret:
    """A text that must not be shown: its repr and str are masked, and `reveal()` returns it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text; call this only to send the text to the vault or the exchange, or to seal it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __len__(self) -> int:
        return len(self._text)


def encode_value(value: Any) -> Any:
    """Encode types that msgspec does not know; a Secret may only go into bytes that are sealed next."""
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(f"no encoding for {type(value).__name__}")


def decode_value(kind: type, value: Any) -> Any:
    """Decode types that msgspec does not know; raises TypeError, which msgspec reports with the path."""
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError(f"Expected `str` for {kind.__name__}")


def parse_amount(text: str) -> Decimal:
    """Parse a decimal amount and keep every digit.

    Accepts the formats of exchanges, including an exponent; refuses NaN, infinities, white space and amounts
    of more than 40 digits.

    Raises ValueError with a text that does not repeat the input.
    """
    if not 0 < len(text) <= MAX_AMOUNT_LENGTH or not text.isascii() or text != text.strip() or "_" in text:
        raise ValueError("not a decimal amount")
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ValueError("not a decimal amount") from None
    check_digits(amount)
    return amount


def check_digits(amount: Decimal) -> None:
    """Refuse an amount that has more than 40 digits in plain notation; raises ValueError."""
    check_amount(amount)
    if len(amount.as_tuple().digits) > MAX_AMOUNT_DIGITS:
        raise ValueError("the amount has too many digits")


def check_amount(amount: Decimal) -> None:
    """Refuse an amount with more than 40 digits on one side of the point; raises ValueError.

    Earlier releases stored amounts of up to 40 digits on each side, which must stay readable.
    """
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError("the amount is not finite")
    if amount.adjusted() >= MAX_AMOUNT_DIGITS or not -MAX_AMOUNT_DIGITS <= exponent <= MAX_AMOUNT_DIGITS:
        raise ValueError("the amount has too many digits")


# An amount as the API shows it; `extra` goes into the OpenAPI document.
AmountText = Annotated[str, msgspec.Meta(extra_json_schema={"extra": {"format": "decimal"}})]


def amount_text(amount: Decimal) -> AmountText:
    """Return an amount in plain decimal notation, with every digit."""
    return format(amount, "f")


class Balance(msgspec.Struct, frozen=True):
    """One asset in one wallet; amounts in units of the asset.

    `total` is the equity, which may be negative; `available` can be used now; `locked` is held by orders;
    `borrowed` is a debt as a positive number, and `interest` the interest that accrued on it. Never add the
    two, because exchanges do not say whether `borrowed` contains it. `in_bots` is the part of `total`
    that trading bots hold. None means that the exchange did not report it, never zero.
    """

    asset: AssetCode
    total: Decimal
    available: Decimal | None = None
    locked: Decimal | None = None
    borrowed: Decimal | None = None
    in_bots: Decimal | None = None
    interest: Decimal | None = None

    def __post_init__(self) -> None:
        for amount in (self.total, self.available, self.locked, self.borrowed, self.in_bots, self.interest):
            if amount is not None:
                check_amount(amount)
