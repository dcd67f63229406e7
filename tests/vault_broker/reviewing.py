"""A stand-in for the API server of a cluster: it issues tokens of pods, and reviews them (TokenReview)."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from deploy.local.ports import LOOPBACK

PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
# The API server's own audience, and the issuer of tokens.
SERVER = "https://kubernetes.default.svc"
REVIEWER = "openbao"
LIFE_SECONDS = 600


class ApiServer:
    """The part of the API that a vault uses; only the service account of the vault may have a token reviewed.

    Servers with the same key accept each other's tokens, which live `life` seconds.
    """

    def __init__(self, key: ec.EllipticCurvePrivateKey | None = None, life: int = LIFE_SECONDS) -> None:
        self._key = key or ec.generate_private_key(ec.SECP256R1())
        self._life = life
        self._forgotten: set[str] = set()
        self.reviewer = self.token(REVIEWER, audience=SERVER)
        self.url = ""

    def token(self, account: str, namespace: str = "butler", audience: str = "vault") -> str:
        """Return the projected token of a service account."""
        now = int(time.time())
        claims = {
            "iss": SERVER,
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "aud": [audience],
            "iat": now,
            "nbf": now,
            "exp": now + self._life,
            "jti": str(uuid4()),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account, "uid": account}},
        }
        return jwt.encode(claims, self._key, "ES256")

    def forget(self, token: str) -> None:
        """Refuse a token from now on, as if its pod were deleted."""
        self._forgotten.add(token)

    async def review(self, request: web.Request) -> web.Response:
        """Answer a TokenReview."""
        presented = self._status(request.headers.get("Authorization", "").removeprefix("Bearer "), [SERVER])
        if presented.get("user", {}).get("username") != f"system:serviceaccount:butler:{REVIEWER}":
            return web.json_response({"kind": "Status", "code": 403}, status=403)
        asked = (await request.json())["spec"]
        return web.json_response(
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenReview",
                "status": self._status(asked["token"], asked.get("audiences") or []),
            },
            status=201,
        )

    def _status(self, token: str, audiences: list[str]) -> dict[str, Any]:
        try:
            claims = jwt.decode(token, self._key.public_key(), ["ES256"], audience=audiences)
        except jwt.InvalidTokenError as error:
            return {"authenticated": False, "error": str(error)}
        if token in self._forgotten:
            return {"authenticated": False, "error": "the pod is gone"}
        user = {"username": claims["sub"], "uid": claims["kubernetes.io"]["serviceaccount"]["uid"]}
        return {"authenticated": True, "user": user, "audiences": audiences}


def application(server: ApiServer) -> web.Application:
    """Return the application that a server serves."""
    made = web.Application()
    made.router.add_post(PATH, server.review)
    return made


@asynccontextmanager
async def reviewing() -> AsyncIterator[ApiServer]:
    """Run such a server on a free port of the loopback interface."""
    server = ApiServer()
    runner = web.AppRunner(application(server))
    await runner.setup()
    try:
        site = web.TCPSite(runner, LOOPBACK, 0)
        await site.start()
        server.url = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()
