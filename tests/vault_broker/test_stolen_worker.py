"""An attacker with the worker's key and code gets no signature that was not granted, and leaves a trace."""

import string
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs
from uuid_utils.compat import uuid7

from contracts import subjects
from contracts.credentials import Authorize, Authorized, Refused
from contracts.exchanges.types import Read
from contracts.faults import Code
from contracts.wire.grants import VERIFY
from contracts.wire.sealing import SealBroken
from tests.vault_broker.asking import Gateway, Worker
from tests.vault_broker.conftest import Callers
from tests.waiting import until

SECRET = "22582BD0CFF14C41EDBF1AB98506286D"
CONFIG = Read("account_config")
ALPHABET = set(string.ascii_letters + string.digits + "._,-")
OFF_ALPHABET = sorted({*map(chr, range(256)), "\u0661", "\u2028", "\uff21", "\U0001f980"} - ALPHABET)
# Keys with publicly known shared secrets (curve25519's points of small order).
SMALL_ORDER = (
    bytes(32),
    bytes([1, *bytes(31)]),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    *(bytes([last, *[255] * 30, 127]) for last in (0xEC, 0xED, 0xEE)),
)


class Smuggled(msgspec.Struct):
    """A read that itself says which bytes to sign."""

    name: str
    method: str = "POST"
    path: str = "/api/v5/asset/withdrawal"
    target: str = "/api/v5/asset/withdrawal"
    content: str = '{"amt":"1"}'


class BodyInText(msgspec.Struct):
    """A read whose body no list of keys could be held to."""

    name: str
    body: str = '{"amt":"1"}'


class Thief:
    """Sends requests as the worker, for a credential that the gateway stored and granted for a sync."""

    def __init__(self, callers: Callers, credential: UUID) -> None:
        self.gateway, self.worker, self.clock = callers.gateway, callers.worker, callers.clock
        self.credential = credential
        self.granted = callers.worker.request(credential, callers.gateway.grant(credential))

    def asking(self, **altered: Any) -> Authorize:
        """Return the granted request with one field changed."""
        return msgspec.structs.replace(self.granted, **altered)

    def with_grant(self, credential: UUID | None = None, purpose: str = "", **named: Any) -> Authorize:
        """Return the granted request with another grant of the gateway."""
        return self.asking(grant=self.gateway.grant(credential or self.credential, purpose, **named))

    def later(self, milliseconds: int) -> Authorize:
        """Return the granted request at another time of the exchange."""
        return self.asking(exchange_time_ms=self.granted.exchange_time_ms + milliseconds)

    async def refused(self, request: Authorize) -> tuple[str, dict[str, Any]]:
        """Send a request, and return code and audit of the refusal; fails unless one line names it."""
        with capture_logs() as logs:
            reply = await self.worker.authorize(request)
        assert isinstance(reply, Refused), f"signed for {request}"
        (line,) = [dict(entry) for entry in logs if entry["event"] == "audit"]
        assert (line["action"], line["credential_id"]) == ("authorize", request.credential_id)
        assert (line["outcome"], bool(request.grant) and request.grant in str(line)) == (reply.code, False)
        return reply.code, line


@pytest_asyncio.fixture(name="thief")
async def _thief(callers: Callers) -> Thief:
    return Thief(callers, await callers.gateway.stored(SECRET, "key", "words"))


