"""Runs the stand-in of an API server, with keys in FOLDER: `python -m tests.cluster.api_server FOLDER`."""

import ssl
import sys
from pathlib import Path

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.vault_broker.reviewing import ApiServer, application

PORT = 443


def main(folder: Path) -> None:
    """Serve until SIGTERM."""
    key = load_pem_private_key((folder / "key.pem").read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    web.run_app(application(ApiServer(key)), port=PORT, ssl_context=tls)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
