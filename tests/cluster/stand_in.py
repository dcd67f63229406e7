"""Programs of the tests as pods: the stand-in for the API server, and TLS for a PostgreSQL without it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.cluster.translating import File, Settings, Volume
from tests.imports import ROOT
from tests.kubernetes.providing import authority
from tests.vault_broker.reviewing import SERVER, ApiServer

HOST = SERVER.removeprefix("https://")
# Tokens of tests are not replaced as a kubelet does, so they live longer than any run of tests.
LIFE_SECONDS = 24 * 3600
# Not in the image in which it runs.
CLEAR = "database-without-tls"
PROXY = "tests/cluster/postgres_tls.py"
OF_TESTS: dict[str, Any] = {
    "arguments": [],
    "environment": {"PYTHONPATH": "/app/code:/stand-in"},
    "probes": {},
}
CODE = ("tests/cluster/api_server.py", "tests/vault_broker/reviewing.py")


class StandIn:
    """Issues the tokens of pods; its pod reviews them."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._api = ApiServer(self._key, LIFE_SECONDS)

    def issue(self, account: str, audience: str | None) -> bytes:
        """Return the token of a service account for an audience, None for the API server."""
        return self._api.token(account, audience=audience or SERVER).encode()

    def settings(self, exchange: Settings) -> Settings:
        """Return the settings of its pod, which are those of the exchange with other code."""
        library = Path(jwt.__file__).parent
        code = {path: (ROOT / path).read_bytes() for path in CODE}
        code |= {f"jwt/{path.name}": path.read_bytes() for path in library.glob("*.py")}
        return replace(
            exchange,
            pod="api-server",
            entrypoint=["python", "-m", "tests.cluster.api_server", "/run/stand-in"],
            ports={"https": 443},
            names=[HOST],
            volumes=[_readable("/stand-in", code), _readable("/run/stand-in", self._identity())],
            **OF_TESTS,
        )

    def _identity(self) -> dict[str, bytes]:
        issued = authority().issue_cert(HOST)
        return {
            "key.pem": self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "tls.crt": issued.cert_chain_pems[0].bytes(),
            "tls.key": issued.private_key_pem.bytes(),
        }


def without_tls(database: Settings) -> Settings:
    """Return the settings of a database whose program has no TLS, which only the pod before it reaches."""
    return replace(database, names=[CLEAR], arguments=[])


def with_tls(database: Settings, exchange: Settings) -> Settings:
    """Return the settings of the pod before it, with the names and the certificate of the database.

    It has the probe that signals its first process, and no `pg_isready`, with which the probe ends.
    """
    code = {PROXY: (ROOT / PROXY).read_bytes()}
    return replace(
        exchange,
        pod="database-tls",
        entrypoint=["python", "-m", "tests.cluster.postgres_tls", "/run/secrets/butler", CLEAR],
        ports=database.ports,
        names=database.names,
        volumes=[
            _readable("/stand-in", code),
            *(each for each in database.volumes if "/secrets/" in each.path),
        ],
        **{**OF_TESTS, "probes": {"livenessProbe": database.probes["livenessProbe"]}},
    )


def _readable(path: str, files: dict[str, bytes]) -> Volume:
    return Volume(path, read_only=True, files={name: File(content, 0o440) for name, content in files.items()})
