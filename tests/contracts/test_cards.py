"""Schemas and golden examples match the code, and every message has a card."""

import json
from enum import StrEnum
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from contracts import budgets, closures, credentials, events, prices, syncs
from contracts.cards import NAMES, Kind
from contracts.schemas import schema
from contracts.syncs import Cause, Status, TotalCheck, Verdict
from contracts.values import Secret
from contracts.wire.asyncapi import CONTRACTS, DOCUMENT, example, files
from contracts.wire.envelope import Malformed, decode, encode

PARTS = {
    "AssetChanged",
    "Closure",
    "IndexPrice",
    "KeyFacts",
    "Lease",
    "Quote",
    "Rights",
    "Shrunk",
    "SignedRead",
    "SignedReads",
    "SubAccount",
    "SubAccountList",
    "Totals",
    "UnreadableRow",
    "WalletFact",
    "WalletRead",
}


def test_the_checked_in_files_are_those_of_the_code() -> None:
    """`make contracts` would change no file, and the folder has no others."""
    made = files()
    stored = {DOCUMENT.name: DOCUMENT.read_bytes()} | {
        str(path.relative_to(CONTRACTS)): path.read_bytes()
        for folder in ("schemas", "examples")
        for path in (CONTRACTS / folder).iterdir()
    }

    assert stored == made


def test_every_message_has_a_name() -> None:
    """This test finds a message that was added without a name."""
    defined = {
        name
        for module in (budgets, closures, events, syncs, credentials, prices)
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__module__ == module.__name__
    }

    assert defined - PARTS == {kind.__name__ for kind in NAMES}


@pytest.mark.parametrize("kind", NAMES)
def test_a_golden_example_has_every_field_and_fits_its_schema(kind: Kind) -> None:
    """The checked-in example is a current message, checked as a reader in another language would."""
    golden = json.loads(example(kind))

    assert jsonschema_rs.validator_for(schema(kind)).is_valid(golden)
    assert set(golden) == set(schema(kind)["$defs"][kind.__name__]["properties"])


@pytest.mark.parametrize("kind", NAMES)
def test_unknown_fields_are_ignored(kind: Kind) -> None:
    """A field of a later version does not break an earlier one."""
    golden: msgspec.Struct = decode(example(kind), kind)
    later = b'{"added_later":{"a":[1]},' + encode(golden)[1:]

    assert decode(later.replace(b",}", b"}"), kind) == golden


@pytest.mark.parametrize("kind", NAMES)
def test_no_message_has_a_field_for_a_secret_in_clear(kind: Kind) -> None:
    """Secrets cross the bus only inside sealed bytes."""
    fields = msgspec.structs.fields(kind)

    assert all(Secret not in (field.type, *getattr(field.type, "__args__", ())) for field in fields)


def patterns(node: Any) -> set[str]:
    """Return every pattern of a schema."""
    if isinstance(node, list):
        return set().union(*map(patterns, node))
    if not isinstance(node, dict):
        return set()
    own = {node["pattern"]} if isinstance(node.get("pattern"), str) else set()
    return own.union(*map(patterns, node.values()))


def test_a_schema_has_the_anchors_of_other_languages() -> None:
    r"""JSON Schema's patterns are JavaScript's, where `\A` is the letter A."""
    found = set().union(*(patterns(schema(kind)) for kind in NAMES))

    assert found
    assert all(each[0] == "^" and each[-1] == "$" and "\\" not in each for each in found)


def test_a_schema_takes_what_a_later_version_may_say() -> None:
    """A reader accepts an unknown value of an open set; other unknown values are refused."""
    fact = json.loads(example(events.AccountSynced))
    reader = jsonschema_rs.validator_for(schema(events.AccountSynced))
    fact["wallets"][0] |= {"verdict": "read_by_telescope", "total_check": "agrees_twice"}

    assert reader.is_valid(fact)
    assert not reader.is_valid({**fact, "status": "adjourned"})


@pytest.mark.parametrize("kind", [Status, Verdict, TotalCheck, Cause])
def test_a_schema_leaves_open_what_the_code_leaves_open(kind: type[StrEnum]) -> None:
    """The enums that a later version may extend are those whose class accepts an unknown value."""
    said = schema(events.AccountSynced)["$defs"][kind.__name__]

    assert ("x-extensible-enum" in said) == ("_missing_" in vars(kind))


def test_a_malformed_message_is_told_without_its_content() -> None:
    """The words for an unreadable message name the place and repeat no content."""
    with pytest.raises(Malformed) as caught:
        decode(b'{"type":"refused","code":"a canary"}', credentials.Refused)

    assert "canary" not in str(caught.value)
    assert "$.code" in str(caught.value)
