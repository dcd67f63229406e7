"""The settings of the vault-broker, from its environment and the files it names."""

from contextlib import suppress
from urllib.parse import urlsplit

import msgspec

from chassis.settings import OPTIONAL as RUNNING
from chassis.settings import Environment, Running, content, parsed, readable, running
from contracts.wire.key_files import VerifyingKeys, read_verifying_keys
from vault_broker.auth_methods import Method, approle, kubernetes

DEFAULT_PORT = 3002
KUBERNETES = "VAULT_KUBERNETES_TOKEN_FILE"
# The optional settings of `load`; a starter passes on only these from its own environment.
OPTIONAL = (*RUNNING, KUBERNETES)


class Settings(msgspec.Struct, frozen=True):
    """The settings of one vault-broker.

    The broker reads the files of `login` at each login, so they may be replaced while it runs.
    """

    running: Running
    vault_address: str
    vault_ca_file: str
    login: Method
    gateway_keys: VerifyingKeys


def load(environ: Environment) -> Settings:
    """Read the settings; raises BadSetting."""
    return Settings(
        running=running(environ, DEFAULT_PORT, also=["PORT"]),
        vault_address=parsed(environ, "VAULT_ADDR", _https),
        vault_ca_file=str(parsed(environ, "VAULT_CACERT", readable)),
        login=_login(environ),
        gateway_keys=parsed(environ, "GRANT_PUBLIC_KEY_FILE", _verifying_keys),
    )


def _login(environ: Environment) -> Method:
    """Read the login: Kubernetes where its setting names a token, else AppRole; raises BadSetting."""
    if environ.get(KUBERNETES):
        return kubernetes(parsed(environ, KUBERNETES, readable))
    names = ("VAULT_ROLE_ID_FILE", "VAULT_SECRET_ID_FILE")
    return approle(*(parsed(environ, name, readable) for name in names))


def _verifying_keys(text: str) -> VerifyingKeys:
    return read_verifying_keys(content(text))


def _https(text: str) -> str:
    if not text.startswith("https://"):
        raise ValueError("VAULT_ADDR must begin with https://")
    with suppress(ValueError):  # which a port that is not a number raises
        url = urlsplit(text)
        if url.hostname and url.port != 0:
            return text
    raise ValueError("VAULT_ADDR must have a host, and a port from 1 to 65535 if any")
