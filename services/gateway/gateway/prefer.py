"""The Prefer header (RFC 7240): how long a client wants to wait for an outcome."""

import re

DEFAULT_WAIT = 20.0
MAX_WAIT = 60.0

_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?:[,;]|$)", re.IGNORECASE)
_ASYNC = re.compile(r"(?:^|[,;])\s*respond-async\s*(?:[,;]|$)", re.IGNORECASE)


def wait_seconds(header: str | None) -> float:
    """Give how long to wait: what `wait` says, 60 s at most; else 0 for `respond-async`, else 20 s."""
    wait = _WAIT.search(header or "")
    if wait:
        return min(float(wait[1]), MAX_WAIT)
    return 0.0 if _ASYNC.search(header or "") else DEFAULT_WAIT
