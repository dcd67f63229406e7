"""Values that cross every boundary: secrets, amounts and balances."""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import msgspec

MAX_AMOUNT_LENGTH = 80
MAX_AMOUNT_DIGITS = 40

# A time in a message has a zone.
AwareTime = Annotated[datetime, msgspec.Meta(tz=True)]
AssetCode = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Secret:
    """A text that must not be shown: its repr and str are masked, `reveal()` gives it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Give the text itself; call it only where it leaves for the vault, the seal or the exchange."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __len__(self) -> int:
        return len(self._text)


def encode_value(value: Any) -> Any:
    """Encode the types that msgspec does not know; a Secret only ever inside bytes that are sealed next."""
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(f"no encoding for {type(value).__name__}")


def decode_value(kind: type, value: Any) -> Any:
    """Decode the types that msgspec does not know; raises TypeError, which msgspec reports with the place."""
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError(f"Expected `str` for {kind.__name__}")


def parse_amount(text: str) -> Decimal:
    """Read a decimal amount and keep every digit of it.

    Accepts what exchanges write, an exponent included; refuses NaN, infinities, white space and amounts of
    more than 40 digits.

    Raises ValueError with words that do not repeat the input.
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

    Amounts that were stored before all digits were counted have up to 40 on each side, and are still read.
    """
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError("the amount is not finite")
    if amount.adjusted() >= MAX_AMOUNT_DIGITS or not -MAX_AMOUNT_DIGITS <= exponent <= MAX_AMOUNT_DIGITS:
        raise ValueError("the amount has too many digits")


# An amount as the API shows it; what stands in `extra` comes into the OpenAPI document.
AmountText = Annotated[str, msgspec.Meta(extra_json_schema={"extra": {"format": "decimal"}})]


def amount_text(amount: Decimal) -> AmountText:
    """Write an amount in plain decimal notation, with every digit it came with."""
    return format(amount, "f")


class Balance(msgspec.Struct, frozen=True):
    """One asset in one wallet; amounts in units of the asset.

    `total` is the equity, which may be negative; `available` is what can be used now, `locked` what orders
    hold, `borrowed` a debt as a positive number. None means that the exchange did not say, never zero.
    """

    asset: AssetCode
    total: Decimal
    available: Decimal | None = None
    locked: Decimal | None = None
    borrowed: Decimal | None = None

    def __post_init__(self) -> None:
        for amount in (self.total, self.available, self.locked, self.borrowed):
            if amount is not None:
                check_amount(amount)
