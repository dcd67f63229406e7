"""TLS to another server, with verification of its name, and files that are read again for each connection."""

import ssl
from contextlib import suppress
from typing import Any


class _Renewed(ssl.SSLContext):
    """A context whose next connection reads its files again, so that a new certificate needs no restart.

    An authority that its file no longer holds stays trusted until the process ends.
    """

    ca_file: str
    certificate_file: str = ""
    key_file: str = ""

    def read(self) -> None:
        """Read the files; raises OSError."""
        self.load_verify_locations(self.ca_file)
        if self.certificate_file:
            # The empty password refuses a key with a passphrase, for which OpenSSL would ask at the terminal.
            self.load_cert_chain(self.certificate_file, self.key_file or None, password="")

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """Begin a connection of asyncio; files that can not be read now count as they were last read."""
        with suppress(OSError):  # asyncio would wait for the end of the handshake
            self.read()
        return super().wrap_bio(*arguments, **options)


def tls_context(ca_file: str, certificate_file: str = "", key_file: str = "") -> ssl.SSLContext:
    """Return a context that trusts only the file's CA, with a client certificate if given; raises OSError."""
    context = _Renewed(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and name
    context.verify_flags = ssl.create_default_context(cafile=ca_file).verify_flags
    context.ca_file, context.certificate_file, context.key_file = ca_file, certificate_file, key_file
    context.read()
    return context
