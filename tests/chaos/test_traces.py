"""A sync is one trace through all services, which holds no data of its user and needs no collector."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from chassis.otlp import NAMES
from contracts.exchanges.okx import OKX
from deploy.simulator.okx.accounts import load_accounts
from tests.chaos.parts import World
from tests.collecting import Collector, Seen, collecting
from tests.conformance.simulated import HELD, NUMBERED, Admin, write_accounts
from tests.system.person import Person
from tests.waiting import until

CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SYNC = "POST /api/v1/accounts/{account_id}/sync"
PROCESS = "process SYNC_REQUESTS/sync-worker-okx"
# Only syncs of masters that list their sub-accounts, and of these, make such reads.
OF_MASTERS = {"sub_accounts", "sub_account_balance", "sub_account_funding"}
# A sync leaves these out where the wallet was empty a short while ago.
LATER_READS = {"savings_balance", "staking_orders", "dual_orders", "stable_rewards", "flexible_loans"} | {
    "eth_staking",
    "sol_staking",
}
# The spans of the first sync of an account beside those of each.
FIRST: dict[tuple[str, str], str | None] = {
    **{("sync-worker", f"read {name}"): "sync account" for name in LATER_READS},
    ("gateway", "publish PORTFOLIO_EVENTS"): "record outcome",
}
# Each span of a sync, and the span of which it is a part.
TREE = {
    ("gateway", SYNC): None,
    ("gateway", "publish SYNC_REQUESTS"): SYNC,
    ("sync-worker", PROCESS): "publish SYNC_REQUESTS",
    ("sync-worker", "sync account"): PROCESS,
    ("sync-worker", "ask butler.vault.worker.authorize"): "sync account",
    ("vault-broker", "answer butler.vault.worker.authorize"): "ask butler.vault.worker.authorize",
    ("vault-broker", "sign reads"): "answer butler.vault.worker.authorize",
    ("vault-broker", "vault POST transit/hmac"): "sign reads",
    **{("sync-worker", f"read {name}"): "sync account" for name in OKX.sync_reads - LATER_READS - OF_MASTERS},
    ("sync-worker", "publish SYNC_OUTCOMES"): "sync account",
    ("gateway", "process SYNC_OUTCOMES/gateway"): "publish SYNC_OUTCOMES",
    ("gateway", "record outcome"): "process SYNC_OUTCOMES/gateway",
    ("gateway", "publish ACCOUNT_EVENTS"): "record outcome",
}
ANSWERS = {
    ("vault-broker", "answer butler.vault.gateway.store"),
    ("sync-worker", "answer butler.exchange.gateway.verify.okx"),
    ("vault-broker", "answer butler.vault.worker.authorize"),
}
# The clock is read once a minute, and the broker keeps the record of a credential for ten seconds.
SOMETIMES = {"read public_time", "vault GET secret/data"}
ME = "GET /api/v1/me"
MALFORMED = ["00-0-0-01", "x" * 4000, f"{CLIENT}-1", CLIENT.upper(), f"00-{'0' * 32}{CLIENT[35:]}"]


@pytest_asyncio.fixture(name="collector", scope="module")
async def _collector() -> AsyncIterator[Collector]:
    async with collecting() as collector:
        yield collector


@pytest_asyncio.fixture(name="one_world", scope="module")
async def _one_world(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> AsyncIterator[World]:
    """Run a system whose services send traces."""
    directory = tmp_path_factory.mktemp("traces")
    write_accounts(directory / "accounts.toml", NUMBERED)
    world = await World.start(
        directory,
        directory / "accounts.toml",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_BSP_SCHEDULE_DELAY="300",
    )
    yield world
    await world.stop()


async def trace_of(collector: Collector, sync_id: str, *, first: bool = False) -> list[Seen]:
    """Return the spans of a sync's trace when all have come."""
    tree = TREE | FIRST if first else TREE

    def spans() -> list[Seen]:
        of_sync = collector.found(name="record outcome", butler__sync__id=sync_id)
        return [*collector.trace(of_sync[0].trace_id).values()] if of_sync else []

    await collector.until(lambda: {(each.service, each.name) for each in spans()} >= tree.keys())
    return spans()


