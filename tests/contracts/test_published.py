"""Programs and services of the last release understand today's messages, and those of today theirs.

`contracts/published` holds the schemas of the last release; `make publish` writes those of the next one.
"""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from contracts.cards import NAMES
from contracts.schemas import schema
from contracts.wire.asyncapi import CONTRACTS
from tests.contracts.reading import unreadable

PUBLISHED = {path.stem: json.loads(path.read_text()) for path in (CONTRACTS / "published").iterdir()}
TODAY = {kind.__name__: schema(kind) for kind in NAMES}
FACT = PUBLISHED["AccountSynced"]


def changes(published: dict[str, Any], today: dict[str, Any]) -> list[str]:
    """Return what stands between a reader and a writer of which one is of the last release."""
    gone = [
        f"{kind}.{each} is gone"
        for kind, was in published["$defs"].items()
        for word in ("properties", "x-extensible-enum")
        for each in {*was.get(word, ())} - {*today["$defs"].get(kind, was).get(word, ())}
    ]
    ours = [f"old readers: {reason}" for reason in unreadable(today, published)]
    return gone + ours + [f"new readers: {reason}" for reason in unreadable(published, today)]


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_published_message_can_be_read_across_releases(name: str) -> None:
    """Within a subject there are only additions: anything else is a new message on a new subject."""
    assert name in TODAY, "a message of the last release is read for as long as its file is in published/"
    assert changes(PUBLISHED[name], TODAY[name]) == []
    assert PUBLISHED[name]["$id"] == TODAY[name]["$id"]


def spoiled(kind: str, field: str | None = None, /, **said: Any) -> dict[str, Any]:
    """Change the published AccountSynced in one place; None takes a keyword away."""
    changed: dict[str, Any] = deepcopy(FACT)
    place = changed["$defs"][kind]
    place = place if field is None else place["properties"][field]
    place |= said
    for word in [word for word, value in said.items() if value is None]:
        del place[word]
    return changed


def with_field(name: str, *, required: bool) -> dict[str, Any]:
    """Return the published AccountSynced with one more field."""
    changed: dict[str, Any] = deepcopy(FACT)
    fact = changed["$defs"]["AccountSynced"]
    fact["properties"][name] = {"type": "string"}
    fact["required"] += [name] if required else []
    return changed


def without_field(name: str) -> dict[str, Any]:
    """Return the published AccountSynced without a field."""
    changed: dict[str, Any] = deepcopy(FACT)
    fact = changed["$defs"]["AccountSynced"]
    del fact["properties"][name]
    fact["required"] = [each for each in fact["required"] if each != name]
    return changed


OTHER_CODE = {"anyOf": [{"type": "string", "pattern": "^[A-Z]{1,64}$"}, {"type": "null"}]}
KNOWN = FACT["$defs"]["Verdict"]["x-extensible-enum"]
REFUSED = {
    "a required field is gone": without_field("exchange"),
    "an optional field is gone": without_field("holdings_count"),
    "a new field is required": with_field("region", required=True),
    "a field becomes required": spoiled(
        "AccountSynced", required=[*FACT["$defs"]["AccountSynced"]["required"], "error_code"]
    ),
    "a field becomes optional": spoiled("AccountSynced", required=["sync_id"]),
    "a type is another": spoiled("AccountSynced", "exchange", type="integer"),
    "a field may be null": spoiled(
        "AccountSynced", "exchange", type=None, anyOf=[{"type": "string"}, {"type": "null"}]
    ),
    "a field may no longer be null": spoiled("AccountSynced", "holdings_count", anyOf=None, type="integer"),
    "a format is another": spoiled("AccountSynced", "sync_id", format="date-time"),
    "a pattern is another": spoiled("AccountSynced", "error_code", **OTHER_CODE),
    "a bound is new": spoiled("AccountSynced", "exchange", maxLength=3),
    "an enum has more values": spoiled(
        "Status", enum=["completed", "failed", "partial", "queued", "adjourned"]
    ),
    "an enum has fewer values": spoiled("Status", enum=["completed", "failed"]),
    "an enum is new": spoiled("WalletFact", "wallet", type=None, enum=["trading"]),
    "an open enum is closed": spoiled("Verdict", **{"x-extensible-enum": None, "enum": KNOWN, "type": None}),
    "an open enum has fewer values": spoiled("Verdict", **{"x-extensible-enum": KNOWN[1:]}),
    "the items of a list are others": spoiled("AccountSynced", "wallets", items={"type": "string"}),
    "the items of a list are anything": spoiled("AccountSynced", "wallets", items={}),
    "a keyword is not understood": spoiled("AccountSynced", "exchange", **{"not": {"const": "okx"}}),
}


@pytest.mark.parametrize("today", REFUSED.values(), ids=REFUSED)
def test_a_change_that_cannot_be_read_is_refused(today: dict[str, Any]) -> None:
    """A reader of the one side could not read a message of the other."""
    assert changes(FACT, today)


ACCEPTED = {
    "nothing": FACT,
    "a field with a default": with_field("region", required=False),
    "words": spoiled("AccountSynced", description="Other words."),
    "one more value where readers know how to take it": spoiled(
        "Verdict", **{"x-extensible-enum": [*KNOWN, "read_by_telescope"]}
    ),
}


@pytest.mark.parametrize("today", ACCEPTED.values(), ids=ACCEPTED)
def test_an_addition_is_accepted(today: dict[str, Any]) -> None:
    """Within a subject, additions with a default are what a version is."""
    assert changes(FACT, today) == []


def test_directions_are_told_apart() -> None:
    """A bound that is lifted troubles old readers, and a bound that is new troubles new ones."""
    bounded = spoiled("AccountSynced", "exchange", maxLength=3)

    assert [each.partition(":")[0] for each in changes(bounded, FACT)] == ["old readers"]
    assert [each.partition(":")[0] for each in changes(FACT, bounded)] == ["new readers"]


def test_every_message_of_the_last_release_names_a_schema() -> None:
    """What lies in `published` are schemas, and nothing else."""
    assert all(Path(name).suffix == "" and said["$id"].startswith("urn:") for name, said in PUBLISHED.items())
