"""The AsyncAPI document contains all facts of the cards and the topology."""

import json
from uuid import UUID

import pytest

from contracts import subjects
from contracts.cards import CARDS, NAMES, Card
from contracts.wire.asyncapi import DOCUMENT, PARAMETER, described, document
from contracts.wire.bus_users import USERS, overlap
from contracts.wire.topology import STREAMS
from tests.contracts.foreign.reader import read_by

DAY = 86400
ID = UUID(int=1)


def test_the_parser_of_asyncapi_finds_nothing_to_say() -> None:
    """The checked-in document is valid and has every subject."""
    told = read_by("asyncapi", json.loads(DOCUMENT.read_text()))

    assert told["diagnostics"] == []
    assert told["version"] == "3.0.0"
    assert {card.subject for card in CARDS} == {address for address in told["addresses"] if address}


def test_the_parser_refuses_a_document_that_is_not_valid() -> None:
    """The rules are really applied: the parser finds an operation without its action."""
    spoiled = json.loads(DOCUMENT.read_text())
    del spoiled["operations"]["sendAccountSynced"]["action"]

    assert read_by("asyncapi", spoiled)["diagnostics"]


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.subject)
def test_a_card_tells_what_its_readers_rely_on(card: Card) -> None:
    """Version, owner, delivery, ordering and retention are there, and each message has an example."""
    said = described(card)

    assert said["version"] >= 1
    assert said["owner"] in {*card.senders, *card.receivers}
    assert {str(user.name) for user in USERS} >= {card.owner}
    assert all(said[each] for each in ("delivery", "ordering", "retention", "senders", "receivers"))
    messages = document()["components"]["messages"]
    assert all(messages[kind.__name__]["examples"] for kind in (card.message, *card.replies) if kind)


def test_every_subject_of_the_bus_has_a_card() -> None:
    """A card has every subject on which a service may publish or reply, except requests to the server."""
    patterns = [PARAMETER.sub("*", card.subject) for card in CARDS]
    own = [row for user in USERS for row in (*user.publish, *user.answers) if row.startswith("butler.")]
    assert own

    assert not [row for row in own if not any(overlap(row, pattern) for pattern in patterns)]


def test_retention_is_that_of_the_stream() -> None:
    """A card does not repeat it: a stream with a longer retention changes the document by itself."""
    retained = {card.subject: described(card)["retention"] for card in CARDS}

    assert retained["butler.account.synced.{user_id}"]["max_age_seconds"] == 7 * DAY
    assert retained["butler.sync.requested.{exchange}"]["policy"] == "workqueue"
    assert isinstance(retained[subjects.STORE], str)
    stored = {each["stream"] for each in retained.values() if isinstance(each, dict)}
    assert {stream.name for stream in STREAMS} - stored == {"ADVISORIES"}


def test_the_cards_of_account_events_are_for_the_subjects_that_the_gateway_uses() -> None:
    """The subjects that the cards spell out are those of the code."""
    used = {subjects.account_synced(ID), subjects.account_paused(ID), subjects.account_resumed(ID)}
    used |= {subjects.portfolio_changed(ID)}

    public = {card.subject for card in CARDS if "subscribers" in card.receivers}
    assert {subject.replace("{user_id}", str(ID)) for subject in public} == used


def test_a_request_is_answered_by_its_own_answers_or_a_refusal() -> None:
    """Each message goes to a subject, or is a reply on one."""
    placed = {kind for card in CARDS for kind in (card.message, *card.replies) if kind}

    assert placed == set(NAMES)
