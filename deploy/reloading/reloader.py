"""Has a server read its renewed certificate, and looks whether new clients see it."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from deploy.reloading.mounted import Mounted, read
from deploy.reloading.server import Server, tell

# How often the files are read; a kubelet brings them within two minutes.
LOOK_SECONDS = 2.0
# How often a server that shows its certificate is asked for it.
CHECK_SECONDS = 60.0


class Reloader:
    """The reloader of one server; `current` says whether it last showed the certificate of its files."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.current = False
        self._folder, self._server = folder, server
        self._mounted: Mounted | None = None
        # Whether files changed of which the server was not told, and how often it was told in vain.
        self._changed, self._told = False, 0
        # When it is asked next, and how much later again.
        self._due, self._pause = 0.0, LOOK_SECONDS
        self._said: dict[str, object] = {}

    def step(self, now: float) -> None:
        """Look at the files, and at the server if it is due; `now` is in seconds of any clock."""
        try:
            self._notice(read(self._folder), now)
            if self._mounted and now >= self._due:
                self._compare(self._mounted, now)
        except (OSError, ValueError) as error:  # the next step tries again
            self.current = False
            self._say("certificate_unknown", "warning", error=f"{type(error).__name__}: {error}")

    def _notice(self, mounted: Mounted, now: float) -> None:
        if mounted == self._mounted:
            return
        if self._mounted:
            self._changed = bool(self._server.words)
            self._say("certificate_changed", sha256=_fingerprint(mounted))
        self._mounted, self._told = mounted, 0
        self._due, self._pause = now, LOOK_SECONDS

    def _compare(self, mounted: Mounted, now: float) -> None:
        """Ask the server, and tell it of files that it has not read; only one that answers is told.

        A server that starts reads its files anyway, and a signal could end it.
        """
        shown = self._server.certificate(self._folder)
        processes = self._server.processes()
        # A server that could not be told shows at once, not at the next renewal.
        able = bool(processes) or not self._server.words
        self.current = able and shown == mounted.certificate
        if self.current and not self._changed:
            self._told = 0
            self._due, self._pause = now + CHECK_SECONDS, LOOK_SECONDS
            self._say("certificate_shown", sha256=_fingerprint(mounted))
            return
        self._told += 1
        self._due, self._pause = now + self._pause, min(2 * self._pause, CHECK_SECONDS)
        self._tell(processes)

    def _tell(self, processes: Sequence[int]) -> None:
        level = "info" if self._told == 1 else "warning"
        if not self._server.words:
            self._say("certificate_awaited")
        elif not processes:
            self._say("server_not_found", "warning", command=" ".join(self._server.words))
        else:
            tell(processes)
            self._changed = False
            self._say("server_told", level, processes=processes, attempt=self._told)

    def _say(self, event: str, level: str = "info", **fields: object) -> None:
        """Write a line as the services do, unless it would be the last one again."""
        line = {"event": event, "level": level, **fields}
        if line != self._said:
            self._said = line
            stamped = {**line, "timestamp": datetime.now(UTC).isoformat()}
            print(json.dumps(stamped), file=sys.stderr, flush=True)


def _fingerprint(mounted: Mounted) -> str:
    """Return what `openssl x509 -fingerprint -sha256` prints, in small letters without colons."""
    return sha256(mounted.certificate).hexdigest()
