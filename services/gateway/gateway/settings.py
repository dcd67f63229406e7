"""What the gateway must be told."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from contracts.values import Secret


class SettingsError(Exception):
    """A setting that is missing or can not be used; the text names it."""


class Settings(msgspec.Struct, frozen=True):
    """The settings of one gateway; files were read already."""

    nats_url: str
    nats_seed: Secret
    database_url: str
    database_password: Secret
    jwt_key: Secret
    grant_key: Secret
    host: str
    port: int
    log_level: str
    egress: tuple[str, ...]
    wrapping_key_fingerprint: str | None
    sync_deadline_seconds: float
    credential_grace_seconds: float


def load(environ: Mapping[str, str]) -> Settings:
    """Read the settings from an environment; raises SettingsError that names the variable."""
    return Settings(
        nats_url=_text(environ, "NATS_URL"),
        nats_seed=_file(environ, "NATS_NKEY_FILE"),
        database_url=_text(environ, "DATABASE_URL"),
        database_password=_file(environ, "DATABASE_PASSWORD_FILE"),
        jwt_key=_file(environ, "JWT_PRIVATE_KEY_FILE"),
        grant_key=_file(environ, "GRANT_PRIVATE_KEY_FILE"),
        host=environ.get("LISTEN_HOST", "127.0.0.1"),
        port=int(_number(environ, "PORT", 3000)),
        log_level=environ.get("LOG_LEVEL", "info"),
        egress=tuple(part.strip() for part in environ.get("EGRESS_ADDRESSES", "").split(",") if part.strip()),
        wrapping_key_fingerprint=environ.get("WRAPPING_KEY_FINGERPRINT") or None,
        sync_deadline_seconds=_number(environ, "SYNC_DEADLINE_SECONDS", 120),
        credential_grace_seconds=_number(environ, "CREDENTIAL_GRACE_SECONDS", 120),
    )


def _text(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "")
    if not value:
        raise SettingsError(f"set {name}")
    return value


def _number(environ: Mapping[str, str], name: str, default: float) -> float:
    try:
        value = float(environ.get(name, default))
    except ValueError:
        raise SettingsError(f"{name} must be a number") from None
    if not 0 < value < 1_000_000:  # noqa: PLR2004 - a bound, not a constant of the domain
        raise SettingsError(f"{name} must be a positive number")
    return value


def _file(environ: Mapping[str, str], name: str) -> Secret:
    path = Path(_text(environ, name))
    try:
        return Secret(path.read_text().strip())
    except OSError as error:
        raise SettingsError(f"{name}: {path} can not be read: {error.strerror}") from None
