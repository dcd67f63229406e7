"""The rules of the house: who may import whom, who may read the environment, and what nothing is called."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = {
    "contracts": ROOT / "contracts" / "contracts",
    "chassis": ROOT / "services" / "chassis" / "chassis",
    "gateway": ROOT / "services" / "gateway" / "gateway",
    "sync_worker": ROOT / "services" / "sync-worker" / "sync_worker",
    "vault_broker": ROOT / "services" / "vault-broker" / "vault_broker",
}
SERVICES = set(SOURCES) - {"contracts", "chassis"}
OWNERS = {"hvac": "vault_broker", "psycopg": "gateway", "psycopg_pool": "gateway", "httpx": "sync_worker"}
EDGE_LIBRARIES = {"litestar", "faststream", "nats", "httpx", "hvac", "psycopg", "psycopg_pool"}
CENTRES = {
    "gateway": {
        "advice",
        "credentials",
        "lanes",
        "limits",
        "losses",
        "messages",
        "pasted",
        "paused",
        "prefer",
        "problems",
        "rights",
        "submission",
        "verdicts",
        "views",
    },
    "sync_worker": {
        "damage",
        "faults",
        "outages",
        "payloads",
        "rows",
        "sync",
        "timing",
        "verdicts",
        "wallets",
    },
    "vault_broker": {"signed", "signing"},
}
EMPTY_NAMES = {"common", "utils", "helpers", "core", "misc", "base", "manager"}
MODULES = [(owner, path) for owner, folder in SOURCES.items() for path in sorted(folder.rglob("*.py"))]
IDS = [str(path.relative_to(ROOT)) for _, path in MODULES]


def imports(path: Path) -> Iterator[str]:
    """Give the full names of what a module imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages(path: Path) -> set[str]:
    """Give the top-level packages that a module imports."""
    return {name.partition(".")[0] for name in imports(path)}


@pytest.mark.parametrize(("owner", "path"), MODULES, ids=IDS)
def test_no_service_imports_another(owner: str, path: Path) -> None:
    """Services meet on the bus only; contracts and chassis know none of them, contracts not the chassis."""
    others = SERVICES | ({"chassis"} if owner == "contracts" else set())
    assert not packages(path) & (others - {owner})


@pytest.mark.parametrize(("owner", "path"), MODULES, ids=IDS)
def test_each_outside_part_has_one_service(owner: str, path: Path) -> None:
    """Hvac is the broker's, psycopg the gateway's, httpx the worker's."""
    assert all(OWNERS[library] == owner for library in packages(path) & set(OWNERS))


@pytest.mark.parametrize(("owner", "path"), MODULES, ids=IDS)
def test_contracts_outside_the_wire_are_pure(owner: str, path: Path) -> None:
    """Messages need msgspec and the standard library only."""
    if owner == "contracts" and path.parent.name != "wire":
        assert not packages(path) & {
            *EDGE_LIBRARIES,
            "cryptography",
            "structlog",
            "granian",
            "prometheus_client",
        }


@pytest.mark.parametrize(("owner", "path"), MODULES, ids=IDS)
def test_the_centre_knows_no_outside_part(owner: str, path: Path) -> None:
    """Decisions are made without I/O."""
    if path.stem in CENTRES.get(owner, set()):
        assert not packages(path) & EDGE_LIBRARIES


@pytest.mark.parametrize(("owner", "path"), MODULES, ids=IDS)
def test_nobody_imports_the_composition(owner: str, path: Path) -> None:
    """Only `__main__` knows the composition root."""
    if path.name != "__main__.py":
        assert f"{owner}.app" not in set(imports(path))


@pytest.mark.parametrize(("owner", "path"), MODULES, ids=IDS)
def test_the_environment_is_read_in_main_only(owner: str, path: Path) -> None:
    """A part is told what it needs by an argument."""
    if path.name != "__main__.py":
        assert "os.environ" not in path.read_text()
        assert "getenv" not in path.read_text()


@pytest.mark.parametrize(("owner", "path"), MODULES, ids=IDS)
def test_a_module_is_small_and_named_by_what_it_is(owner: str, path: Path) -> None:
    """No module is over 400 lines or called by a word that means nothing."""
    assert path.stem not in EMPTY_NAMES
    assert len(path.read_text().splitlines()) <= 400


def functions() -> Iterator[tuple[str, int]]:
    """Give every function with its number of lines."""
    for _, path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield (
                    f"{path.relative_to(ROOT)}:{node.name}",
                    (node.end_lineno or node.lineno) - node.lineno + 1,
                )


def test_functions_are_short() -> None:
    """Nine functions in ten are under 30 lines, and none is over 40."""
    lengths = sorted((length, name) for name, length in functions())

    assert lengths[len(lengths) * 9 // 10][0] < 30
    assert not [name for length, name in lengths if length > 40]
