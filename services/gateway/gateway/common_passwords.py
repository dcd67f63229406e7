"""Passwords that are among the first to be tried, by the word lists of zxcvbn; its own search is not used.

That search costs up to two seconds for a password that somebody chose for it. Here each question is a look
into a set or one walk over the password: microseconds for the longest that may be.
"""

import re
import unicodedata

from zxcvbn.frequency_lists import FREQUENCY_LISTS

# The 30,000 commonest passwords, and the words and names that most others are made of.
WORDS = frozenset(word.casefold() for words in FREQUENCY_LISTS.values() for word in words)
# A few letters are spelled out to some thousand where they are compared; no word is so long.
LONGEST_SPELLED = 128
# How fingers and the alphabet go; what is written backwards goes the same way.
WAYS = (
    "01234567890123456789",
    "1234567890-=",
    "qwertyuiop[]",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "qwertzuiop",
    "azertyuiop",
    "1q2w3e4r5t6y7u8i9o0p",
    "qawsedrftgyhujikolp",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "abcdefghijklmnopqrstuvwxyz",
)
ROWS = tuple(row for way in WAYS for row in (way, way[::-1]))
SHORTEST_ROW = 3
DATE = re.compile(
    r"(?:\d{1,2}[-./_]?\d{1,2}[-./_]?)?(?:19|20)\d\d|(?:19|20)\d\d[-./_]?\d{1,2}[-./_]?\d{1,2}", re.ASCII
)
# What people add to a word, and how much of it is no secret.
ADDED = "0123456789!?.,:;-_*+#@$&%=()/\"' "
MOST_ADDED = 4
SHORTEST_WORD = 3
LONGEST_UNIT = 4
# Figures in the place of letters; 1 stands for two.
FIGURES = (str.maketrans("@4301$57!", "aaeoisstl"), str.maketrans("@4301$57!", "aaeolssti"))


def is_common(password: str) -> bool:
    """Tell whether a password is on the lists, or what people make of what is on them."""
    folded = _folded(password)
    unit = folded[: _period(folded)]
    if len(unit) < len(folded) and (len(unit) <= LONGEST_UNIT or _is_listed(unit)):
        return True
    if len(folded) > LONGEST_SPELLED:
        return False
    return any(_is_listed(each) or _is_lengthened(each) for each in _spellings(folded))


def is_email(password: str, email: str) -> bool:
    """Tell whether a password is the user's email address, or the part of it before the @."""
    address = email.casefold()
    return _folded(password) in (address, address.partition("@")[0])


def _folded(password: str) -> str:
    return unicodedata.normalize("NFKC", password).casefold().strip()


def _spellings(folded: str) -> tuple[str, ...]:
    return (folded, *(folded.translate(figures) for figures in FIGURES))


def _is_listed(text: str) -> bool:
    return text in WORDS or _is_row(text) or DATE.fullmatch(text) is not None


def _is_row(text: str) -> bool:
    return len(text) >= SHORTEST_ROW and any(text in row for row in ROWS)


def _is_lengthened(text: str) -> bool:
    """Tell whether a text is a word with a few figures or signs, a row or a date before it or behind it."""
    before, behind = text.lstrip(ADDED), text.rstrip(ADDED)
    return _is_added(text[: len(text) - len(before)], before) or _is_added(text[len(behind) :], behind)


def _is_added(added: str, word: str) -> bool:
    if len(word) < SHORTEST_WORD or not (word in WORDS or _is_row(word)):
        return False
    return len(added) <= MOST_ADDED or _is_row(added) or DATE.fullmatch(added) is not None


def _period(text: str) -> int:
    """Give the length of the unit that a text repeats to its end; its own when it repeats none."""
    return (text + text).find(text, 1)
