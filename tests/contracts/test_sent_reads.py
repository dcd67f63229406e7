"""A signed read is the requested read plus the additions of its scheme, and nothing else is sent."""

import json

import msgspec
import pytest

from contracts.exchanges.keys import CredentialField, CredentialKind, Curve, Form
from contracts.exchanges.okx import OKX
from contracts.exchanges.types import Encoding, Endpoint, Exchange, Read, ReadNotAllowed

SIGNS = CredentialField("private_key", "Key", secret=True, form=Form.PEM, signs=True, curve=Curve.P256)
REGION = msgspec.structs.replace(OKX.regions[0], further_hosts={"wallet": "https://wallet.test"})
READS = {
    "list": Endpoint("GET", "/list", frozenset({"cursor", "limit"}), host="wallet"),
    "total": Endpoint("POST", "/total", body_keys=frozenset({"unit", "page"})),
}
ADDED = frozenset({"nonce", "signature"})


def exchange(encoding: Encoding = "form") -> Exchange:
    """Return an exchange whose scheme adds a nonce and a signature."""
    return msgspec.structs.replace(
        OKX,
        regions=(REGION,),
        reads=READS,
        verify_reads=frozenset({"list"}),
        sync_reads=frozenset(READS),
        signing_keys=ADDED,
        encoding=encoding,
    )


LIST = Read("list", {"cursor": "a", "limit": "2"})
TOTAL = Read("total", body={"unit": "USD", "page": "1"})


def test_what_a_scheme_adds_stands_behind_what_was_asked() -> None:
    """Query and body are written without any encoding, in their order."""
    listing = exchange().request(LIST).adding(query={"nonce": "7", "signature": "a%2Bb/c=="})
    form = exchange().request(TOTAL).adding(body={"nonce": "7"})
    document = exchange("json").request(TOTAL).adding(body={"nonce": "7"})

    assert (listing.host, listing.target) == ("wallet", "/list?cursor=a&limit=2&nonce=7&signature=a%2Bb/c==")
    assert (form.method, form.target, form.content) == ("POST", "/total", "unit=USD&page=1&nonce=7")
    assert document.content == '{"unit":"USD","page":"1","nonce":"7"}'
    assert exchange().request(Read("total")).content == ""


@pytest.mark.parametrize(
    ("read", "target", "content"),
    [
        (LIST, "/list?cursor=a&limit=2", ""),
        (LIST, "/list?cursor=a&limit=2&nonce=7&signature=a%2Bb/c==", ""),
        (LIST, "/list?nonce=7&cursor=a&limit=2", ""),
        (TOTAL, "/total", "unit=USD&page=1"),
        (TOTAL, "/total", "nonce=7&unit=USD&page=1&signature=x"),
        (TOTAL, "/total?signature=x", "unit=USD&page=1"),
        (Read("total"), "/total", "nonce=7"),
    ],
)
def test_a_signed_read_is_known_again(read: Read, target: str, content: str) -> None:
    """A signature in header, query or body does not change the read."""
    asked = exchange().request(read)

    assert exchange().asks_only(read, asked.method, asked.host, target, content)


@pytest.mark.parametrize(
    ("read", "method", "host", "target", "content"),
    [
        (LIST, "POST", "wallet", "/list?cursor=a&limit=2", ""),
        (LIST, "GET", "", "/list?cursor=a&limit=2", ""),
        (LIST, "GET", "wallet", "/other?cursor=a&limit=2", ""),
        (LIST, "GET", "wallet", "/list?cursor=b&limit=2", ""),
        (LIST, "GET", "wallet", "/list?limit=2&cursor=a", ""),
        (LIST, "GET", "wallet", "/list?cursor=a", ""),
        (LIST, "GET", "wallet", "/list?cursor=a&limit=2&sub=1", ""),
        (LIST, "GET", "wallet", "/list?cursor=a&cursor=a&limit=2", ""),
        (LIST, "GET", "wallet", "/list?cursor=b&cursor=a&limit=2", ""),
        (LIST, "GET", "wallet", "/list?cursor=a&limit=2&nonce=7&nonce=7", ""),
        (LIST, "GET", "wallet", "/list?cursor=a&limit=2&nonce", ""),
        (LIST, "GET", "wallet", "/list?cursor=a&limit=2&nonce=7#part", ""),
        (LIST, "GET", "wallet", "/list?cursor=a&limit=2&nonce=7 ", ""),
        (LIST, "GET", "wallet", '/list?cursor=a&limit=2&signature=a"b', ""),
        (LIST, "GET", "wallet", "/list?cursor=a&limit=2", "unit=USD"),
        (TOTAL, "POST", "", "/total", ""),
        (TOTAL, "POST", "", "/total", "unit=USD&page=1&amount=1"),
        (TOTAL, "POST", "", "/total?unit=USD", "page=1"),
        (TOTAL, "POST", "", "/total", '{"unit":"USD","page":"1"}'),
    ],
)
def test_anything_else_is_not(read: Read, method: str, host: str, target: str, content: str) -> None:
    """Another method, host, path, value, order or key, and a duplicate key."""
    assert not exchange().asks_only(read, method, host, target, content)


