"""The tests that need the whole system or a container engine, and the best order of the files of tests."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent
WHOLE_SYSTEMS = {"shared_stack", "troubled_stack", "one_world"}
# A module of tests that imports one of these functions, or from one of these modules, starts whole systems.
STARTERS = {("deploy.local.services", "running_services"), ("deploy.local.stack", "running_stack")}
STARTING = {f"tests.deploy.{name}" for name in ("test_stack", "earlier", "lives", "losing", "robbing")}
# Slow files without shared servers start first, so that they do not run alone at the end.
LONGEST = ("chaos", "conformance", "deploy")


def needs_whole_system(item: pytest.Item) -> bool:
    """Return whether a test runs the three services and their servers."""
    if not isinstance(item, pytest.Function):
        return False
    at_hand = {
        (getattr(value, "__module__", ""), getattr(value, "__qualname__", ""))
        for value in vars(item.module).values()
    }
    starts = STARTERS & at_hand or STARTING & {module for module, _ in at_hand}
    return bool(starts or WHOLE_SYSTEMS & {*item.fixturenames})


def chosen(item: pytest.Item, *, in_cluster: bool) -> bool:
    """Return whether a test runs with `--cluster`, or without it; those marked `cluster` run both ways."""
    only = "whole_cluster" in getattr(item, "fixturenames", ())
    return only or item.get_closest_marker("cluster") is not None if in_cluster else not only


def needs_engine(item: pytest.Item) -> bool:
    """Return whether a test runs containers."""
    return item.path.is_relative_to(ROOT / "containers")


def order(items: list[pytest.Item]) -> None:
    """Order the files: the longest, those without the shared system, and then those with it.

    The shared system's gateway publishes other tests' outbox rows of the same database.
    """
    with_shared = {item.path for item in items if "shared_stack" in getattr(item, "fixturenames", ())}

    def place(item: pytest.Item) -> tuple[bool, bool]:
        room = item.path.relative_to(ROOT).parts[0]
        return item.path in with_shared, room not in LONGEST

    items.sort(key=place)
