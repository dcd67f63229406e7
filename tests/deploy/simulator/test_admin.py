"""The admin port switches faults on for one owner and endpoint; they strike only there."""

import http.client
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import ccxt.async_support
import pytest

from deploy.simulator.faults import FAULTS
from deploy.simulator.okx.accounts import Accounts
from deploy.simulator.okx.refusals import REFUSALS
from tests.waiting import passed, until

# The usual limit is ten calls in two seconds.
BURST = 8
BALANCE = "account/balance"
TARGET = "/api/v5/account/balance"
REFUSED = {"fault": "refusal", "code": "50026"}


@pytest.fixture(name="troubled", scope="module")
def _troubled(
    start: Callable[..., AbstractContextManager[Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    with start(tmp_path_factory.mktemp("troubled"), "--admin-port", "0") as simulator:
        yield simulator


def ask(simulator: Any, method: str, place: str, body: object = None) -> tuple[int, Any]:
    """Call the admin port, and return HTTP status and body."""
    with closing(http.client.HTTPConnection(urlsplit(simulator.address["admin"]).netloc, timeout=5)) as admin:
        owner, _, endpoint = place.partition("/")
        path = f"/faults/okx/{owner}/api/v5/{endpoint}"
        admin.request(method, path, json.dumps(body) if body is not None else None)
        response = admin.getresponse()
        return response.status, json.loads(response.read() or b"null")


@pytest.fixture(name="put")
def _put(troubled: Any) -> Iterator[Callable[..., None]]:
    """Yield a function that switches a fault on until the end of the test."""
    places: list[str] = []

    def put(place: str, fault: str, **parameters: Any) -> None:
        assert ask(troubled, "PUT", place, {"fault": fault, **parameters})[0] == HTTPStatus.NO_CONTENT
        places.append(place)

    yield put
    for place in places:
        assert ask(troubled, "DELETE", place)[0] == HTTPStatus.NO_CONTENT


def test_without_the_option_there_is_no_admin_port(simulator: Any) -> None:
    """No file names one, and no other port accepts its requests."""
    assert "admin" not in simulator.address
    assert simulator.get(None, f"/faults/okx/plain{TARGET}")[0] == HTTPStatus.NOT_FOUND


def test_a_fault_strikes_its_account_and_endpoint_only(
    troubled: Any, accounts: Accounts, put: Callable[..., None]
) -> None:
    """Another account and another endpoint respond as usual."""
    put(f"plain/{BALANCE}", "refusal", code="50026")

    assert troubled.get(accounts["plain"], TARGET)[1]["code"] == "50026"
    assert troubled.get(accounts["plain"], "/api/v5/asset/balances")[1]["code"] == "0"
    assert troubled.get(accounts["margin"], TARGET)[1]["code"] == "0"
    assert ask(troubled, "GET", f"plain/{BALANCE}") == (HTTPStatus.OK, {"struck": 1})


def test_a_public_endpoint_belongs_to_its_region(troubled: Any, put: Callable[..., None]) -> None:
    """Its requests carry no account, so the fault belongs to the address."""
    put("eea/public/time", "page", status=502)

    assert troubled.get(None, "/api/v5/public/time")[0] == HTTPStatus.OK
    with pytest.raises(json.JSONDecodeError):
        troubled.get(None, "/api/v5/public/time", "eea")


def test_a_fault_ends_after_so_many_calls(
    troubled: Any, accounts: Accounts, put: Callable[..., None]
) -> None:
    """With `times`, later calls succeed."""
    put(f"plain/{BALANCE}", "refusal", times=2, code="50001")

    codes = [troubled.get(accounts["plain"], TARGET)[1]["code"] for _ in range(3)]

    assert codes == ["50001", "50001", "0"]


def test_a_fault_that_is_switched_off_is_over(troubled: Any, accounts: Accounts) -> None:
    """Switching off an inactive fault is harmless."""
    ask(troubled, "PUT", f"plain/{BALANCE}", REFUSED)
    statuses = [ask(troubled, "DELETE", f"plain/{BALANCE}")[0] for _ in range(2)]

    assert statuses == [HTTPStatus.NO_CONTENT] * 2
    assert troubled.get(accounts["plain"], TARGET)[1]["code"] == "0"
    assert ask(troubled, "GET", f"plain/{BALANCE}")[0] == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    ("code", "status"), [(code, status) for code, texts in REFUSALS.items() for status in texts]
)
def test_every_refusal_can_be_had(
    troubled: Any, accounts: Accounts, put: Callable[..., None], code: str, status: int
) -> None:
    """By its number, with each of its documented statuses, and its text filled in."""
    put(f"plain/{BALANCE}", "refusal", code=code, status=status)

    answered, body = troubled.get(accounts["plain"], TARGET)

    assert (answered, body["code"]) == (status, code)
    assert body["msg"] == REFUSALS[code][status].format("127.0.0.1", "127.0.0.1")


def test_a_damaged_answer_is_whole_but_for_one_field(
    troubled: Any, accounts: Accounts, put: Callable[..., None]
) -> None:
    """Only the first row that has the field changes."""
    place, target, account = "plain/asset/balances", "/api/v5/asset/balances", accounts["plain"]
    rows = troubled.get(account, target)[1]["data"]

    put(place, "missing", field="bal")
    missing = troubled.get(account, target)[1]["data"]
    put(place, "renamed", field="bal")
    renamed = troubled.get(account, target)[1]["data"]
    put(place, "replaced", field="bal", text="[1e400]")
    replaced = troubled.get(account, target)[1]["data"]

    assert missing == [{key: rows[0][key] for key in rows[0] if key != "bal"}, *rows[1:]]
    assert renamed == [missing[0] | {"balNew": rows[0]["bal"]}, *rows[1:]]
    assert replaced == [rows[0] | {"bal": [float("inf")]}, *rows[1:]]


def test_a_skewed_clock_moves_the_time_and_what_is_in_time(
    troubled: Any, accounts: Accounts, put: Callable[..., None]
) -> None:
    """The exchange returns its own time and refuses ours; corrected, it counts calls as before."""
    put("global/public/time", "skew", seconds=86400)
    put(f"plain/{BALANCE}", "skew", seconds=86400)

    told = int(troubled.get(None, "/api/v5/public/time")[1]["data"][0]["ts"]) / 1000

    assert 86390 < told - time.time() < 86400
    assert troubled.get(accounts["plain"], TARGET)[1]["code"] == "50102"


def test_strict_limits_refuse_a_burst(troubled: Any, accounts: Accounts, put: Callable[..., None]) -> None:
    """Calls at once, which the usual limit admits, exceed the limit of one call in 0.2 s."""
    put("rich/account/balance", "strict-limits")

    with ThreadPoolExecutor(BURST) as callers:
        answers = list(callers.map(lambda _: troubled.get(accounts["rich"], TARGET), range(BURST)))

    assert {answer["code"] for _, answer in answers} == {"0", "50011"}


def test_foreign_data_is_another_account_s(
    troubled: Any, accounts: Accounts, put: Callable[..., None]
) -> None:
    """The signature is nevertheless that of the requested account."""
    put("plain/account/config", "foreign", account="margin")

    (row,) = troubled.get(accounts["plain"], "/api/v5/account/config")[1]["data"]

    assert row["uid"] == accounts["margin"].uid


@pytest.mark.parametrize(
    ("place", "body", "complaint"),
    [
        ("nobody/account/balance", REFUSED, "is not asked by nobody"),
        ("plain/public/time", REFUSED, "is not asked by plain"),
        ("plain/account/nothing", REFUSED, "does not serve the endpoint"),
        ("plain/account/balance", {"fault": "flood"}, ", ".join(FAULTS)),
        ("plain/account/balance", {"fault": "hang", "colour": "red"}, "unknown field `colour`"),
        ("plain/account/balance", {"fault": "refusal", "code": "99999"}, "no such code"),
        ("plain/account/balance", {"fault": "refusal", "code": "50001", "status": 200}, "with this status"),
        ("plain/account/balance", {"fault": "foreign", "account": "nobody"}, "no account is called nobody"),
        ("plain/account/balance", {"fault": "foreign"}, "needs an account"),
        ("plain/account/balance", {"fault": "refusal"}, "no such code"),
        ("plain/account/balance", {"fault": "missing"}, "needs a field"),
        ("plain/account/balance", {"fault": "latency", "seconds": 1e9}, "`$.seconds`"),
        ("plain/account/balance", {"fault": "gzip-bomb", "mebibytes": 4096}, "`$.mebibytes`"),
        ("plain/account/balance", {"fault": "hang", "times": 0}, "`$.times`"),
        ("plain/account/balance", ["hang"], "Expected `object`"),
    ],
)
def test_bad_input_is_refused_with_the_reason(troubled: Any, place: str, body: Any, complaint: str) -> None:
    """It switches no fault on."""
    status, answer = ask(troubled, "PUT", place, body)

    assert status == HTTPStatus.BAD_REQUEST
    assert complaint in answer["error"]


def test_a_long_body_is_refused(troubled: Any) -> None:
    """The admin port limits the size of its data."""
    status, answer = ask(troubled, "PUT", f"plain/{BALANCE}", "x" * 20_000)

    assert (status, answer) == (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": "Request Entity Too Large"})


def test_the_admin_port_listens_on_loopback_only(troubled: Any) -> None:
    """Only clients on this machine can switch faults."""
    port = urlsplit(troubled.address["admin"]).port
    listening = Path(f"/proc/{troubled.process.pid}/net/tcp").read_text().splitlines()[1:]

    assert {line.split()[1] for line in listening if line.split()[1].endswith(f":{port:04X}")} == {
        f"0100007F:{port:04X}"
    }


def operate(simulator: Any, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Call the admin port for a whole region or address."""
    with closing(http.client.HTTPConnection(urlsplit(simulator.address["admin"]).netloc, timeout=5)) as admin:
        admin.request(method, path, None if body is None else json.dumps(body))
        response = admin.getresponse()
        return response.status, json.loads(response.read() or b"null")


def test_a_maintenance_refuses_each_signed_read_of_its_region(troubled: Any, accounts: Accounts) -> None:
    """With 50001 and 503, until it ends; other regions answer, and all calls are counted."""
    place, eea = "/maintenance/okx/eea", accounts["eea"]
    assert operate(troubled, "PUT", place, {"seconds": 600})[0] == HTTPStatus.NO_CONTENT
    before = operate(troubled, "GET", "/calls/okx/eea")[1]

    status, body = troubled.get(eea, TARGET, "eea")

    assert (status, body["code"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "50001")
    assert troubled.get(None, "/api/v5/public/time", "eea")[0] == HTTPStatus.OK
    assert troubled.get(accounts["plain"], TARGET)[0] == HTTPStatus.OK
    assert operate(troubled, "DELETE", place)[0] == HTTPStatus.NO_CONTENT
    assert troubled.get(eea, TARGET, "eea")[0] == HTTPStatus.OK
    after = operate(troubled, "GET", "/calls/okx/eea")[1]
    assert after[TARGET] - before.get(TARGET, 0) == 2


async def test_ccxt_sees_a_maintenance(troubled: Any) -> None:
    """With its end."""
    place = "/maintenance/okx/global"
    assert operate(troubled, "PUT", place, {"seconds": 600})[0] == HTTPStatus.NO_CONTENT
    given = {"hostname": f"127.0.0.1:{troubled.port}", "cafile": troubled.address["ca"]}

    async with ccxt.async_support.okx(given) as client:
        said = await client.fetch_status()

    assert operate(troubled, "DELETE", place)[0] == HTTPStatus.NO_CONTENT
    assert said["status"] == "maintenance"
    assert 590 < said["eta"] / 1000 - time.time() < 600


async def test_a_ban_refuses_every_call(troubled: Any, accounts: Accounts) -> None:
    """As a server in front of the exchange does: with 429, a page, and the seconds until the end."""
    assert operate(troubled, "PUT", "/ban", {"seconds": 0.5})[0] == HTTPStatus.NO_CONTENT

    with pytest.raises(json.JSONDecodeError):
        troubled.get(accounts["plain"], TARGET)

    await until(passed(0.5))
    assert troubled.get(accounts["plain"], TARGET)[0] == HTTPStatus.OK


def test_bad_pauses_are_explained(troubled: Any) -> None:
    """A region that there is not, no time, and an exchange without maintenance."""
    assert operate(troubled, "PUT", "/maintenance/okx/mars", {"seconds": 1})[0] == HTTPStatus.BAD_REQUEST
    assert operate(troubled, "PUT", "/maintenance/okx/eea", {"seconds": 0})[0] == HTTPStatus.BAD_REQUEST
    assert operate(troubled, "PUT", "/maintenance/ecb/eu", {"seconds": 1})[0] == HTTPStatus.BAD_REQUEST
    assert operate(troubled, "GET", "/calls/nowhere/eu")[0] == HTTPStatus.BAD_REQUEST
    assert operate(troubled, "PUT", "/ban", {"seconds": -1})[0] == HTTPStatus.BAD_REQUEST
