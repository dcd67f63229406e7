"""The simulated exchange refuses what the real one refuses, in a fixed order."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.simulator.limits import Limiter
from deploy.simulator.okx.accounts import Accounts, Region
from deploy.simulator.okx.checks import KEY, PASSPHRASE, SIGN, TIMESTAMP
from deploy.simulator.okx.exchange import Okx
from deploy.simulator.okx.refusals import REFUSALS
from deploy.simulator.types import Answer, Request

Signed = Callable[..., Request]
UNKNOWN_KEY = "00000000-0000-4000-8000-000000000000"
TEXT_OF_50110 = "Your IP 127.0.0.1 is not included in your API key's IP whitelist."


@pytest.fixture(name="exchange")
def _exchange(accounts: Accounts) -> Okx:
    return Okx(accounts, Limiter(strict=False))


def refusal(answer: Answer) -> tuple[int, str, str]:
    """Return status, code and text of a refusal."""
    return answer.status, answer.body["code"], answer.body["msg"]


@pytest.mark.parametrize(
    ("header", "value", "expected"),
    [
        (KEY, "", (401, "50103", 'Request header "OK-ACCESS-KEY" cannot be empty.')),
        (SIGN, "", (401, "50106", 'Request header "OK-ACCESS-SIGN" cannot be empty.')),
        (TIMESTAMP, "", (401, "50107", 'Request header "OK-ACCESS-TIMESTAMP" cannot be empty.')),
        (PASSPHRASE, "", (401, "50104", 'Request header "OK-ACCESS-PASSPHRASE" cannot be empty.')),
        (TIMESTAMP, "1782561600123", (401, "50112", "Invalid OK-ACCESS-TIMESTAMP.")),
        (TIMESTAMP, "2026-06-27T12:00:00Z", (401, "50112", "Invalid OK-ACCESS-TIMESTAMP.")),
        (TIMESTAMP, "2026-06-31T12:00:00.123Z", (401, "50112", "Invalid OK-ACCESS-TIMESTAMP.")),
        (TIMESTAMP, "2026-06-27T12:00:31.000Z", (401, "50102", "Timestamp request expired.")),
        (KEY, "not-a-key", (401, "50111", "Invalid OK-ACCESS-KEY.")),
        (KEY, UNKNOWN_KEY, (401, "50119", "API key doesn't exist")),
        ("x-simulated-trading", "1", (401, "50101", "APIKey does not match current environment.")),
        (PASSPHRASE, "other", (401, "50105", 'Request header "OK-ACCESS-PASSPHRASE" incorrect.')),
        (SIGN, "AkD5YszBhggtIyjDlmTy/9PpNVntel+1Lff8wh0qpQw=", (401, "50113", "Invalid signature.")),
        (SIGN, "\udcff", (401, "50113", "Invalid signature.")),
    ],
)
def test_a_wrong_header_has_its_own_code_and_a_body_without_data(
    exchange: Okx, signed: Signed, header: str, value: str, expected: tuple[int, str, str]
) -> None:
    """Refusals at the gate have the keys msg and code, nothing else."""
    status, code, text = expected

    assert exchange.answer(signed(headers={header: value})) == Answer(status, {"msg": text, "code": code})


def test_of_several_faults_the_earliest_in_the_order_is_told(exchange: Okx, signed: Signed) -> None:
    """A request that is wrong in every way is repaired step by step, and each step meets the next check."""
    place = ("/api/v5/trade/order", "ip-bound", "POST")
    good = dict(signed(*place).headers)
    headers = dict.fromkeys(good, "") | {"x-simulated-trading": "1"}
    repairs = [
        ("50103", KEY, "malformed"),
        ("50106", SIGN, "wrong"),
        ("50107", TIMESTAMP, "malformed"),
        ("50104", PASSPHRASE, "wrong"),
        ("50112", TIMESTAMP, "2020-12-08T09:08:57.715Z"),
        ("50102", TIMESTAMP, good[TIMESTAMP]),
        ("50111", KEY, UNKNOWN_KEY),
        ("50119", KEY, good[KEY]),
        ("50101", "x-simulated-trading", "0"),
        ("50105", PASSPHRASE, good[PASSPHRASE]),
        ("50113", SIGN, good[SIGN]),
    ]

    for code, header, repaired in repairs:
        assert code == exchange.answer(signed(*place, headers=headers)).body["code"]
        headers[header] = repaired

    assert refusal(exchange.answer(signed(*place, headers=headers))) == (401, "50110", TEXT_OF_50110)
    bound = signed(*place, headers=headers, address="192.0.2.10")
    assert exchange.answer(bound).body["code"] == "50120"


def test_a_timestamp_is_good_for_thirty_seconds_either_way(exchange: Okx, signed: Signed) -> None:
    """The age counts from the exchange's own time, and a time ahead of it counts like one behind."""
    made_at = signed().received_at
    ages = [timedelta(seconds=30), timedelta(seconds=-30), timedelta(seconds=30, milliseconds=1)]
    ages.append(-ages[2])

    codes = [exchange.answer(signed(received_at=made_at + age)).body["code"] for age in ages]

    assert codes == ["0", "0", "50102", "50102"]


