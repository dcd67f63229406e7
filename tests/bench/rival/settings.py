"""The settings of the usual stack, which its API and its workers read from one file."""

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

VARIABLE = "RIVAL_SETTINGS"


@dataclass(frozen=True)
class Settings:
    """Addresses and keys; `exchange` is a host with its port, `redis` the path of a socket."""

    database: str
    redis: str
    vault: str
    vault_ca: str
    vault_token: str
    exchange: str
    exchange_ca: str
    jwt_key: str
    at_once: int


@cache
def settings() -> Settings:
    """Read the settings once."""
    return Settings(**json.loads(Path(os.environ[VARIABLE]).read_text()))
