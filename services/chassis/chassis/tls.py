"""TLS to another server, whose name is verified."""

import ssl


def tls_context(ca_file: str, certificate_file: str = "", key_file: str = "") -> ssl.SSLContext:
    """Trust the authority of a file alone, and show a certificate where one is told; raises OSError."""
    context = ssl.create_default_context(cafile=ca_file)
    if certificate_file:
        # A key that wants a passphrase is refused: without one OpenSSL would ask at the terminal.
        context.load_cert_chain(certificate_file, key_file or None, password="")
    return context
