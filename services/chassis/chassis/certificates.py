"""The time until the certificates in files of settings expire, which an operator must renew before."""

import asyncio
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificates

from chassis import metrics
from chassis.metrics import note_key

# The suffix of settings that name the service's own certificate, which its chain follows.
OWN = "_CERT_FILE"


class Certificates:
    """Samples the files, by setting; they are read each time, because an operator may have renewed them."""

    def __init__(
        self, files: Mapping[str, str], now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._files = files
        self._now = now

    async def sample(self) -> None:
        """Read every file; the time of one that is not readable is NaN."""
        for setting, path in self._files.items():
            left = await asyncio.to_thread(self._left, setting, Path(path))
            metrics.CERTIFICATE_LEFT.labels(setting).set(left)

    def _left(self, setting: str, path: Path) -> float:
        """Return the seconds until the own certificate with its chain, or all of several CAs, expire."""
        try:
            found = load_pem_x509_certificates(path.read_bytes())
        except (OSError, ValueError):
            return math.nan
        if setting.endswith(OWN):
            note_key("certificate", found[0].not_valid_before_utc)
        ends = [each.not_valid_after_utc for each in found]
        end = min(ends) if setting.endswith(OWN) else max(ends)
        return (end - self._now()).total_seconds()
