"""Nodes for tests: real processes on free ports, ended with the test that asked for them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.running import RunningNode

MakeNode = Callable[..., RunningNode]


@pytest.fixture
def make_node(checkout: Path, tmp_path: Path) -> Iterator[MakeNode]:
    """Makes nodes that are not started yet; keyword arguments are CHATROOMS_* variables."""
    made: list[RunningNode] = []

    def make(**variables: str) -> RunningNode:
        home = tmp_path / f"node-{len(made)}"
        home.mkdir()
        environment = {f"CHATROOMS_{name.upper()}": value for name, value in variables.items()}
        made.append(RunningNode(checkout, home, environment))
        return made[-1]

    yield make
    for node in made:
        node.end()


@pytest.fixture
def node(make_node: MakeNode) -> RunningNode:
    """A started node of this test alone."""
    made = make_node()
    made.start()
    return made


@pytest.fixture(scope="module")
def shared_node(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A started node that the tests of one file share; use rooms and users of your own."""
    made = RunningNode(checkout, tmp_path_factory.mktemp("shared"), {})
    made.start()
    yield made
    made.end()
