"""The names of the streams; `contracts.wire.topology` has their configurations."""

SYNC_REQUESTS = "SYNC_REQUESTS"
SYNC_OUTCOMES = "SYNC_OUTCOMES"
ACCOUNT_EVENTS = "ACCOUNT_EVENTS"
DEAD_LETTERS = "DEAD_LETTERS"
ADVISORIES = "ADVISORIES"
