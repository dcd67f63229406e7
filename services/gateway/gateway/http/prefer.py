"""The Prefer header (RFC 7240): how long a client wants to wait for an outcome."""

import re

DEFAULT_WAIT = 20.0
MAX_WAIT = 60.0
MAX_DIGITS = 6

_PREFERENCE = re.compile(r'(?:[^,;"]|"[^"]*")+')


def wait_seconds(header: str | None) -> float:
    """Return the seconds to wait: those of `wait`, at most 60; else 0 for `respond-async`, else 20."""
    parts = [part.partition("=") for part in _PREFERENCE.findall(header or "")]
    preferences = {name.strip().lower(): value.strip().strip('"') for name, _, value in reversed(parts)}
    wait = preferences.get("wait", "")
    if wait.isascii() and wait.isdecimal() and len(wait) <= MAX_DIGITS:
        return min(float(wait), MAX_WAIT)
    return 0.0 if "respond-async" in preferences else DEFAULT_WAIT
