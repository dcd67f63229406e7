"""The client's address: only trusted proxies can name another than the peer's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.settings import BadSetting, listed, parsed
from gateway.proxies import Proxies, network

BEHIND = Proxies([network("10.0.0.0/8"), network("2001:db8:ffff::/48")])
OPEN = Proxies([])
PROXY, CLIENT = "10.0.0.1", "203.0.113.7"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        # An untrusted peer speaks only for itself.
        (CLIENT, "192.0.2.1", CLIENT),
        (CLIENT, "10.0.0.9, 192.0.2.1", CLIENT),
        # One proxy, and a chain of them.
        (PROXY, CLIENT, CLIENT),
        (PROXY, f"{CLIENT}, 10.2.2.2", CLIENT),
        (PROXY, f"{CLIENT},10.2.2.2,  10.3.3.3", CLIENT),
        # A client may have invented the addresses to the left of the first untrusted one.
        (PROXY, f"192.0.2.1, {CLIENT}", CLIENT),
        (PROXY, f"10.0.0.5, 192.0.2.1, {CLIENT}, 10.2.2.2", CLIENT),
        (PROXY, f"garbage, {CLIENT}", CLIENT),
        # Only proxies, or an empty header.
        (PROXY, "", PROXY),
        (PROXY, "   ", PROXY),
        (PROXY, "10.2.2.2", "10.2.2.2"),
        # An invalid address makes the proxy that wrote it the client.
        (PROXY, "unknown", PROXY),
        (PROXY, f"{CLIENT}, unknown", PROXY),
        (PROXY, f"{CLIENT}, _hidden, 10.2.2.2", "10.2.2.2"),
        (PROXY, f"{CLIENT},", PROXY),
        (PROXY, f"{CLIENT}, , 10.2.2.2", "10.2.2.2"),
        (PROXY, "203.0.113.007", PROXY),
        (PROXY, "203.0.113.7.8", PROXY),
        (PROXY, "fe80::1%eth0", PROXY),
        (PROXY, "1" * 10_000, PROXY),
        # Ports, brackets and addresses of IPv4 in IPv6.
        (PROXY, f"{CLIENT}:4711", CLIENT),
        (PROXY, f"{CLIENT}:http", PROXY),
        (PROXY, "[2001:db8::1]:4711", "2001:db8::1"),
        (PROXY, "[2001:db8::1]", "2001:db8::1"),
        (PROXY, "[2001:db8::1]x", PROXY),
        (PROXY, "[2001:db8::1", PROXY),
        (PROXY, "2001:DB8:0::1", "2001:db8::1"),
        (PROXY, f"::ffff:{CLIENT}", CLIENT),
        ("::ffff:10.0.0.1", CLIENT, CLIENT),
        ("2001:db8:ffff::1", CLIENT, CLIENT),
        ("2001:db8:ffff::1", f"{CLIENT}, ::ffff:10.9.9.9", CLIENT),
        ("2001:db8:fffe::1", CLIENT, "2001:db8:fffe::1"),
    ],
)
def test_the_client_is_the_rightmost_hop_that_is_no_proxy(peer: str, forwarded: str, client: str) -> None:
    """Read from the right, the first address outside the proxies' networks counts."""
    assert BEHIND.client(peer, forwarded) == client


@pytest.mark.parametrize(
    ("text", "peer", "trusted"),
    [
        ("::ffff:10.0.0.0/104", "10.1.2.3", True),
        ("::ffff:10.0.0.0/104", "::ffff:10.1.2.3", True),
        ("::ffff:10.0.0.0/104", "11.0.0.1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:c000:201/128", "::ffff:192.0.2.1", True),
        ("::ffff:192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:c000:201", True),
        ("10.0.0.0/8", "10.255.255.255", True),
        ("2001::/16", "2001:ffff::1", True),
        ("2001::/16", "192.0.2.1", False),
    ],
)
def test_an_ipv4_address_is_the_same_inside_ipv6(text: str, peer: str, trusted: bool) -> None:  # noqa: FBT001 - a case
    """Networks and peers may be written either way; the client behind them is found in each."""
    proxies = Proxies([network(text)])

    assert proxies.trusts(peer) is trusted
    assert proxies.client(peer, f"192.0.2.99, ::ffff:{CLIENT}") == (CLIENT if trusted else peer)


@given(st.lists(st.one_of(st.ip_addresses().map(str), st.text(max_size=20)), max_size=8))
def test_what_a_client_sends_changes_nothing(forged: list[str]) -> None:
    """A proxy appends the client's address, and earlier content of the header has no effect."""
    assert BEHIND.client(PROXY, ", ".join([*forged, CLIENT])) == CLIENT
    assert BEHIND.client(CLIENT, ", ".join(forged)) == CLIENT
    assert OPEN.client(PROXY, ", ".join([*forged, CLIENT])) == PROXY


def test_a_chain_is_not_followed_for_ever() -> None:
    """Of a header full of proxies only the last 32 hops are read."""
    hops = ", ".join(["192.0.2.1", *(["10.9.9.9"] * 32)])

    assert BEHIND.client(PROXY, hops) == "10.9.9.9"
    assert BEHIND.client(PROXY, hops.replace(", 10.9.9.9", "", 1)) == "192.0.2.1"


@pytest.mark.parametrize(
    "text",
    [
        *("10.0.0.1/8", "proxy", "10.0.0.0/33", "10.0.0.0-10.0.0.9", "::ffff:10.0.0.1/104"),
        *("0.0.0.0/0", "0.0.0.0/1", "10.0.0.0/7", "::/0", "2000::/3", "2000::/15", "::/15"),
        *("::ffff:0:0/96", "::ffff:0.0.0.0/97", "::ffff:10.0.0.0/103"),
        "10.0.0.0/8,128.0.0.0/1",
    ],
)
def test_networks_are_named_exactly(text: str) -> None:
    """A network that has host bits, is too wide or is invalid is refused by the setting's name."""
    with pytest.raises(BadSetting, match="TRUSTED_PROXIES"):
        parsed({"TRUSTED_PROXIES": text}, "TRUSTED_PROXIES", lambda said: [*map(network, listed(said))])


@pytest.mark.parametrize("text", ["fc00::/7", "fd00::/8", "fe80::/10", "10.0.0.0/8", "2001::/16"])
def test_local_networks_may_be_named_whole(text: str) -> None:
    """No client on the Internet has an address of them."""
    assert str(network(text)) == text
