"""A client of the vault's HTTP API: hvac over connections of the event loop, with translated errors."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from hvac import exceptions
from hvac.adapters import Adapter

from contracts.values import Secret, decode_value
from vault_broker.connections import Connections, Response
from vault_broker.errors import Absent, Denied, Rejected, VaultUnavailable

CONNECTIONS = 16
REQUEST_TIMEOUT = 2.1

Answer = dict[str, Any]
OnTime = Callable[[float, float], None]
Part = TypeVar("Part")

if TYPE_CHECKING:
    _AwaitedAdapter = Adapter[Coroutine[Any, Any, Answer]]
else:  # only the stubs know that an adapter may return something else than a response
    _AwaitedAdapter = Adapter


class Vault:
    """A vault (OpenBao or HashiCorp Vault) at one address; it keeps no token.

    `on_time` gets the vault's time, seconds since the epoch, and the corresponding monotonic time.
    """

    def __init__(self, address: str, ca_file: str, on_time: OnTime | None = None) -> None:
        self._connections = Connections(address, ca_file, CONNECTIONS)
        self._adapter = _Adapter(self._connections, on_time)

    async def request(
        self, method: str, path: str, token: Secret | None = None, body: Answer | None = None
    ) -> Answer:
        """Send one request and return the JSON object of the response, empty if the vault sends none.

        Raises VaultUnavailable, Absent, Denied or Rejected.
        """
        headers = {"X-Vault-Token": token.reveal()} if token else {}
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                return await self._adapter.request(method, f"/v1/{path}", headers, json=body)
        except TimeoutError:
            raise VaultUnavailable("the vault does not answer in time") from None
        except exceptions.VaultError as error:
            raise _translate(error) from None
        except OSError as error:  # BadHTTP and ssl's own errors among them
            raise VaultUnavailable(f"the vault can not be reached: {type(error).__name__}") from None

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()


class _Adapter(_AwaitedAdapter):
    """hvac's way to send a request, which here is awaited; it keeps no token and follows no redirect."""

    def __init__(self, connections: Connections, on_time: OnTime | None) -> None:
        super().__init__()
        self._connections = connections
        self._on_time = on_time

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        raise_exception: bool = True,  # noqa: FBT001, FBT002 - hvac's signature
        **kwargs: Any,
    ) -> Answer:
        """Send one request and return its JSON object; raises VaultError, VaultUnavailable and OSError."""
        content, sent = kwargs.get("json"), time.monotonic()
        body = b"" if content is None else msgspec.json.encode(content)
        response = await self._connections.send(
            method, url, {"X-Vault-Request": "true", **(headers or {})}, body
        )
        if self._on_time is not None:
            _tell_time(self._on_time, response, (sent + time.monotonic()) / 2)
        if response.status >= HTTPStatus.BAD_REQUEST and raise_exception:
            raise exceptions.VaultError.from_status(response.status, errors=_errors(response))
        return _content(response)

    def get_login_token(self, response: Coroutine[Any, Any, Answer]) -> str:
        """Refuse hvac's own login: `vault_login` keeps the token."""
        raise NotImplementedError


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


def _content(response: Response) -> Answer:
    """Return the JSON object of a response, empty if it has no content; raises VaultUnavailable."""
    if response.status == HTTPStatus.NO_CONTENT:
        return {}
    content = _decoded(response.body)
    if response.status != HTTPStatus.OK or not isinstance(content, dict):
        raise VaultUnavailable(f"the vault answers with status {response.status} and without a JSON object")
    return content


def _errors(response: Response) -> list[str]:
    """Return the vault's reasons for a refusal, none if the response is another server's."""
    content = _decoded(response.body)
    errors = content.get("errors") if isinstance(content, dict) else None
    return [each for each in errors if isinstance(each, str)] if isinstance(errors, list) else []


def _decoded(body: bytes) -> Any:
    with suppress(msgspec.DecodeError, RecursionError):
        return msgspec.json.decode(body)
    return None


def _tell_time(on_time: OnTime, response: Response, at: float) -> None:
    seconds = _seconds(response.headers.get("date", ""))
    if seconds is not None:
        on_time(seconds, at)


@lru_cache(1)
def _seconds(date: str) -> float | None:
    """Return the middle of the second that a Date names, None if it is not valid."""
    with suppress(ValueError, TypeError):
        return parsedate_to_datetime(date).timestamp() + 0.5
    return None
