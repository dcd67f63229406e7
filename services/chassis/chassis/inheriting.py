"""A listening socket that a service inherits, so that connections wait for its next process."""

import os
import socket

from chassis.settings import Address, Environment, parsed

# The starter sets it itself: the number of a descriptor would mean another file in another process.
LISTEN_FD = "LISTEN_FD"
TCP = (socket.AF_INET, socket.AF_INET6)
MAX_DESCRIPTOR = 65535


def inherited(environ: Environment, address: Address) -> Address:
    """Return the address with the socket of LISTEN_FD, if that is set; raises BadSetting."""
    if not environ.get(LISTEN_FD):
        return address
    return Address(address.host, address.port, parsed(environ, LISTEN_FD, _listener))


def _listener(text: str) -> int:
    """Return the number of a descriptor; raises OSError, ValueError if it is not a listening TCP socket."""
    descriptor = int(text)
    if not 0 <= descriptor <= MAX_DESCRIPTOR:
        raise ValueError("not a descriptor")
    with socket.socket(fileno=os.dup(descriptor)) as found:
        if found.family not in TCP or not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise ValueError("not a listening socket")
    return descriptor
