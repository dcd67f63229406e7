"""The import graph of our own code: all modules that a module reaches, at any distance, with the path."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = {
    "contracts": ROOT / "contracts" / "contracts",
    "chassis": ROOT / "services" / "chassis" / "chassis",
    "gateway": ROOT / "services" / "gateway" / "gateway",
    "sync_worker": ROOT / "services" / "sync-worker" / "sync_worker",
    "vault_broker": ROOT / "services" / "vault-broker" / "vault_broker",
    "deploy": ROOT / "deploy",
}


def module_name(owner: str, path: Path) -> str:
    """Return the full name of a module."""
    parts = path.relative_to(SOURCES[owner]).with_suffix("").parts
    return ".".join((owner, *(part for part in parts if part != "__init__")))


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield the full names of a module's imports at run time, without those for types only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            yield from imports(node)


def packages(path: Path) -> set[str]:
    """Return the top-level packages that a module imports itself."""
    return {name.partition(".")[0] for name in imports(ast.parse(path.read_text()))}


@dataclass(frozen=True)
class Graph:
    """Each module of ours with its own imports: modules of ours, and packages of others."""

    edges: dict[str, set[str]]

    @classmethod
    def read(cls) -> "Graph":
        """Read all source files; a package that discovers its modules imports them all."""
        texts = {
            module_name(owner, path): path.read_text()
            for owner, folder in SOURCES.items()
            for path in sorted(folder.rglob("*.py"))
        }
        edges: dict[str, set[str]] = {}
        for name, text in texts.items():
            found = set(imports(ast.parse(text)))
            own = found & texts.keys()
            others = {each.partition(".")[0] for each in found} - SOURCES.keys()
            there = {
                each for each in texts if each.rpartition(".")[0] == name and "iter_modules(__path__)" in text
            }
            edges[name] = (own | others | there) - {name}
        return cls(edges)

    def ways(self, module: str) -> dict[str, tuple[str, ...]]:
        """Return all that a module reaches, each with the shortest way to it."""
        ways: dict[str, tuple[str, ...]] = {module: (module,)}
        for at in (queue := [module]):
            for each in sorted(self.edges.get(at, ())):
                if each not in ways:
                    ways[each] = (*ways[at], each)
                    queue.append(each)
        return ways
