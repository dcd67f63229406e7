"""The origin of a request: the peer, or the client that trusted proxies name."""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MOST_HOPS = 32
LONGEST_HOP = 64
# The shortest prefix by IP version, because a client inside a trusted network can fake its address.
WIDEST = {4: 8, 6: 16}
# Unique local and link-local may be wider, because no client on the Internet has such an address.
LOCAL = (IPv6Network("fc00::/7"), IPv6Network("fe80::/10"))
# IPv4 addresses as an IPv6 socket reports them.
MAPPED = IPv6Network("::ffff:0:0/96")
IPV4_BITS = (1 << 32) - 1


class Proxies:
    """The proxies in front of this gateway, by their networks; without proxies the peer is the client.

    Each proxy appends the address of its own peer to X-Forwarded-For. Read from the right, the first address
    that is not a proxy's is the client's. The client can have faked everything to the left of it.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks

    def trusts(self, peer: str) -> bool:
        """Return whether the peer is a trusted proxy."""
        address = _address(peer)
        return address is not None and self._is_proxy(address)

    def client(self, peer: str, forwarded: str) -> str:
        """Return the client's address; the search ends at a proxy that names an invalid address."""
        address = _address(peer)
        if address is None:
            return peer
        for hop in _from_the_right(forwarded) if self._is_proxy(address) else ():
            before = _address(hop)
            if before is None:
                break
            address = before
            if not self._is_proxy(address):
                break
        return str(address)

    def _is_proxy(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def network(text: str) -> Network:
    """Parse a network of proxies; raises ValueError, also if it is too wide to hold only proxies.

    A network of IPv4-mapped IPv6 addresses becomes its IPv4 network, because peers are compared as IPv4.
    """
    found = ip_network(text)
    if isinstance(found, IPv6Network) and found.subnet_of(MAPPED):
        host = IPv4Address(int(found.network_address) & IPV4_BITS)
        found = IPv4Network((host, found.prefixlen - MAPPED.prefixlen))
    local = isinstance(found, IPv6Network) and any(found.subnet_of(each) for each in LOCAL)
    if found.prefixlen < WIDEST[found.version] and not local:
        raise ValueError("a network that is too wide")
    return found


def _from_the_right(forwarded: str) -> Iterator[str]:
    """Return the hops, the last one first, at most MOST_HOPS."""
    hops = forwarded.rsplit(",", MOST_HOPS)[-MOST_HOPS:] if forwarded.strip() else []
    return (hop.strip() for hop in reversed(hops))


def _address(text: str) -> Address | None:
    """Parse an address from a proxy, with or without a port; None if it is not a valid address."""
    if len(text) > LONGEST_HOP or "%" in text:
        return None
    bare = text
    if text.startswith("["):
        bare, end, port = text[1:].partition("]")
        if not end or (port and not (port[0] == ":" and _is_port(port[1:]))):
            return None
    elif text.count(":") == 1:
        bare, _, port = text.partition(":")
        if not _is_port(port):
            return None
    try:
        found = ip_address(bare)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit()
