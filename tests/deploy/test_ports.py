"""A found port is still free when its program starts to listen."""

import socket
from pathlib import Path

import pytest

from deploy.local.ports import LOOPBACK, MAX_HELD, free_ports, kept_port


def test_no_other_program_is_given_a_port_that_was_found() -> None:
    """The kernel chooses unused ports, and counts one as used until the program listens there."""
    for port in free_ports(3):
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind((LOOPBACK, port))

        socket.create_server((LOOPBACK, port)).close()


def test_a_port_is_kept_over_restarts(tmp_path: Path) -> None:
    """The same port is returned again, even while this process reserves it, and another if it is taken."""
    port = kept_port(tmp_path / "port")
    assert kept_port(tmp_path / "port") == port

    with socket.create_server((LOOPBACK, port)):
        assert kept_port(tmp_path / "port") != port


def test_so_many_ports_and_no_more_are_held() -> None:
    """A process that searches for ports repeatedly does not run out of file descriptors."""
    before = len(list(Path("/proc/self/fd").iterdir()))

    free_ports(3 * MAX_HELD)

    assert len(list(Path("/proc/self/fd").iterdir())) <= before + MAX_HELD
