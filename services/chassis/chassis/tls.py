"""TLS to another server, with verification of its name."""

import ssl


def tls_context(ca_file: str, certificate_file: str = "", key_file: str = "") -> ssl.SSLContext:
    """Return a context that trusts only the file's CA, with a client certificate if given; raises OSError."""
    context = ssl.create_default_context(cafile=ca_file)
    if certificate_file:
        # The empty password refuses a key with a passphrase, for which OpenSSL would ask at the terminal.
        context.load_cert_chain(certificate_file, key_file or None, password="")
    return context
