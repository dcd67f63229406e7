"""A stand-in for the API server of a cluster: it issues tokens of pods, and reviews them (TokenReview)."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from deploy.local.ports import LOOPBACK

PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
LIFE_SECONDS = 600


class ApiServer:
    """The part of the API that a vault uses; only the holder of `reviewer` may have a token reviewed."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._forgotten: set[str] = set()
        self.reviewer = self.token("openbao", audience="https://kubernetes.default.svc")
        self.url = ""

    def token(self, account: str, namespace: str = "butler", audience: str = "vault") -> str:
        """Return the projected token of a service account."""
        now = int(time.time())
        claims = {
            "iss": "https://kubernetes.default.svc",
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "aud": [audience],
            "iat": now,
            "nbf": now,
            "exp": now + LIFE_SECONDS,
            "jti": str(uuid4()),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account, "uid": account}},
        }
        return jwt.encode(claims, self._key, "ES256")

    def forget(self, token: str) -> None:
        """Refuse a token from now on, as if its pod were deleted."""
        self._forgotten.add(token)

    async def review(self, request: web.Request) -> web.Response:
        """Answer a TokenReview."""
        if request.headers.get("Authorization") != f"Bearer {self.reviewer}":
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

    def _status(self, token: str, audiences: list[str]) -> dict[str, object]:
        try:
            claims = jwt.decode(token, self._key.public_key(), ["ES256"], audience=audiences)
        except jwt.InvalidTokenError as error:
            return {"authenticated": False, "error": str(error)}
        if token in self._forgotten:
            return {"authenticated": False, "error": "the pod is gone"}
        user = {"username": claims["sub"], "uid": claims["kubernetes.io"]["serviceaccount"]["uid"]}
        return {"authenticated": True, "user": user, "audiences": audiences}


@asynccontextmanager
async def reviewing() -> AsyncIterator[ApiServer]:
    """Run such a server on a free port of the loopback interface."""
    server, application = ApiServer(), web.Application()
    application.router.add_post(PATH, server.review)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, LOOPBACK, 0)
        await site.start()
        server.url = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()
