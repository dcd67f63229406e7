"""A client of the vault's HTTP API: hvac in a bounded pool of threads, with translated errors."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, TypeVar

import msgspec
import requests
from hvac import exceptions
from hvac.adapters import JSONAdapter
from requests.adapters import HTTPAdapter

from contracts.values import Secret, decode_value
from vault_broker.errors import Absent, Denied, Rejected, VaultUnavailable

THREADS = 16
SOCKET_TIMEOUT = 2.0
REQUEST_TIMEOUT = 2.1
MAX_ANSWER = 1024 * 1024
_PART = 64 * 1024

Answer = dict[str, Any]
OnTime = Callable[[float, float], None]
Part = TypeVar("Part")


class Vault:
    """A vault (OpenBao or HashiCorp Vault) at one address; it keeps no token.

    `on_time` gets the vault's time, seconds since the epoch, and the corresponding monotonic time.
    """

    def __init__(self, address: str, ca_file: str, on_time: OnTime | None = None) -> None:
        self._address = address
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="vault")
        self._session = _session(ca_file)
        if on_time is not None:
            self._session.hooks["response"].append(partial(_read_time, on_time))

    async def request(
        self, method: str, path: str, token: Secret | None = None, body: Answer | None = None
    ) -> Answer:
        """Send one request and return the JSON object of the response, empty if the vault sends none.

        Raises VaultUnavailable, Absent, Denied or Rejected.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                return await loop.run_in_executor(self._threads, self._send, method, path, token, body)
        except TimeoutError:
            raise VaultUnavailable("the vault does not answer in time") from None

    def close(self) -> None:
        """Close connections and threads; abandon running requests."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._session.close()

    def _send(self, method: str, path: str, token: Secret | None, body: Answer | None) -> Answer:
        """Run one request in this thread."""
        try:
            answer = self._adapter(token).request(method, f"/v1/{path}", json=body)
        except exceptions.VaultError as error:
            raise _translate(error) from None
        except OSError as error:  # requests' own errors among them
            raise VaultUnavailable(f"the vault can not be reached: {type(error).__name__}") from None
        if isinstance(answer, dict):
            return answer
        status = getattr(answer, "status_code", requests.codes.ok)
        if status == requests.codes.no_content:
            return {}
        raise VaultUnavailable(f"the vault answers with status {status} and without a JSON object")

    def _adapter(self, token: Secret | None) -> JSONAdapter:
        """Return an hvac adapter that uses the shared session with this token."""
        return JSONAdapter(
            self._address,
            token=token.reveal() if token else None,
            session=self._session,
            timeout=SOCKET_TIMEOUT,  # type: ignore[arg-type]  # the stubs say int, requests takes parts of seconds
            allow_redirects=False,
        )


def read_answer(answer: Any, kind: type[Part]) -> Part:
    """Parse a part of a response; raises VaultUnavailable if it does not have the expected shape."""
    try:
        return msgspec.convert(answer, kind, dec_hook=decode_value)
    except msgspec.ValidationError:
        raise VaultUnavailable(f"the vault's answer holds no {kind.__name__}") from None


def _translate(error: exceptions.VaultError) -> Exception:
    """Return our error for hvac's; only `Rejected.reason` keeps the vault's text."""
    if isinstance(error, exceptions.InvalidPath):
        return Absent("there is nothing at this path")
    if isinstance(error, exceptions.Forbidden):
        return Denied("the vault does not allow this request")
    if isinstance(error, exceptions.InvalidRequest | exceptions.InternalServerError):
        return Rejected(", ".join(error.errors or []))
    return VaultUnavailable(f"the vault is not available: {type(error).__name__}")


def _session(ca_file: str) -> requests.Session:
    """Return the session of all threads: no proxies or CAs from the environment, no retries."""
    session = requests.Session()
    session.trust_env = False
    session.verify = ca_file
    session.hooks["response"].append(_read_limited)
    session.mount("https://", HTTPAdapter(pool_connections=1, pool_maxsize=THREADS))
    return session


def _read_time(on_time: OnTime, response: requests.Response, **_: Any) -> None:
    """Read the Date of a response, which has whole seconds only."""
    with suppress(ValueError, TypeError):
        seconds = parsedate_to_datetime(response.headers.get("Date", "")).timestamp() + 0.5
        on_time(seconds, time.monotonic() - response.elapsed.total_seconds() / 2)


def _read_limited(response: requests.Response, **_: Any) -> None:
    """Read the body of a response up to MAX_ANSWER bytes."""
    body = bytearray()
    for part in response.iter_content(_PART):
        body += part
        if len(body) > MAX_ANSWER:
            raise requests.exceptions.ContentDecodingError("the answer is too long")
    response._content = bytes(body)  # requests has no other way to set a body that was already read
