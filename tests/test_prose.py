"""Texts that people read name the actor, and say what is not valid."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.imports import ROOT
from tests.test_architecture import MODULES

# "... is none" for "is not a valid ..."; a subject that names no actor; words that promise what is not known.
REFUSED = re.compile(
    r"(?i:\b(is|are) none\b|\bno (valid )?(JSON|HTTP)\b|\bnobody\b|\bnothing to do\b|\bare safe\b)"
    r"|nothing of yours|(^|\. )(Who|What)\b"
)
# The value of Actor.NOBODY, and what is hashed in the place of a password.
ALLOWED = {"nobody", "nobody has this password"}


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts of a module that are no docstrings, each with its line."""
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


@pytest.mark.parametrize("path", [path for _, path in MODULES], ids=lambda path: str(path.relative_to(ROOT)))
def test_texts_name_the_actor(path: Path) -> None:
    """No text of a service says "is none", or begins with who, what or nobody."""
    wrong = [(line, text) for line, text in texts(path) if REFUSED.search(text) and text not in ALLOWED]

    assert wrong == []