Theft = Callable[[Thief], Authorize]
OFF_THE_LIST: dict[str, Theft] = {
    name: lambda thief, read=read: thief.asking(reads=(CONFIG, read))  # type: ignore[misc]  # a default
    for name, read in {
        "a POST": Read("POST /api/v5/trade/order"),
        "an order": Read("place_order"),
        "a withdrawal": Read("withdrawal"),
        "a path": Read("/api/v5/account/config"),
        "a path beyond": Read("account_config/../../asset/withdrawal"),
        "a full target": Read("account_balance?ccy=BTC"),
        "another case": Read("ACCOUNT_CONFIG"),
        "white space": Read("account_config "),
        "no name": Read(""),
        "a key of no read": Read("account_balance", {"instId": "BTC-USDT"}),
        "a key of another read": Read("account_config", {"ccy": "BTC"}),
        "a key that holds a second": Read("account_balance", {"ccy=BTC&ccy": "ETH"}),
        "an empty key": Read("account_balance", {"": "BTC"}),
        "an empty value": Read("account_balance", {"ccy": ""}),
        "a long value": Read("account_balance", {"ccy": "B" * 257}),
        "a body for a read without one": Read("account_balance", body={"ccy": "BTC"}),
    }.items()
}
NOT_GRANTED: dict[str, Theft] = {
    "no grant": lambda thief: thief.asking(grant=""),
    "a word for a grant": lambda thief: thief.asking(grant="sync of everything"),
    "a grant without its signature": lambda thief: thief.asking(grant=thief.granted.grant.split(".")[0]),
    "a grant with more behind it": lambda thief: thief.asking(grant=thief.granted.grant + "."),
    "a grant with more inside it": lambda thief: thief.asking(grant="!" + thief.granted.grant),
    "a grant that is over": lambda thief: thief.with_grant(seconds=0),
    "another credential's grant": lambda thief: thief.with_grant(uuid7()),
    "a grant for another credential": lambda thief: thief.asking(credential_id=uuid7()),
    "another exchange's grant": lambda thief: thief.with_grant(exchange="kraken"),
    "a request for another exchange": lambda thief: thief.asking(exchange="kraken"),
    "a verify grant for balances": lambda thief: thief.with_grant(purpose=VERIFY),
    "a grant for something else": lambda thief: thief.with_grant(purpose="synchronize everything"),
    "a grant by another key": lambda thief: thief.asking(
        grant=Gateway(thief.gateway.bus, Ed25519PrivateKey.generate(), thief.clock).grant(thief.credential)
    ),
}
OUT_OF_TIME: dict[str, Theft] = {
    "a minute early": lambda thief: thief.later(-60_001),
    "a minute late": lambda thief: thief.later(60_001),
    "a day ahead": lambda thief: thief.later(86_400_000),
    "the epoch": lambda thief: thief.asking(exchange_time_ms=0),
    "before all time": lambda thief: thief.asking(exchange_time_ms=-(2**63)),
    "the end of time": lambda thief: thief.asking(exchange_time_ms=2**63 - 1),
}
UNREADABLE: dict[str, Theft] = {
    "seventeen reads": lambda thief: thief.asking(reads=(CONFIG,) * 17),
    "no reads": lambda thief: thief.asking(reads=()),
    "a body in one text": lambda thief: thief.asking(reads=(BodyInText("account_config"),)),
    "a time in words": lambda thief: thief.asking(exchange_time_ms="now"),
    "a grant as long as a book": lambda thief: thief.asking(grant="A" * 1025),
    "nobody's key": lambda thief: thief.asking(seal_to=b""),
    "a short key": lambda thief: thief.asking(seal_to=thief.granted.seal_to[:31]),
    "a long key": lambda thief: thief.asking(seal_to=thief.granted.seal_to + b"\0"),
}
THEFTS = [
    pytest.param(theft, refusal, id=name)
    for thefts, refusal in (
        (OFF_THE_LIST, Code.READ_NOT_ALLOWED),
        (NOT_GRANTED, Code.GRANT_REFUSED),
        (OUT_OF_TIME, Code.CLOCK_DISAGREES),
        (UNREADABLE, Code.INVALID_REQUEST),
    )
    for name, theft in thefts.items()
]


@pytest.mark.parametrize(("theft", "refusal"), THEFTS)
async def test_a_theft_is_refused_and_audited(thief: Thief, theft: Theft, refusal: Code) -> None:
    """Every request beyond the grant is refused with its code, and one line records it."""
    code, line = await thief.refused(theft(thief))

    assert code == refusal
    assert "purpose" in line or refusal == Code.INVALID_REQUEST