async def test_a_sync_is_one_trace(world: World, person: Person, collector: Collector) -> None:
    """From the request of the client to the public event each span is a part of the one that caused it.

    The client's own span is a link. No span holds a balance, a credential or the user's address.
    """
    account = await person.connect("account-1")
    sync = await person.post(f"/accounts/{account['id']}/sync", traceparent=CLIENT)
    spans = await trace_of(collector, sync["sync_id"], first=True)

    names = {each.span_id: each.name for each in spans}
    assert {
        (each.service, each.name): names.get(each.parent_id) for each in spans if each.name not in SOMETIMES
    } == TREE | FIRST
    (root,) = (each for each in spans if not each.parent_id)
    assert root.links == (tuple(CLIENT.split("-")[1:3]),)
    assert root.trace_id != CLIENT.split("-")[1]
    assert {link for each in spans if each is not root for link in each.links} == set()
    assert not any(each.failed for each in spans)
    logs = [json.loads(line) for line in world.services["sync-worker"].log.read_text().splitlines()]
    (line,) = (each for each in logs if each.get("sync_id") == sync["sync_id"])
    assert line["trace_id"] == root.trace_id
    assert names[line["span_id"]] == PROCESS
    _say_nothing_of_the_user(world, person, collector)


async def test_a_connection_is_one_trace(person: Person, collector: Collector) -> None:
    """The gateway's requests to broker and worker, and the worker's to the broker, continue its trace."""
    await person.connect("account-5")
    seen: set[tuple[str, str]] = set()

    def has_come() -> bool:
        traces = {each.trace_id for each in collector.found(name="POST /api/v1/accounts")}
        seen.update((each.service, each.name) for each in collector.spans if each.trace_id in traces)
        return seen >= ANSWERS

    await collector.until(has_come)


def _say_nothing_of_the_user(world: World, person: Person, collector: Collector) -> None:
    """Check every span that came so far."""
    of_user = load_accounts(world.directory / "accounts.toml")["account-1"]
    secrets = [person.email, of_user.api_key, of_user.api_secret, of_user.passphrase]
    secrets += [person.tokens["access_token"], person.tokens["refresh_token"]]
    secrets += [amount for held in HELD.values() for amount in held.values() if len(amount) > 4]
    sent = b"".join(each.raw for each in collector.spans)

    assert [text for text in secrets if text.encode() in sent] == []
    assert {name for each in collector.spans for name in each.facts} <= {*NAMES.values()}


async def test_a_redelivery_is_linked(person: Person, admin: Admin, collector: Collector) -> None:
    """A second try begins a trace of its own, with a link to the span that published the request."""
    account = await person.connect("account-2")
    await admin.put("account-2", "account/balance", {"fault": "refusal", "code": "50001", "times": 1})
    sync = await person.post(f"/accounts/{account['id']}/sync")
    tries: list[Seen] = []

    def both() -> bool:
        nonlocal tries
        tries = collector.found(name="sync account", butler__sync__id=sync["sync_id"])
        return len(tries) == 2 and all(parent(each) for each in tries)

    def parent(each: Seen) -> Seen | None:
        return collector.trace(each.trace_id).get(each.parent_id)

    await collector.until(both)
    tries.sort(key=lambda each: each.facts["butler.attempt"] != 1)
    first, second = map(parent, tries)
    assert first is not None
    assert second is not None

    assert (first.facts["butler.delivery.outcome"], second.facts["butler.delivery.outcome"]) == (
        "retried",
        "done",
    )
    assert (second.parent_id, second.links) == ("", ((first.trace_id, first.parent_id),))
    assert first.links == ()
    assert second.trace_id != first.trace_id


async def test_a_malformed_header_counts_as_none(person: Person, collector: Collector) -> None:
    """A request with it is traced like one without."""
    for text in MALFORMED:
        assert (await person.client.get("/me", headers={"traceparent": text})).is_success
    await collector.until(lambda: len(collector.found(name=ME)) >= len(MALFORMED))

    assert {(each.parent_id, each.links) for each in collector.found(name=ME)} == {("", ())}


async def test_a_collector_that_hangs_delays_nothing(
    world: World, person: Person, collector: Collector
) -> None:
    """Syncs go on; the worker counts the spans that it could not send, and says so once."""
    path = f"/accounts/{(await person.connect('account-3'))['id']}/sync"
    worker = world.services["sync-worker"]
    collector.hangs.set()

    async def gave_up() -> bool:
        assert (await person.post(path))["status"] == "completed"
        return await worker.metric('butler_spans_total{result="failed"}') > 0

    await until(gave_up)
    collector.hangs.clear()
    assert worker.log.read_text().count("traces_not_sent") == 1


async def test_a_collector_that_is_lost_delays_nothing(
    world: World, person: Person, collector: Collector
) -> None:
    """Without it syncs have their outcomes, and with it again the services send their spans."""
    path = f"/accounts/{(await person.connect('account-4'))['id']}/sync"
    gateway = world.services["gateway"]
    await collector.stop()

    async def gave_up() -> bool:
        assert (await person.post(path))["status"] == "completed"
        return await gateway.metric('butler_spans_total{result="failed"}') > 0

    await until(gave_up)
    await collector.start()
    sync = await person.post(path)
    assert len(await trace_of(collector, sync["sync_id"])) >= len(TREE)
