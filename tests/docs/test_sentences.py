"""Every sentence with which a node refuses to start is explained on the page for trouble."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.docs.pages import prose

RAISED = frozenset({"StoreUnusable"})


def test_every_refusal_to_start_is_explained(checkout: Path) -> None:
    """The sentence stands there with … for what differs."""
    page = " ".join(prose(checkout / "docs" / "how-to" / "troubleshoot.md").split())
    found = {
        sentence
        for path in sorted((checkout / "chatrooms").rglob("*.py"))
        for sentence in _sentences(ast.parse(path.read_text()))
    }
    found |= set(_returned(ast.parse((checkout / "chatrooms" / "listening.py").read_text())))
    assert len(found) >= 14
    missing = [sentence for sentence in sorted(found) if sentence not in page]
    assert not missing, "\n".join(missing)


def _sentences(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in RAISED
            and node.args
        ):
            yield _template(node.args[0])


def _returned(tree: ast.AST) -> Iterator[str]:
    """The reasons for which a port cannot be had: what `_reason` returns."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and function.name == "_reason":
            for node in ast.walk(function):
                if isinstance(node, ast.Return) and node.value is not None:
                    yield _template(node.value)


def _template(node: ast.expr) -> str:
    """The text of a string, with … in place of each value."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    assert isinstance(node, ast.JoinedStr), ast.dump(node)
    return "".join(
        str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
    )
