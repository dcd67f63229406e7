"""What the gateway is told by its environment and the files that it names."""

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.bus.grants import load_signing_key
from contracts.operations.settings import (
    OPTIONAL as RUNNING,
)
from contracts.operations.settings import (
    Environment,
    Running,
    content,
    listed,
    parsed,
    running,
    seconds,
    whole_number,
)
from contracts.values import Secret
from gateway.limits import Limits, Policy

DEFAULT_PORT = 3000
DEFAULTS = {
    "SYNC_DEADLINE_SECONDS": "120",
    "CREDENTIAL_GRACE_SECONDS": "120",
    "LOSS_CONFIRMATION_SECONDS": "300",
    "SYNC_LIMIT_PER_MINUTE": "60",
    "SYNC_ALL_LIMIT_PER_MINUTE": "6",
    "LOGIN_FAILURE_LIMIT_PER_MINUTE": "20",
    "REGISTRATION_LIMIT_PER_MINUTE": "120",
}
# What `load` reads and need not be told; a starter passes these on from its caller, and no others.
OPTIONAL = (*RUNNING, *DEFAULTS, "EGRESS_ADDRESSES", "WRAPPING_KEY_FINGERPRINT")


class Settings(msgspec.Struct, frozen=True):
    """The settings of one gateway; `database_url` holds no password.

    `egress` are the addresses that calls to exchanges come from, `wrapping_key_fingerprint` pins Vault's key.
    """

    running: Running
    database_url: str
    database_password: Secret
    jwt_key: Ed25519PrivateKey
    grant_key: Ed25519PrivateKey
    egress: tuple[str, ...]
    wrapping_key_fingerprint: str | None
    sync_deadline_seconds: float
    credential_grace_seconds: float
    loss_confirmation_seconds: float
    limits: Limits


def load(environ: Environment) -> Settings:
    """Read the settings; raises BadSetting."""
    environ = {**DEFAULTS, **environ}
    return Settings(
        running=running(environ, DEFAULT_PORT),
        database_url=parsed(environ, "DATABASE_URL", str),
        database_password=parsed(environ, "DATABASE_PASSWORD_FILE", _password),
        jwt_key=parsed(environ, "JWT_PRIVATE_KEY_FILE", _signing_key),
        grant_key=parsed(environ, "GRANT_PRIVATE_KEY_FILE", _signing_key),
        egress=listed(environ.get("EGRESS_ADDRESSES", "")),
        wrapping_key_fingerprint=environ.get("WRAPPING_KEY_FINGERPRINT") or None,
        sync_deadline_seconds=parsed(environ, "SYNC_DEADLINE_SECONDS", seconds),
        credential_grace_seconds=parsed(environ, "CREDENTIAL_GRACE_SECONDS", seconds),
        loss_confirmation_seconds=parsed(environ, "LOSS_CONFIRMATION_SECONDS", seconds),
        limits=Limits(
            sync=Policy("sync", parsed(environ, "SYNC_LIMIT_PER_MINUTE", whole_number)),
            sync_all=Policy("sync-all", parsed(environ, "SYNC_ALL_LIMIT_PER_MINUTE", whole_number)),
            login=Policy("login", parsed(environ, "LOGIN_FAILURE_LIMIT_PER_MINUTE", whole_number)),
            register=Policy("register", parsed(environ, "REGISTRATION_LIMIT_PER_MINUTE", whole_number)),
        ),
    )


def _password(text: str) -> Secret:
    return Secret(content(text).decode())


def _signing_key(text: str) -> Ed25519PrivateKey:
    return load_signing_key(content(text))
