"""The server in the same pod: its processes, and the certificate that it shows to a new client."""

import os
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGHUP

from deploy.reloading.mounted import CERTIFICATE, KEY

ADDRESS = "127.0.0.1"
SECONDS = 5.0
PROCESSES = Path("/proc")
# A client of PostgreSQL asks for TLS in the clear, and the server answers with one letter.
SSL_REQUEST, ACCEPTED = bytes.fromhex("0000000804d2162f"), b"S"


@dataclass(frozen=True, slots=True)
class Server:
    """A server by the first words of its command and its port; PostgreSQL is asked for TLS (`asks`).

    Without words its processes are not known here, and another program tells them.
    """

    words: Sequence[str]
    port: int
    asks: bool = False

    def certificate(self, folder: Path) -> bytes:
        """Return the certificate (DER) that it shows; raises OSError where it shows none.

        Nothing is sent to the server, so it is not verified. A server that asks for a certificate gets the
        one in the folder, if the key is there, because it would log an error otherwise.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if (folder / KEY).exists():
            context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
        with socket.create_connection((ADDRESS, self.port), SECONDS) as connection:
            if self.asks:
                connection.sendall(SSL_REQUEST)
                if connection.recv(1) != ACCEPTED:
                    raise ConnectionRefusedError("the server has no TLS")
            with context.wrap_socket(connection) as tls:
                shown = tls.getpeercert(binary_form=True)
                with suppress(OSError):
                    tls.unwrap()  # a server logs a connection that ends without a word
        return shown or b""

    def processes(self) -> list[int]:
        """Return its processes that this program may signal.

        The words tell it apart from its own program as a client, which a probe or a person may run.
        """
        ids = [int(each.name) for each in PROCESSES.iterdir() if each.name.isdigit()]
        found = [each for each in ids if self.words and _begins(each, self.words)]
        return [each for each in found if _signalled(each, 0)]


def _begins(process: int, words: Sequence[str]) -> bool:
    """Return whether the command of a process begins with these words."""
    with suppress(OSError):  # it has ended
        command = (PROCESSES / str(process) / "cmdline").read_bytes().decode(errors="replace").split("\0")
        return [Path(command[0]).name, *command[1 : len(words)]] == [*words]
    return False


def tell(processes: Sequence[int]) -> None:
    """Have processes read their files again; one that has ended needs no word."""
    for process in processes:
        _signalled(process, SIGHUP)


def _signalled(process: int, signal: int) -> bool:
    try:
        os.kill(process, signal)
    except OSError:
        return False
    return True
