"""The examples of the OpenAPI document; they stand in examples.json beside this file.

A group of examples is named by the schema of a body, or by operation and status where a status has its own
(`syncAccount.202`). `problem.<status>` are the problems of every operation; an operation may add its own.
"""

import json
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from gateway.http.problems import Problem

FILE = Path(__file__).with_name("examples.json")

Groups = dict[str, dict[str, Any]]


def attach_examples(document: dict[str, Any]) -> None:
    """Add examples of every body to the document as components, and refer to them from the bodies."""
    groups: Groups = json.loads(FILE.read_text())
    components: dict[str, Any] = document["components"].setdefault("examples", {})
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, content in _contents(operation):
                named = _examples(groups, f"{operation['operationId']}.{status}", status, content)
                components |= {name: {"value": value} for name, value in named.items()}
                content["examples"] = {
                    name.rpartition(".")[2]: {"$ref": f"#/components/examples/{name}"} for name in named
                }


def _contents(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the bodies of an operation: its request, as status `request`, and its responses."""
    told = {"request": operation.get("requestBody", {}), **operation["responses"]}
    for status, body in told.items():
        for content in body.get("content", {}).values():
            yield status, content


def _examples(groups: Groups, own: str, status: str, content: dict[str, Any]) -> dict[str, Any]:
    """Return the examples of one body by their names among the components."""
    if status >= "4" and status.isdecimal():
        return {
            f"{group}.{code}": Problem(HTTPStatus(int(status)), code, **said).document()
            for group in (f"problem.{status}", own)
            for code, said in groups.get(group, {}).items()
        }
    group = own if own in groups else content["schema"].get("$ref", "").rpartition("/")[2]
    return {f"{group}.{name}": value for name, value in groups.get(group, {}).items()}