@pytest.mark.parametrize(
    ("content", "same"),
    [
        ('{"unit":"USD","page":"1","nonce":"7"}', True),
        ('{"unit":"EUR","unit":"USD","page":"1"}', False),
        ('{"unit":"USD","page":1}', False),
        ('{"unit":"USD","page":"1"} ', False),
        ('{"unit":"USD"', False),
        ("unit=USD&page=1", False),
        ("", False),
    ],
)
def test_a_json_body_is_held_to_the_same(content: str, *, same: bool) -> None:
    """A duplicate key is refused, too, because readers differ in which one they use."""
    assert exchange("json").asks_only(TOTAL, "POST", "", "/total", content) is same
    if same:
        assert json.loads(content)["nonce"] == "7"


@pytest.mark.parametrize(
    "read",
    [Read("total", {"unit": "USD"}), Read("total", body={"nonce": "7"}), Read("list", body={"cursor": "a"})],
)
def test_a_worker_can_not_write_what_the_scheme_adds(read: Read) -> None:
    """Each key has its place, and only the broker writes a nonce or a signature."""
    with pytest.raises(ReadNotAllowed):
        exchange().request(read)


KEY, PASSPHRASE = OKX.typed[0].sealed_fields
BORN = CredentialKind("born", "Born", (KEY,), born=True)


def kinds(*fields: CredentialField) -> tuple[CredentialKind, ...]:
    """Return one kind of key with these fields."""
    return (CredentialKind("hmac", "HMAC", fields),)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"credential_kinds": kinds(KEY, PASSPHRASE)}, "one field signs"),
        ({"credential_kinds": kinds(*OKX.typed[0].fields, SIGNS)}, "one field signs"),
        ({"credential_kinds": kinds(*OKX.typed[0].fields, KEY)}, "a name of its own"),
        (
            {"credential_kinds": kinds(SIGNS, msgspec.structs.replace(KEY, key="exchange"))},
            "a name of its own",
        ),
        ({"credential_kinds": kinds(msgspec.structs.replace(SIGNS, curve=None))}, "has a curve"),
        (
            {"credential_kinds": kinds(*OKX.typed[0].fields, msgspec.structs.replace(SIGNS, signs=False))},
            "has a curve",
        ),
        ({"credential_kinds": ()}, "one is typed"),
        ({"credential_kinds": (BORN,)}, "one is typed"),
        ({"credential_kinds": OKX.credential_kinds * 2}, "a name of its own"),
        (
            {
                "credential_kinds": (
                    *OKX.credential_kinds,
                    msgspec.structs.replace(BORN, fields=OKX.typed[0].fields),
                )
            },
            "no field of a born key signs",
        ),
        ({"sync_reads": OKX.sync_reads | {"place_order"}}, "not on the list"),
        ({"verify_reads": frozenset({"place_order"})}, "not on the list"),
        (
            {"reads": OKX.reads | {"list": Endpoint("GET", "/list", host="nowhere")}},
            "a host that a region lacks",
        ),
        (
            {
                "reads": OKX.reads | {"list": Endpoint("GET", "/list", frozenset({"nonce"}))},
                "signing_keys": ADDED,
            },
            "a key that the scheme adds",
        ),
    ],
)
def test_an_entry_that_contradicts_itself_is_refused(changed: dict[str, object], words: str) -> None:
    """One field signs; names are unique; hosts and granted reads exist; a scheme has its own keys."""
    with pytest.raises(ValueError, match=f"okx: .*{words}"):
        msgspec.structs.replace(OKX, **changed)
