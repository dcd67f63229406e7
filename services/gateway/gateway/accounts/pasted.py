"""Values that people paste: white space and invisible characters at their ends are trimmed. Pure."""

import unicodedata

from contracts.values import Secret

# Zero-width spaces, byte order marks and marks of direction, which no font shows.
FORMAT = "Cf"


def trimmed(text: str) -> str:
    """Take white space, line ends and invisible characters from both ends; characters inside stay."""
    start, end = 0, len(text)
    while start < end and _invisible(text[start]):
        start += 1
    while end > start and _invisible(text[end - 1]):
        end -= 1
    return text[start:end]


def read_pasted(name: str, secret: Secret) -> tuple[Secret, str | None]:
    """Give a part of a key as it is used, and a note where its ends were trimmed.

    The parts of a key travel in header fields, whose outer white space is no part of their value (RFC 9110,
    section 5.5): no exchange can have given out, or taken, one with white space at its ends.
    """
    given = secret.reveal()
    text = trimmed(given)
    if text == given:
        return secret, None
    return Secret(text), f"We trimmed white space or invisible characters from the ends of the {name}."


def _invisible(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) == FORMAT
