"""Values that people paste: white space and invisible characters at their ends are trimmed. Pure."""

import unicodedata

from contracts.values import Secret

# Zero-width spaces, byte order marks and direction marks, which are invisible.
FORMAT = "Cf"


def trimmed(text: str) -> str:
    """Remove white space, line ends and invisible characters at both ends; keep those inside."""
    start, end = 0, len(text)
    while start < end and _invisible(text[start]):
        start += 1
    while end > start and _invisible(text[end - 1]):
        end -= 1
    return text[start:end]


def read_pasted(name: str, secret: Secret) -> tuple[Secret, str | None]:
    """Return the trimmed field of a key, and a note if its ends were trimmed.

    The fields of a key are sent in header fields, which exclude white space at the ends of their values
    (RFC 9110, section 5.5). So no exchange can have issued or accepted a field with white space at its ends.
    """
    given = secret.reveal()
    text = trimmed(given)
    if text == given:
        return secret, None
    return Secret(text), f"We trimmed white space or invisible characters from the ends of the {name}."


def _invisible(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) == FORMAT
