"""Schemas and golden examples are those of the code, and every message has a card."""

from pathlib import Path

import msgspec
import pytest

from contracts import credentials, events, syncs
from contracts.cards import CARDS, Card, files
from contracts.values import Secret
from contracts.wire.envelope import Malformed, decode, encode

CONTRACTS = Path(__file__).parents[2] / "contracts"
PARTS = {
    "Rights",
    "SignedRead",
    "SignedReads",
    "Totals",
    "UnreadableRow",
    "WalletFact",
    "WalletRead",
}


def test_the_checked_in_files_are_those_of_the_code() -> None:
    """`make contracts` would change nothing, and nothing else lies there."""
    made = files()
    stored = {
        str(path.relative_to(CONTRACTS)): path.read_bytes()
        for folder in ("schemas", "examples")
        for path in (CONTRACTS / folder).iterdir()
    }

    assert stored == made


def test_every_message_has_a_card() -> None:
    """A message that was added without a card is missed here."""
    defined = {
        name
        for module in (events, syncs, credentials)
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__module__ == module.__name__
    }

    assert defined - PARTS == {card.name for card in CARDS}


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_golden_example_is_read_back(card: Card) -> None:
    """What is checked in is a message that the services of today can read."""
    stored = (CONTRACTS / "examples" / f"{card.name}.json").read_bytes()

    assert decode(stored, type(card.example)) == card.example


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_unknown_fields_are_ignored(card: Card) -> None:
    """A field that a later version adds does not stop an earlier one."""
    later = b'{"added_later":{"a":[1]},' + encode(card.example)[1:]

    assert decode(later.replace(b",}", b"}"), type(card.example)) == card.example


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_no_message_has_a_field_for_a_secret_in_clear(card: Card) -> None:
    """Secrets cross the bus only inside sealed bytes."""
    fields = msgspec.structs.fields(type(card.example))

    assert all(Secret not in (field.type, *getattr(field.type, "__args__", ())) for field in fields)


def test_a_malformed_message_is_told_without_its_content() -> None:
    """The words for a message that can not be read name the place and repeat nothing."""
    with pytest.raises(Malformed) as caught:
        decode(b'{"type":"refused","code":"a canary"}', credentials.Refused)

    assert "canary" not in str(caught.value)
    assert "$.code" in str(caught.value)
