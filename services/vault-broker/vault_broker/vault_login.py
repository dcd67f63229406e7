"""The broker's login at the vault: renewal of the token, and one new login if it is refused."""

import asyncio
import math
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime

import msgspec
import structlog

from chassis import metrics, tracing
from contracts.values import Secret
from vault_broker.auth_methods import Method
from vault_broker.errors import Absent, Denied, Rejected, VaultUnavailable
from vault_broker.vault import Answer, Vault, read_answer

CHECK_EVERY = 2.0
# A sealed vault answers with 200, so that its words can be read.
HEALTH = "sys/health?standbyok=true&perfstandbyok=true&sealedcode=200&uninitcode=200"
MAX_CREDENTIAL = 4096

log = structlog.get_logger()


class _Token(msgspec.Struct):
    client_token: Secret
    lease_duration: float
    metadata: Mapping[str, str] | None = None


class _Authenticated(msgspec.Struct):
    auth: _Token


class _Health(msgspec.Struct):
    sealed: bool
    initialized: bool = True


class Login:
    """A token for the vault, held only by this process; `monotonic` is a clock in seconds."""

    def __init__(self, vault: Vault, method: Method, monotonic: Callable[[], float]) -> None:
        self._vault = vault
        self._method = method
        self._monotonic = monotonic
        self._token: Secret | None = None
        self._renew_at = 0.0
        self._ends_at = math.nan
        self._changing = asyncio.Lock()
        self._refused: Mapping[str, str] | None = None
        self._refused_until = 0.0
        self._trouble = "not logged in yet"
        self.made: datetime | None = None
        metrics.TOKEN_LEFT.labels("vault").set_function(lambda: self._ends_at - self._monotonic())

    async def ready(self) -> bool:
        """Return whether the broker is logged in and the last check of the vault passed."""
        return not self._trouble

    async def request(self, method: str, path: str, body: Answer | None = None) -> Answer:
        """Send one request with the token, and once more after a new login if the token was refused.

        Raises VaultUnavailable, Absent, Denied or Rejected.
        """
        token = self._token
        if token is None:
            raise VaultUnavailable("the broker is not logged in")
        with tracing.span(_named(method, path), tracing.Kind.CLIENT):
            try:
                return await self._vault.request(method, path, token, body)
            except Denied:
                if not await self._replaced(token):
                    raise
            return await self._vault.request(method, path, self._token, body)

    async def keep(self) -> None:
        """Log in, check the vault and renew the token, for as long as the process runs."""
        while True:
            try:
                await self.check()
            except VaultUnavailable as error:
                self._note(error.detail)
            else:
                self._note("")
            await asyncio.sleep(CHECK_EVERY * random.uniform(0.9, 1.1))  # noqa: S311 - jitter, no secret

    async def check(self) -> None:
        """Check the vault once, and log in or renew the token if due; raises VaultUnavailable."""
        await self._check_seal()
        async with self._changing:
            if self._monotonic() >= self._renew_at:
                await self._renew()

    async def _check_seal(self) -> None:
        """Note whether the vault is sealed; raises VaultUnavailable if it is, or not initialised."""
        sealed = math.nan
        try:
            health = read_answer(await self._vault.request("GET", HEALTH), _Health)
            sealed = float(health.sealed)
        finally:
            metrics.VAULT_SEALED.set(sealed)
        if health.sealed or not health.initialized:
            raise VaultUnavailable("the vault is sealed" if health.sealed else "the vault is not initialised")

    async def _replaced(self, refused: Secret) -> bool:
        """Return whether the refused token was replaced; get a new one if the token was the cause.

        The vault answers the same to an expired token and to a request outside the policy; only a renewal
        distinguishes them.
        """
        async with self._changing:
            if self._token is refused:
                await self._renew()
            return self._token is not refused

    async def _renew(self) -> None:
        """Renew the token; log in if there is no token or its renewal is refused."""
        if self._token is not None:
            try:
                answer = await self._vault.request("POST", "auth/token/renew-self", self._token, {})
            except (Denied, Rejected):
                log.warning("vault_token_refused")
                self._renew_at = self._monotonic()  # due at each check until a new token exists
            else:
                self._plan_renewal(read_answer(answer, _Authenticated).auth)
                return
        await self._log_in()

    async def _log_in(self) -> None:
        """Get a new token; raises VaultUnavailable, also if the same credentials were refused recently."""
        credentials = await asyncio.to_thread(self._read_files)
        if credentials == self._refused and self._monotonic() < self._refused_until:
            raise VaultUnavailable(
                "the vault refused the broker's log-in; the broker tries again after a pause"
            )
        try:
            body = {**self._method.fields, **credentials}
            answer = await self._vault.request("POST", self._method.path, body=body)
        except (Absent, Denied, Rejected):
            self._token = None
            self._refused, self._refused_until = credentials, self._monotonic() + self._method.pause
            raise VaultUnavailable("the vault refuses the broker's log-in") from None
        token = read_answer(answer, _Authenticated).auth
        self._token = token.client_token
        self._note_made(token.metadata or {})
        self._plan_renewal(token)
        log.info("vault_logged_in")

    def _plan_renewal(self, token: _Token) -> None:
        """Schedule the renewal of the token at about two thirds of its life."""
        self._ends_at = self._monotonic() + token.lease_duration
        self._renew_at = self._monotonic() + token.lease_duration * random.uniform(0.6, 0.7)  # noqa: S311 - jitter

    def _note_made(self, metadata: Mapping[str, str]) -> None:
        """Keep the time of the secret id, which its metadata say if this release made it."""
        with suppress(ValueError):
            self.made = datetime.fromisoformat(metadata.get("created", ""))

    def _read_files(self) -> Mapping[str, str]:
        """Read the files each time, because the operator or the kubelet may have replaced them."""
        try:
            return {
                name: path.read_text()[:MAX_CREDENTIAL].strip() for name, path in self._method.files.items()
            }
        except (OSError, UnicodeDecodeError) as error:
            raise VaultUnavailable(f"the log-in files can not be read: {type(error).__name__}") from None

    def _note(self, trouble: str) -> None:
        """Keep the state of the vault, and log a change."""
        if trouble != self._trouble:
            log.info("vault_ready") if not trouble else log.warning("vault_not_ready", reason=trouble)
        self._trouble = trouble


def _named(method: str, path: str) -> str:
    """Return the name of a request without the id of its credential."""
    return f"vault {method} {'/'.join(path.split('/')[:2])}"
