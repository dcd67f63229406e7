"""Values that people paste: the edges are trimmed, and what can not be a part of a key is refused. Pure."""

import unicodedata

from contracts.values import Secret

MAX_LENGTH = 256
# Zero-width spaces, byte order marks and marks of direction, which no font shows.
FORMAT = "Cf"


class BadPaste(ValueError):
    """Why a value can not be a part of a key, in words that do not repeat it."""


def trimmed(text: str) -> str:
    """Take white space, line ends and invisible characters from both ends; characters inside stay."""
    start, end = 0, len(text)
    while start < end and _invisible(text[start]):
        start += 1
    while end > start and _invisible(text[end - 1]):
        end -= 1
    return text[start:end]


def read_pasted(name: str, secret: Secret) -> tuple[Secret, str | None]:
    """Give a part of a key as it is used, and a note where its ends were trimmed; raises BadPaste.

    The parts of a key travel in header fields, whose outer white space is no part of their value (RFC 9110,
    section 5.5): no exchange can have given out, or taken, one with white space at its ends.
    """
    given = secret.reveal()
    text = trimmed(given)
    _check(name, text)
    if text == given:
        return secret, None
    return Secret(text), f"We trimmed white space or invisible characters from the ends of the {name}."


def _check(name: str, text: str) -> None:
    if not text:
        raise BadPaste(f"The {name} is empty.")
    if len(text) > MAX_LENGTH:
        raise BadPaste(f"The {name} is longer than {MAX_LENGTH} characters.")
    if not text.isascii():
        raise BadPaste(
            f"The {name} holds a character, perhaps an invisible one, that is not ASCII: we can not send it."
        )
    if not text.isprintable():
        raise BadPaste(f"The {name} holds a line break or another control character inside.")


def _invisible(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) == FORMAT
