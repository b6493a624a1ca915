"""The AsyncAPI document as a judge: every line on a socket has a message that it must match."""

import copy
import json
from collections.abc import Iterator
from typing import Any, Final

import jsonschema
import referencing
import referencing.jsonschema

Document = dict[str, Any]
Line = dict[str, Any]
_BASE: Final = "urn:asyncapi"


class Judge:
    """Validates lines as the document says, and counts which of its messages were seen.

    Schemas are closed here, so that a field the document does not name is found. For clients they
    are open: `chat.v1` may grow.
    """

    def __init__(self, document: Document) -> None:
        closed = _close(copy.deepcopy(document))
        self.messages: dict[str, Any] = closed["components"]["messages"]
        self.seen: set[str] = set()
        self.shapes: set[tuple[str, str]] = set()
        specification = referencing.jsonschema.DRAFT7
        registry: referencing.Registry[Any] = referencing.Registry().with_resource(
            _BASE, specification.create_resource(closed)
        )
        self._validators = {
            name: jsonschema.Draft7Validator(
                {"$ref": f"{_BASE}#/components/messages/{name}/payload"}, registry=registry
            )
            for name in self.messages
        }

    def judge(self, name: str, line: Line) -> None:
        """Raises AssertionError when `line` is not the message `name`."""
        assert name in self.messages, f"{name} is not in the document: {line}"
        errors = [
            f"{name}{error.json_path[1:]}: {error.message}"
            for error in self._validators[name].iter_errors(line)
        ]
        assert not errors, f"{errors} in {json.dumps(line)}"
        self.seen.add(name)
        self.shapes.update((name, field) for field in line)


def _close(node: Any) -> Any:
    """Forbids further fields wherever a schema lists its properties and allows no others."""
    if isinstance(node, dict):
        for value in node.values():
            _close(value)
        if isinstance(node.get("properties"), dict) and "type" in node:
            node.setdefault("additionalProperties", False)
    elif isinstance(node, list):
        for value in node:
            _close(value)
    return node


def references(node: Any) -> Iterator[str]:
    """Every `$ref` below `node`."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def resolve(document: Document, reference: str) -> Any:
    """What `#/a/b` points at; KeyError when there is nothing."""
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found