async def test_what_is_granted_is_signed_and_audited(thief: Thief) -> None:
    """The unchanged request of these attacks is signed, and its line names purpose and reads."""
    with capture_logs() as logs:
        await thief.worker.signed(thief.granted)

    (line,) = [entry for entry in logs if entry["event"] == "audit"]
    assert (line["credential_id"], line["outcome"]) == (thief.credential, "done")
    assert line["purpose"].startswith("sync ")
    assert line["reads"] == [read.name for read in thief.granted.reads]


async def test_every_altered_byte_of_a_grant_is_refused(thief: Thief) -> None:
    """No position in payload, dot or signature accepts another character."""
    grant = thief.granted.grant
    for place, character in enumerate(grant):
        other = chr(ord(character) ^ 1)
        request = thief.asking(grant=grant[:place] + other + grant[place + 1 :])

        assert (await thief.refused(request))[0] == Code.GRANT_REFUSED, f"{place}: {character} as {other}"


async def test_no_other_character_gets_into_a_query(thief: Thief) -> None:
    """A value holds letters, digits and `._,-`, so it cannot end itself, begin another or be re-encoded."""
    for character in OFF_ALPHABET:
        for value in (f"BTC{character}", f"{character}BTC", f"BTC{character}ETH"):
            request = thief.asking(reads=(Read("account_balance", {"ccy": value}),))

            assert (await thief.refused(request))[0] == Code.READ_NOT_ALLOWED, repr(value)


@pytest.mark.parametrize("key", SMALL_ORDER, ids=[key.hex()[:8] for key in SMALL_ORDER])
async def test_an_answer_is_not_sealed_to_everybody(thief: Thief, key: bytes) -> None:
    """The broker seals no response to a key of small order, because anybody could open it."""
    assert (await thief.refused(thief.asking(seal_to=key)))[0] == Code.INVALID_REQUEST


async def test_what_is_said_beside_a_name_is_not_signed(thief: Thief) -> None:
    """Method and path come only from the list, whatever else the request contains."""
    smuggled = thief.asking(reads=(Smuggled("account_config"),))

    (read,) = (await thief.worker.signed(smuggled)).reads

    assert (read.method, read.target) == ("GET", "/api/v5/account/config")


async def test_an_answer_opens_for_its_request_alone(thief: Thief) -> None:
    """A sealed response that is kept or redirected opens neither for another request nor with another key."""
    reply = await thief.worker.authorize(thief.granted)
    assert isinstance(reply, Authorized)
    stranger = Worker(thief.worker.bus, thief.clock)

    for worker, request in (
        (thief.worker, thief.asking(request_id=uuid7())),
        (thief.worker, thief.asking(credential_id=uuid7())),
        (stranger, thief.granted),
    ):
        with pytest.raises(SealBroken):
            worker.open(reply, request)
    assert worker is stranger
    assert thief.worker.open(reply, thief.granted).reads


async def test_a_grant_dies_while_it_is_held(thief: Thief) -> None:
    """An attacker cannot use a kept grant after its deadline."""
    await thief.worker.signed(thief.granted)
    thief.clock.time += timedelta(seconds=120)

    kept = thief.worker.request(thief.credential, thief.granted.grant)
    assert (await thief.refused(kept))[0] == Code.GRANT_REFUSED


@pytest.mark.parametrize("subject", [subjects.KEYS, subjects.STORE, subjects.DESTROY, subjects.OFFER])
async def test_a_worker_can_not_ask_as_a_gateway(thief: Thief, subject: str) -> None:
    """The server denies the worker's key the gateway's subjects; the broker never receives the request."""
    with capture_logs() as logs:
        await thief.worker.bus.announce(subject, b"{}")

        async def refused_by_the_server() -> bool:
            return any(f'for publish to "{subject}"' in str(entry.get("error")) for entry in logs)

        await until(refused_by_the_server)
    assert not [entry for entry in logs if entry["event"] == "audit"]
