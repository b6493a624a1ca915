"""The OpenAPI document holds for whatever schemathesis thinks of."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok

from tests.fakes.world import Person, World, open_world


class Target:
    """A node on an event loop of its own, so that hypothesis may call it synchronously."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.opened = open_world(None)
        self.world: World = runner.run(self.opened.__aenter__())
        self.person: Person = runner.run(self.world.person("ada"))
        self.other: Person = runner.run(self.world.person("ben"))
        self.schema = schemathesis.openapi.from_dict(self.world.app.openapi())

    def call(self, case: Any) -> httpx.Response:
        """Sends a generated case as Ada, in half of the cases to a fresh room of hers."""
        named = case.path_parameters or {}
        if len(named.get("room", "")) % 2:
            named["room"] = self.runner.run(self._fresh_room())
        if len(named.get("user", "")) % 2:
            named["user"] = self.other.id
        arguments = case.as_transport_kwargs(base_url="http://node")
        arguments.pop("cookies", None)
        if "data" in arguments:
            arguments["content"] = arguments.pop("data")
        arguments["headers"] = dict(arguments.get("headers") or {}) | self.person.bearer
        return self.runner.run(self.world.http.request(**arguments))

    async def _fresh_room(self) -> str:
        room = await self.world.room(self.person)
        await self.world.http.post(f"/v1/rooms/{room}/join", headers=self.other.bearer)
        return room


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """One node for all operations."""
    with asyncio.Runner() as runner:
        target = Target(runner)
        yield target
        runner.run(target.opened.__aexit__(None, None, None))


def _operations() -> list[str]:
    async def document() -> dict[str, Any]:
        async with open_world(None) as world:
            return world.app.openapi()

    paths = asyncio.run(document())["paths"]
    return [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]


@pytest.mark.parametrize("label", _operations())
def test_operation_answers_as_documented(target: Target, label: str) -> None:
    """No 5xx, no undocumented status, type or shape."""
    operations = [
        found.ok() for found in target.schema.get_all_operations() if isinstance(found, Ok)
    ]
    operation = next(each for each in operations if each.label == label)

    @settings(
        max_examples=25,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        mode = data.draw(st.sampled_from(list(schemathesis.GenerationMode)))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        response = target.call(case)
        assert response.status_code < 500, response.text
        case.validate_response(
            response,
            checks=[
                schemathesis.checks.status_code_conformance,
                schemathesis.checks.content_type_conformance,
                schemathesis.checks.response_schema_conformance,
            ],
        )

    check()
    assert target.world.failures == []
