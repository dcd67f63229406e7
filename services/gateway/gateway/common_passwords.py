"""Passwords that are among the first to be tried; zxcvbn has the lists and knows what is made of them."""

from zxcvbn import zxcvbn

# Its list of the 30,000 commonest passwords, in their order, is within this. So is what the list leaves out:
# names with a digit, repeats, dates, rows of keys, capitals, and figures in the place of letters.
GUESSES = 100_000
# None of the commonest is longer, and the time that it takes grows with the square of the length.
LONGEST = 32

zxcvbn("once, so that no two threads are the first")


def is_common(password: str) -> bool:
    """Tell whether a password, which is not empty, is found in few guesses; takes up to 0.1 s."""
    return len(password) <= LONGEST and zxcvbn(password.lower())["guesses"] < GUESSES


def is_email(password: str, email: str) -> bool:
    """Tell whether a password is the user's email address, or the part of it before the @."""
    return password.strip().lower() in (email, email.partition("@")[0])
