"""The arithmetic of limits and delays, and their header fields."""

from ipaddress import IPv6Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chassis.settings import BadSetting, parsed, whole_number
from gateway.errors import LoginThrottled, RateLimitExceeded
from gateway.http.allowances import rate_limit_fields
from gateway.http.problems import problem_of
from gateway.limits import (
    LOGIN_DELAYS,
    LONGEST_DELAY,
    Allowance,
    Policy,
    client_network,
    login_delay,
)

SYNC = Policy("sync", 60)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 0), (4, 0), (5, 1), (6, 2), (7, 4), (14, 512), (15, 900), (16, 900)]
)
def test_delays_double_from_the_fifth_failure(failures: int, seconds: int) -> None:
    """Four failures cost no delay, the fifth a second, and each further one doubles it, up to 15 minutes."""
    assert login_delay(failures) == seconds


@given(st.integers(1, 10**9))
def test_no_delay_is_shorter_than_the_one_before_or_over_15_minutes(failures: int) -> None:
    """However many failures there were, the delay is at most 15 minutes."""
    assert login_delay(failures - 1) <= login_delay(failures) <= LONGEST_DELAY


@given(st.integers(1, 10**9))
def test_the_table_of_delays_says_what_the_rule_says(failures: int) -> None:
    """The database looks the delay up; past the end of the table it takes the last."""
    assert LOGIN_DELAYS[min(failures, len(LOGIN_DELAYS)) - 1] == login_delay(failures)


def test_header_fields_are_those_of_the_draft() -> None:
    """Policy and state are structured fields with the policy's name as a string."""
    assert rate_limit_fields([Allowance(SYNC, 1, 59.2)]) == {
        "RateLimit-Policy": '"sync";q=60;w=60',
        "RateLimit": '"sync";r=59;t=60',
    }


@given(st.integers(0, 10**6), st.floats(-5, 60))
@example(60, 60.0)
@example(61, 0.0)
def test_what_is_left_is_never_negative(used: int, seconds: float) -> None:
    """For any count, the fields hold whole numbers from 0 up to the quota and the window."""
    allowance = Allowance(SYNC, used, seconds)

    assert 0 <= allowance.left <= 60
    assert 0 <= allowance.reset <= 60
    assert allowance.exceeded is (used > 60)


@given(st.floats(-5, 900))
def test_who_is_refused_is_told_a_time_that_is_long_enough(seconds: float) -> None:
    """Retry-After is a whole number of seconds from 1, and never before the end of the window."""
    for error in (RateLimitExceeded(Allowance(SYNC, 61, seconds)), LoginThrottled(seconds)):
        problem = problem_of(error)
        assert problem.status == 429
        assert int(problem.headers["Retry-After"]) >= max(seconds, 1)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (None, ""),
        ("unix", "unix"),
    ],
)
def test_a_client_is_an_address_or_a_network_of_ipv6(address: str | None, network: str) -> None:
    """A client with a /64 network counts once, whichever of its addresses it uses."""
    assert client_network(address) == network


@given(st.integers(0, 2**64 - 1))
def test_the_addresses_of_one_network_are_one_client(host: int) -> None:
    """The lower half of an IPv6 address does not make another client."""
    network = int(IPv6Address("2001:db8::"))

    assert client_network(str(IPv6Address(network + host))) == "2001:db8::/64"


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "1000001", " "])
def test_a_limit_is_a_whole_number_from_1(text: str) -> None:
    """Another value is refused by its name, and never means no limit."""
    with pytest.raises(BadSetting, match="SYNC_LIMIT_PER_MINUTE"):
        parsed({"SYNC_LIMIT_PER_MINUTE": text}, "SYNC_LIMIT_PER_MINUTE", whole_number)
