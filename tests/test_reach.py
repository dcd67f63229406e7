"""The rules of the house by reach: the modules that a folder may not import, at any distance."""

import sys
from collections.abc import Iterator

import pytest

from tests.imports import SOURCES, Graph

GRAPH = Graph.read()
SERVICES = {"gateway", "sync_worker", "vault_broker"}
# Each part of ours with those that it may reach; `deploy` starts and provisions all of them. `deploy.vault`
# does not reach `deploy.local`, because its command works against any vault.
MAY_KNOW = {
    "contracts": set[str](),
    "chassis": {"contracts"},
    **{service: {"contracts", "chassis"} for service in SERVICES},
    # A simulated exchange that shared code with us would agree with our mistakes.
    "deploy.simulator": {"deploy"},
    "deploy.vault": {"deploy", "contracts", "vault_broker"},  # the policy follows the schemes
    "deploy": {*SOURCES},
}
HTTP, BUS, SQL = {"litestar", "granian"}, {"faststream", "nats"}, {"psycopg", "psycopg_pool"}
EXCHANGE, VAULT = {"httpx", "httpx_aiohttp", "aiohttp"}, {"hvac"}
# Spans are made through `chassis.tracing`, which knows no library.
TRACES = {"opentelemetry"}
EDGES = HTTP | BUS | SQL | EXCHANGE | VAULT | TRACES
OTHERS = (
    {each for found in GRAPH.edges.values() for each in found} - GRAPH.edges.keys() - sys.stdlib_module_names
)
HTTP_ROOMS = ("gateway.http", "gateway.routes", "gateway.app", "gateway.__main__")
NOTHING = set[str]()
# The outside packages that the modules of a folder may reach; of two folders that contain a module the
# inner one counts. The central modules, which make decisions, reach none.
FOLDERS = {
    "contracts": NOTHING,
    "contracts.wire": {"nats"},
    "chassis": NOTHING,
    "chassis.bus": BUS,
    "chassis.otlp": TRACES,
    "chassis.serve": BUS | TRACES | {"granian"},
    "gateway": NOTHING,
    "gateway.__main__": HTTP | BUS | SQL | TRACES,
    "gateway.app": HTTP | BUS | SQL | TRACES,
    "gateway.routes": {"litestar"} | BUS | SQL,
    "gateway.http": {"litestar"} | SQL,
    "gateway.http.prefer": NOTHING,
    "gateway.http.problems": SQL,
    "gateway.http.views": NOTHING,
    "gateway.accounts": BUS | SQL,
    "gateway.accounts.credentials": NOTHING,
    "gateway.accounts.listed": NOTHING,
    "gateway.accounts.pasted": NOTHING,
    "gateway.accounts.paused": NOTHING,
    "gateway.accounts.rights": NOTHING,
    "gateway.accounts.submission": NOTHING,
    "gateway.identity": SQL,
    "gateway.identity.passwords": NOTHING,
    "gateway.operators": BUS | SQL,
    "gateway.operators.letters": NOTHING,
    "gateway.housekeeping": SQL,
    "gateway.load": SQL,
    "gateway.outbox": BUS | SQL,
    "gateway.outbox.lanes": NOTHING,
    "gateway.portfolio": NOTHING,
    "gateway.prices": BUS | SQL,
    "gateway.quotas": SQL,
    "gateway.store": SQL,
    "gateway.syncs": BUS | SQL,
    "gateway.syncs.bounds": NOTHING,
    "gateway.syncs.granted": NOTHING,
    "gateway.syncs.messages": NOTHING,
    "gateway.syncs.whose": NOTHING,
    "sync_worker": NOTHING,
    "sync_worker.__main__": BUS | EXCHANGE | TRACES | {"granian"},
    "sync_worker.app": BUS | EXCHANGE | TRACES | {"granian"},
    "sync_worker.handlers": BUS | EXCHANGE,
    "sync_worker.broker": BUS,
    "sync_worker.prices": BUS,
    "sync_worker.budgets": NOTHING,
    "sync_worker.budgets.bucket": BUS,
    "sync_worker.budgets.leasing": BUS,
    "sync_worker.closures": NOTHING,
    "sync_worker.closures.gate": BUS,
    "sync_worker.closures.gated": BUS,
    "sync_worker.currencies": BUS | EXCHANGE,
    "sync_worker.currencies.fixings": NOTHING,
    "sync_worker.exchanges": BUS | EXCHANGE,
    "sync_worker.exchanges.lenient_json": NOTHING,
    "sync_worker.exchanges.faults": NOTHING,
    "sync_worker.exchanges.parts": NOTHING,
    "sync_worker.exchanges.positions": NOTHING,
    "sync_worker.exchanges.rows": NOTHING,
    "sync_worker.exchanges.values": NOTHING,
    "vault_broker": NOTHING,
    "vault_broker.__main__": BUS | VAULT | TRACES | {"granian"},
    "vault_broker.app": BUS | VAULT | TRACES | {"granian"},
    "vault_broker.handlers": BUS | VAULT,
    "vault_broker.credentials": VAULT,
    "vault_broker.vault_login": VAULT,
    "vault_broker.vault": VAULT,
}
# In the folder of an exchange only its connector may call it.
OF_EXCHANGES = {
    name: NOTHING
    for name in GRAPH.edges
    if name.startswith("sync_worker.exchanges.") and name.count(".") > 2 and not name.endswith(".connector")
}
OURS = sorted(name for name in GRAPH.edges if name.partition(".")[0] != "deploy")


