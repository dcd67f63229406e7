"""Which tests need the whole system, and in which order the files of tests run best."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent
WHOLE_SYSTEMS = {"shared_stack", "troubled_stack", "one_world"}
# A module of tests that has one of these at hand starts systems of its own.
STARTERS = {
    ("deploy.local.services", "running_services"),
    ("deploy.local.stack", "running_stack"),
    ("tests.deploy.test_stack", "command"),
    ("tests.deploy.test_stack", "up"),
    ("tests.deploy.earlier", "Tree"),
    ("tests.deploy.robbing", "robbed"),
}
# Files that take minutes and share no server with others; begun first, they do not run on alone at the end.
LONGEST = ("chaos", "conformance", "deploy")


def needs_whole_system(item: pytest.Item) -> bool:
    """Return whether a test runs the three services and all that they stand on."""
    if not isinstance(item, pytest.Function):
        return False
    at_hand = {
        (getattr(value, "__module__", None), getattr(value, "__qualname__", None))
        for value in vars(item.module).values()
    }
    return bool(WHOLE_SYSTEMS & {*item.fixturenames} or STARTERS & at_hand)


def order(items: list[pytest.Item]) -> None:
    """Order the files: the longest, those without the shared system, and then those with it.

    Its gateway publishes what other tests put into the outbox of the same database.
    """
    with_shared = {item.path for item in items if "shared_stack" in getattr(item, "fixturenames", ())}

    def place(item: pytest.Item) -> tuple[bool, bool]:
        room = item.path.relative_to(ROOT).parts[0]
        return item.path in with_shared, room not in LONGEST

    items.sort(key=place)
