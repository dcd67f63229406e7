"""The rules of the house for one module, without those of distance, which `test_reach` has."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.imports import ROOT, SOURCES, imports

EMPTY_NAMES = {"common", "utils", "helpers", "core", "misc", "base", "manager"}
MODULES = [
    (owner, path)
    for owner, folder in SOURCES.items()
    if owner != "deploy"
    for path in sorted(folder.rglob("*.py"))
]
IDS = [str(path.relative_to(ROOT)) for _, path in MODULES]


@pytest.mark.parametrize(("owner", "path"), MODULES, ids=IDS)
def test_nobody_imports_the_composition(owner: str, path: Path) -> None:
    """Only `__main__` knows the composition root."""
    if path.name != "__main__.py":
        assert f"{owner}.app" not in set(imports(ast.parse(path.read_text())))


@pytest.mark.parametrize(("owner", "path"), MODULES, ids=IDS)
def test_the_environment_is_read_in_main_only(owner: str, path: Path) -> None:
    """Other modules get their settings as arguments."""
    if path.name != "__main__.py":
        assert "os.environ" not in path.read_text()
        assert "getenv" not in path.read_text()


@pytest.mark.parametrize(("owner", "path"), MODULES, ids=IDS)
def test_a_module_is_small_and_named_by_what_it_is(owner: str, path: Path) -> None:
    """No module is over 400 lines or has a meaningless name."""
    assert path.stem not in EMPTY_NAMES
    assert len(path.read_text().splitlines()) <= 400


def functions() -> Iterator[tuple[str, int]]:
    """Yield every function with its number of lines."""
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
