"""The metric of a reloader, for Prometheus."""

from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer

PART = "certificate"


def described(*, current: bool) -> str:
    """Return whether the server shows the certificate of its files, as services tell of their parts."""
    return f'# TYPE butler_ready gauge\nbutler_ready{{part="{PART}"}} {int(current)}\n'


class Metrics(TCPServer):
    """Answers one request after the other."""

    allow_reuse_address = True

    def __init__(self, port: int, current: Callable[[], bool]) -> None:
        self.current = current
        super().__init__(("0.0.0.0", port), _Answer)  # noqa: S104 - a policy says who reaches it

    def handle_error(self, request: object, client_address: object) -> None:
        """Log nothing of a client that has gone."""


class _Answer(BaseHTTPRequestHandler):
    server: Metrics
    timeout = 5

    def do_GET(self) -> None:
        """Answer `/metrics`."""
        if self.path != "/metrics":
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        body = described(current=self.server.current()).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log no request."""
