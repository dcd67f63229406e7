"""Detects common passwords by the word lists of zxcvbn, without zxcvbn's own search.

That search takes up to two seconds for a maliciously chosen password. Here each check is a set lookup or one
pass over the password: under a millisecond for the longest allowed one.
"""

import re
import unicodedata

from zxcvbn.frequency_lists import FREQUENCY_LISTS

# Rows of keys and the alphabet; reversed rows also count.
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
SHORTEST_ROW = 3
ROWS = frozenset(
    row[start:end]
    for way in WAYS
    for row in (way, way[::-1])
    for start in range(len(row))
    for end in range(start + SHORTEST_ROW, len(row) + 1)
)
# The 30,000 most common passwords, the words and names that most others contain, and the rows.
NAMED = frozenset(word.casefold() for words in FREQUENCY_LISTS.values() for word in words)
WORDS = NAMED | ROWS
LONGEST_NAMED = max(map(len, NAMED))
# Normalizing can expand a short text to thousands of characters; no listed word is longer than this.
LONGEST_SPELLED = 128
DATE = re.compile(
    r"(?:\d{1,2}[-./_]?\d{1,2}[-./_]?)?(?:19|20)\d\d|(?:19|20)\d\d[-./_]?\d{1,2}[-./_]?\d{1,2}", re.ASCII
)
# Characters that people add to a word, in any number.
SIGNS = "!?.,:;-_*+#@$&%=()/\"' "
DIGITS = "0123456789"
ADDED = DIGITS + SIGNS
SHORTEST_WORD = 3
# A password is guessable if it has so few different letters, so few around a run of one letter, or repeats a
# unit that is shorter than a password.
FEWEST_LETTERS, FEWEST_AROUND_RUN = 3, 5
RUN = re.compile(r"(.)\1{3}", re.DOTALL)
SHORTEST_UNIT = 8
# Digits and signs that replace letters; 1 can replace i or l.
FIGURES = (str.maketrans("@4301$57!", "aaeoisstl"), str.maketrans("@4301$57!", "aaeolssti"))


def is_common(password: str) -> bool:
    """Return whether a password is on the lists, or a simple variation of a word on them."""
    folded = _folded(password)
    if _is_uniform(folded):
        return True
    unit = folded[: _period(folded)]
    if len(unit) < len(folded) and (len(unit) < SHORTEST_UNIT or is_common(unit)):
        return True
    if len(folded) > LONGEST_SPELLED:
        return False
    return any(map(_is_guessable, _readings(folded)))


def is_email(password: str, email: str) -> bool:
    """Return whether a password is the user's email address, or the part of it before the @."""
    address = _folded(email)
    return _folded(password) in (address, address.partition("@")[0])


def _folded(password: str) -> str:
    return unicodedata.normalize("NFKC", password).casefold().strip()


def _is_uniform(text: str) -> bool:
    fewest = FEWEST_AROUND_RUN if RUN.search(text) else FEWEST_LETTERS
    return len(set(text)) < fewest


def _readings(folded: str) -> set[str]:
    """Return the words that a text may be made from: without additions, with letters instead of digits."""
    cut = {folded, *(folded.strip(added) for added in (DIGITS, SIGNS, ADDED))}
    cut |= {folded.lstrip(ADDED), folded.rstrip(ADDED)}
    spelled = cut.union(each.translate(figures) for each in cut for figures in FIGURES)
    read = spelled.union(each.strip(ADDED) for each in spelled)
    return {each for each in read if len(each) >= SHORTEST_WORD}


def _is_guessable(text: str) -> bool:
    """Return whether a text is a listed word, two listed words, or a repeated short or listed unit."""
    if _is_listed(text) or _is_pair(text):
        return True
    unit = text[: _period(text)]
    return len(unit) < len(text) and (len(unit) < SHORTEST_UNIT or _is_listed(unit) or _is_pair(unit))


def _is_listed(text: str) -> bool:
    return text in WORDS or DATE.fullmatch(text) is not None


def _is_pair(text: str) -> bool:
    """Return whether a text is two listed words, with or without something between them."""
    ends = range(SHORTEST_WORD, min(len(text) - SHORTEST_WORD, LONGEST_NAMED) + 1)
    return any(text[:end] in WORDS and text[end:].lstrip(ADDED) in WORDS for end in ends)


def _period(text: str) -> int:
    """Return the length of the unit that a text repeats; the text's length if it has no repeated unit."""
    return (text + text).find(text, 1)
