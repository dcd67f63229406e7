"""From where a request comes: the peer, or the client that proxies which are trusted name for it."""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MOST_HOPS = 32
LONGEST_HOP = 64
# The shortest prefix by version of IP: a client in a trusted network can choose its own address.
WIDEST = {4: 8, 6: 16}
# Wider, but never the address of a client on the Internet: unique local and link-local.
LOCAL = (IPv6Network("fc00::/7"), IPv6Network("fe80::/10"))
# IPv4 addresses as a socket of IPv6 tells them.
MAPPED = IPv6Network("::ffff:0:0/96")
IPV4_BITS = (1 << 32) - 1


class Proxies:
    """The proxies in front of this gateway, by their networks; without any the peer is the client.

    Each proxy appends the address of its own peer to X-Forwarded-For. Read from the right, the first address
    that is no proxy's is the client's: everything to the left of it the client may have made up.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks

    def trusts(self, peer: str) -> bool:
        """Tell whether what a peer says of a request counts."""
        address = _address(peer)
        return address is not None and self._is_proxy(address)

    def client(self, peer: str, forwarded: str) -> str:
        """Give the address of the client; a hop that is not an address ends the search at its proxy."""
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
    """Read a network of proxies; raises ValueError, also for one that is too wide to be of proxies alone.

    One of IPv4 addresses in IPv6 is the network of those addresses, because that is how peers are compared.
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
    """Give the hops, the last one first, no more than a chain of proxies can have."""
    hops = forwarded.rsplit(",", MOST_HOPS)[-MOST_HOPS:] if forwarded.strip() else []
    return (hop.strip() for hop in reversed(hops))


def _address(text: str) -> Address | None:
    """Read an address as a proxy writes it, with or without its port; None if it is not an address."""
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
