"""Which passwords count as common."""

import pytest
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from gateway.common_passwords import is_common, is_email

LISTED = [word for word in FREQUENCY_LISTS["passwords"] if len(word) >= 8]
# What the lists of others have among the 10,000 commonest, and that of the package not.
LEFT_OUT = (
    *("987654321", "88888888", "123123123", "0987654321", "12341234", "xxxxxxxx", "lovelove", "abcdefgh"),
    *("30041987", "19841984", "31121988", "jennifer", "michelle", "basketball", "chocolate", "november"),
    *("zzzzzzzz", "1111111111", "1234512345", "testtest"),
)


def test_the_commonest_passwords_are_common() -> None:
    """Those of the package's 30,000 that are long enough count; one in five is tried."""
    assert [word for word in LISTED[::5] if not is_common(word)] == []
    assert len(LISTED) > 10_000


@pytest.mark.parametrize("password", [*LEFT_OUT, "PASSWORD", "Football", "P@ssw0rd", "passw0rd1"])
def test_what_is_made_of_them_is_common(password: str) -> None:
    """Names, dates, repeats, rows, capitals and figures for letters are as easily guessed."""
    assert is_common(password)


@pytest.mark.parametrize(
    "password",
    ["correct horse battery", "another horse battery", "kX3!vq9-Lm2p", "x" * 33, "zwölf boxkämpfer"],
)
def test_other_passwords_are_not(password: str) -> None:
    """The rules stay as they were for everything else, also for a text that is longer than any common one."""
    assert not is_common(password)


def test_an_email_is_the_whole_address_or_its_local_part() -> None:
    """Capitals and spaces around it make no difference; a password that only holds it is another one."""
    email = "somebody@example.com"
    assert all(is_email(each, email) for each in (email, "somebody", "SomeBody", " SOMEBODY@EXAMPLE.COM "))
    assert not any(is_email(each, email) for each in ("somebody else", "example.com", "x" + email))
