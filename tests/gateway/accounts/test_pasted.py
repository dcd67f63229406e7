"""The gateway trims the edges of pasted values with a note, and refuses values that cannot be sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from contracts.exchanges.okx import OKX
from contracts.remedies import NOT_STORED, ROUTES, Situation
from contracts.values import Secret
from gateway.accounts.pasted import trimmed
from gateway.accounts.submission import read_fields
from gateway.errors import InvalidInput
from gateway.http.problems import problem_of

CONNECT, REPLACE, _ = Situation
# A space, a line end, a tab, an unbroken space, a wide one, a zero-width one, two joiners, a byte order mark,
# a soft hyphen, marks of direction, and the separators of lines and paragraphs.
INVISIBLE = " \r\n\t\u00a0\u3000\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u202a\u2066\u2028\u2029\u0085"
EDGES = some.text(some.sampled_from(INVISIBLE), max_size=5)
ASCII = some.characters(min_codepoint=0x21, max_codepoint=0x7E)
INSIDE = some.text(ASCII, min_size=1).flatmap(
    lambda first: some.tuples(
        some.just(first), some.text(some.sampled_from(" #~")), some.text(ASCII, min_size=1)
    )
)
FIELDS = ("api_key", "api_secret", "passphrase")


def pasted(**changed: str) -> dict[str, Secret]:
    """Return the values of a key, some of them changed."""
    given = {"api_key": "key-of-a-user", "api_secret": "s" * 32, "passphrase": "Pass phrase 1!"}
    return {field: Secret(text) for field, text in (given | changed).items()}


@given(EDGES, INSIDE, EDGES)
def test_only_the_edges_are_trimmed(before: str, inside: tuple[str, str, str], after: str) -> None:
    """Spaces inside belong to the value; invisible characters at its ends do not."""
    text = "".join(inside)

    assert trimmed(before + text + after) == text


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("character", INVISIBLE, ids=ascii)
def test_a_note_names_what_was_trimmed(field: str, character: str) -> None:
    """Each field that was trimmed has one note, which does not repeat its value."""
    expected = pasted()[field].reveal()
    submitted = read_fields(OKX, pasted(**{field: f"{character}{expected}{character}\n"}), CONNECT)

    (note,) = submitted.notes
    assert field in note
    assert "trimmed" in note
    assert expected not in note
    assert {name: value.reveal() for name, value in submitted.fields.items()} == {
        name: value.reveal() for name, value in pasted().items()
    }


def test_what_needs_no_trimming_has_no_note() -> None:
    """Clean values stay the same objects."""
    given = pasted()

    submitted = read_fields(OKX, given, CONNECT)

    assert submitted.notes == ()
    assert submitted.fields == given


@pytest.mark.parametrize("situation", [CONNECT, REPLACE])
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        (" \u200b\n", "is empty"),
        ("canary-p\u00e4ss", "not ASCII"),
        ("canary-\u200bpass", "not ASCII"),
        ("canary-\ufeffpass", "not ASCII"),
        ("canary-\u00a0pass", "not ASCII"),
        ("canary-\u0440ass", "not ASCII"),
        ("canary\nX: 1", "line break"),
        ("canary\x00", "control character"),
        ("canary\x7f", "control character"),
        ("canary" * 256, "longer than 256"),
    ],
)
def test_what_can_not_be_sent_is_refused_with_its_reason(
    situation: Situation, field: str, text: str, reason: str
) -> None:
    """The problem names the field and the reason, says that nothing was stored, and repeats no value."""
    with pytest.raises(InvalidInput) as caught:
        read_fields(OKX, pasted(**{field: text}), situation)

    problem = problem_of(caught.value)
    assert problem.code == "invalid_input"
    assert f"The {field} " in problem.detail
    assert reason in problem.detail
    assert NOT_STORED[situation] in problem.detail
    assert problem.detail.endswith(f"submit the key again {ROUTES[situation]}.")
    assert [each["field"] for each in problem.members["errors"]] == [f"credentials.{field}"]
    assert "canary" not in str(problem.document())


@pytest.mark.parametrize("situation", [CONNECT, REPLACE])
@pytest.mark.parametrize("text", ["canary", "canary" + "s" * 25, f" {'canary' + 's' * 25}\n"])
def test_a_secret_that_the_vault_could_not_keep_is_refused_by_name(situation: Situation, text: str) -> None:
    """A secret that is too short is invalid input like that of any other field, and is not stored."""
    with pytest.raises(InvalidInput) as caught:
        read_fields(OKX, pasted(api_secret=text), situation)

    message = "The api_secret is shorter than 32 characters."
    assert caught.value.members["errors"] == [{"field": "credentials.api_secret", "message": message}]
    assert NOT_STORED[situation] in caught.value.detail
    assert "canary" not in str(problem_of(caught.value).document())


def test_every_field_that_is_wrong_is_named() -> None:
    """A user who pasted two wrong fields reads about both."""
    with pytest.raises(InvalidInput) as caught:
        read_fields(OKX, pasted(api_key="", passphrase="\u00fc"), CONNECT)

    assert [each["field"] for each in caught.value.members["errors"]] == [
        "credentials.api_key",
        "credentials.passphrase",
    ]


def test_fields_that_are_missing_or_unknown_are_told() -> None:
    """The problem names each missing field; an unknown name may be a secret, so it is not repeated."""
    fields = pasted() | {"canary-of-a-secret": Secret("x")}
    del fields["passphrase"]

    with pytest.raises(InvalidInput) as caught:
        read_fields(OKX, fields, CONNECT)

    problem = caught.value
    assert problem.members["errors"] == [
        {"field": "credentials.passphrase", "message": "The passphrase is missing."},
        {
            "field": "credentials",
            "message": "There is an unknown field: a key of OKX has api_key, api_secret, passphrase.",
        },
    ]
    assert "The passphrase is missing." in problem.detail
    assert NOT_STORED[CONNECT] in problem.detail
    assert "canary" not in str(problem_of(problem).document())


@given(some.text(max_size=300))
def test_what_is_accepted_can_be_sent_in_a_header(text: str) -> None:
    """A header field carries printable ASCII without white space around it, so only that is accepted."""
    try:
        kept = read_fields(OKX, pasted(passphrase=text), CONNECT).fields["passphrase"].reveal()
    except InvalidInput:
        return
    assert kept.isascii()
    assert kept.isprintable()
    assert kept == kept.strip()
    assert 0 < len(kept) <= 256
