"""Have the server beside this program read its renewed certificate: `python -m deploy.reloading --help`.

A container of this program is in the pod of the server. It looks whether new clients see the certificate of
the files, and reports `butler_ready{part="certificate"}`. Where it shares the processes and the user of the
server, it sends SIGHUP, which NATS takes as the order to read its files again, until they see it.
"""

import argparse
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

from deploy.reloading.metrics import Metrics
from deploy.reloading.reloader import LOOK_SECONDS, Reloader
from deploy.reloading.server import Server


def arguments(line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line, by default that of the process."""
    parser = argparse.ArgumentParser(prog="python -m deploy.reloading", description=__doc__)
    add = parser.add_argument
    said = 'the first words of its command: "nats-server --config"; without them this program only looks'
    add("--server", type=shlex.split, default=(), help=said)
    add("--port", type=int, required=True, help="where it shows its certificate on the loopback interface")
    add("--postgres", action="store_true", help="ask for TLS first, as clients of PostgreSQL do")
    add("--certificate", type=Path, required=True, help="the folder with tls.crt, ca.crt and perhaps tls.key")
    add("--metrics-port", type=int, required=True, help="where Prometheus asks for /metrics, without TLS")
    return parser.parse_args(line)


def main() -> None:
    """Run until SIGTERM."""
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    reloader = Reloader(options.certificate, Server(options.server, options.port, options.postgres))
    metrics = Metrics(options.metrics_port, lambda: reloader.current)
    Thread(target=metrics.serve_forever, daemon=True).start()
    while True:
        reloader.step(time.monotonic())
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main()
