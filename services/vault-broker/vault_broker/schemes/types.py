"""What a scheme is: the bytes that are signed, and the headers that carry the signature. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from contracts.credentials import CredentialParts
from contracts.values import Secret


class Draft(msgspec.Struct, frozen=True):
    """A read before it is signed: what is sent, when, and the bytes that the signature covers."""

    name: str
    method: str
    target: str
    timestamp: str
    prehash: bytes


@dataclass(frozen=True, slots=True)
class Scheme:
    """How one exchange wants a request to be signed.

    `timestamp` writes milliseconds since the epoch as the exchange wants them, `prehash` gives the bytes that
    are signed for timestamp, method and target, and `headers` those of a read with its signature, in base64.
    """

    timestamp: Callable[[int], str]
    prehash: Callable[[str, str, str], bytes]
    headers: Callable[[Draft, CredentialParts, str], dict[str, Secret]]