def allowed(module: str) -> set[str]:
    """Return the permitted packages of a module's innermost folder."""
    folders = FOLDERS | OF_EXCHANGES
    return folders[max((each for each in folders if f"{module}.".startswith(f"{each}.")), key=len)]


def broken(module: str) -> Iterator[str]:
    """Yield the import paths from a module to a forbidden one."""
    ways = GRAPH.ways(module)
    owner = max((each for each in MAY_KNOW if f"{module}.".startswith(f"{each}.")), key=len)
    for reached, way in ways.items():
        part = reached.partition(".")[0]
        foreign = part in SOURCES and part not in MAY_KNOW[owner] | {owner.partition(".")[0]}
        stack = owner == "deploy.vault" and reached.startswith("deploy.local")
        outside = module in OURS and reached in EDGES - allowed(module)
        pure = owner == "contracts" and ".wire" not in module and reached in OTHERS - {"msgspec"}
        http = owner == "gateway" and not module.startswith(HTTP_ROOMS) and _is_http(reached, way)
        if foreign or stack or outside or pure or http:
            yield " > ".join(way)


def _is_http(reached: str, way: tuple[str, ...]) -> bool:
    """Return whether a path ends in HTTP: the gateway's folder, or the library's statuses."""
    return reached.startswith("gateway.http") or (reached == "http" and way[-2].startswith("gateway."))


@pytest.mark.parametrize("module", sorted(GRAPH.edges))
def test_a_module_reaches_what_its_folder_may(module: str) -> None:
    """At any distance, no service reaches another, no decision the outside, and no use case HTTP."""
    assert list(broken(module)) == []


@pytest.mark.parametrize("folder", sorted({*FOLDERS, *MAY_KNOW}))
def test_a_rule_has_its_folder(folder: str) -> None:
    """A renamed folder or module needs its rule renamed."""
    assert (
        folder == "deploy"
        or folder in GRAPH.edges
        or any(each.startswith(f"{folder}.") for each in GRAPH.edges)
    )


def test_every_package_is_found() -> None:
    """A package that discovers its modules does not count as one without imports."""
    assert "contracts.exchanges.okx" in GRAPH.ways("contracts.exchanges")
    assert "sync_worker.exchanges.okx.connector" in GRAPH.ways("sync_worker.app")