def test_the_signature_covers_the_target_as_it_came(exchange: Okx, signed: Signed) -> None:
    """An encoded comma and a plain one are both accepted, but not one signed and the other sent."""
    plain, encoded = "/api/v5/account/balance?ccy=BTC,SOL", "/api/v5/account/balance?ccy=BTC%2CSOL"
    swapped = signed(plain, headers={SIGN: signed(encoded).headers[SIGN]})

    answers = [exchange.answer(request) for request in (signed(plain), signed(encoded), swapped)]

    assert [answer.body["code"] for answer in answers] == ["0", "0", "50113"]
    assert answers[0].body == answers[1].body


def test_the_signature_covers_the_body(exchange: Okx, signed: Signed) -> None:
    """A body that was not signed is refused."""
    assert exchange.answer(signed(body=b"{}")).body["code"] == "50113"


def test_a_key_is_unknown_in_another_region(exchange: Okx, signed: Signed) -> None:
    """The exchange tells a wrong region exactly like a key that does not exist."""
    answers = [exchange.answer(signed(account="eea", region=region)) for region in Region]

    assert [answer.body["code"] for answer in answers] == ["50119", "0", "50119"]


def test_a_bound_key_works_from_its_addresses_only(exchange: Okx, signed: Signed) -> None:
    """The refusal names the address that was seen."""
    refused = exchange.answer(signed(account="ip-bound"))
    allowed = exchange.answer(signed(account="ip-bound", address="192.0.2.10"))

    assert refusal(refused) == (401, "50110", TEXT_OF_50110)
    assert allowed.body["data"][0]["ip"] == "192.0.2.10"


@pytest.mark.parametrize(
    ("target", "account", "code"),
    [
        ("/api/v5/trade/order", "plain", "50120"),
        ("/api/v5/trade/order", "withdraw-enabled", "50120"),
        ("/api/v5/trade/order", "trade-enabled", "50062"),
        ("/api/v5/asset/transfer", "plain", "50120"),
        ("/api/v5/asset/withdrawal", "trade-enabled", "50120"),
        ("/api/v5/asset/withdrawal", "withdraw-enabled", "50062"),
    ],
)
def test_a_key_needs_the_permission_of_the_endpoint(
    exchange: Okx, signed: Signed, target: str, account: str, code: str
) -> None:
    """A key without the right is refused with 50120; with it, there is nothing to trade here."""
    answer = exchange.answer(signed(target, account, "POST"))

    assert (200, code, REFUSALS[code][200]) == refusal(answer)


def test_more_than_twenty_currencies_are_refused(exchange: Okx, signed: Signed) -> None:
    """This refusal comes from the API itself and has an empty data."""
    targets = [f"/api/v5/asset/balances?ccy={','.join(['BTC'] * count)}" for count in (20, 21)]

    accepted, refused = (exchange.answer(signed(target)) for target in targets)

    assert accepted.body["code"] == "0"
    text = "Parameter ccy count exceeds the limit 20."
    assert Answer(200, {"code": "50025", "data": [], "msg": text}) == refused


def test_a_valuation_unit_that_is_not_documented_is_refused(exchange: Okx, signed: Signed) -> None:
    """SOL is held and priced, but no unit of a valuation."""
    answer = exchange.answer(signed("/api/v5/asset/asset-valuation?ccy=SOL"))

    assert Answer(400, {"code": "51000", "data": [], "msg": "Parameter ccy error"}) == answer


def test_unknown_paths_and_wrong_methods_are_told_before_the_key_is_looked_at(
    exchange: Okx, signed: Signed
) -> None:
    """Neither needs a signature."""
    lost = exchange.answer(signed("/api/v5/account/nothing", headers={KEY: ""}))
    wrong = exchange.answer(signed(method="DELETE", headers={KEY: ""}))

    assert refusal(lost) == (404, "404", "Not Found")
    assert refusal(wrong) == (405, "50115", "Invalid request method.")


def test_every_refusal_is_in_the_table_of_the_exchange(facts: Path) -> None:
    """Codes, statuses and texts are documented; 50119 alone comes with the status that was really seen."""
    rows: list[dict[str, Any]] = json.loads((facts / "data" / "okx-rest-errors.json").read_text())
    documented = {(row["code"], row["http"], row["msg"]) for row in rows}
    ours = {
        (code, status, text.replace("{1}", "{param1}").replace("{0}", "{param0}"))
        for code, texts in REFUSALS.items()
        for status, text in texts.items()
    }

    assert {("404", 404, "Not Found"), ("50119", 401, "API key doesn't exist")} == ours - documented


def test_every_code_that_the_facts_explain_has_its_refusals(facts: Path) -> None:
    """All of section 6 is there, each code with every status that the exchange documents for it."""
    section = (facts / "okx.md").read_text().split("## 6. Errors")[1].split("## 7.")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| 5")]
    spans = [span for cell in cells for span in re.findall(r"(\d{5})(?:-(\d{5}))?", cell)]
    explained = {str(code) for low, high in spans for code in range(int(low), int(high or low) + 1)}
    rows = json.loads((facts / "data" / "okx-rest-errors.json").read_text())
    documented = {(row["code"], row["http"]) for row in rows if row["code"] in explained}

    assert len(explained) > 50
    assert documented <= {(code, status) for code, texts in REFUSALS.items() for status in texts}


def test_no_credential_is_in_a_representation(accounts: Accounts, signed: Signed) -> None:
    """What a log or a traceback may print of an account or a request is masked."""
    printed = repr(accounts) + repr(signed())
    secrets = [secret for account in accounts.accounts for secret in (account.api_secret, account.passphrase)]
    secrets += [account.api_key for account in accounts.accounts]

    assert not [secret for secret in secrets if secret in printed]
