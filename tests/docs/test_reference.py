"""The tables of the reference against the code that they describe."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from prometheus_client.parser import text_string_to_metric_families
from pydantic.fields import FieldInfo
from typer.main import get_command

from chatrooms.adapters.limits import (
    LOGIN_FAILURES_MAX,
    LOGIN_WINDOW_SECONDS,
    REQUEST_RATES,
)
from chatrooms.cli import app as cli
from chatrooms.config import CONFIG_FILE_VARIABLE, FAILPOINTS, Config
from chatrooms.domain.errors import Code
from tests.docs.pages import bare, rows, section
from tests.integration.running import RunningNode

NAMED_RATES = {
    "sends and signals of a connection": ("chat-hub/src/inbound.rs", "OPS: Rate = "),
    "sends of a user": ("chat-net/src/inbox.rs", "users: Keyed::new("),
    "sends into a room": ("chat-net/src/inbox.rs", "rooms: Keyed::new("),
    "connects of an address": ("chat-net/src/admission.rs", "CONNECTS: Rate = "),
}
NAMED_REQUEST_RATES = {
    "requests of an address": "address",
    "logins and registrations of an address": "login",
    "requests of a user": "user",
    "messages of a user": "post_user",
    "messages into a room": "post_room",
}


@pytest.fixture
def reference(checkout: Path) -> Path:
    """The folder of the reference."""
    return checkout / "docs" / "reference"


def test_every_setting_is_documented_with_its_default(reference: Path) -> None:
    """Name, default and meaning of each variable, in the order of the code."""
    text = (reference / "configuration.md").read_text()
    told = [(bare(row[0]), bare(row[1]), row[3]) for row in rows(text)]
    assert told == [
        (f"CHATROOMS_{name.upper()}", _default(field), field.description)
        for name, field in Config.model_fields.items()
    ]
    assert CONFIG_FILE_VARIABLE in text
    assert all(f"`{failpoint}`" in text for failpoint in FAILPOINTS)


def test_every_range_of_a_setting_is_documented(reference: Path) -> None:
    """A bound that the code has stands in the table."""
    told = {bare(row[0]): row[2] for row in rows((reference / "configuration.md").read_text())}
    for name, field in Config.model_fields.items():
        range_ = told[f"CHATROOMS_{name.upper()}"]
        low, high = (_bound(field, bound) for bound in ("ge", "le"))
        if low is not None:
            expected = f"at least {low}" if high is None else f"{low} to {high}"
            assert range_ == expected, name


def _bound(field: FieldInfo, name: str) -> Any:
    values = [getattr(each, name) for each in field.metadata if hasattr(each, name)]
    return values[-1] if values else None


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "unset"
    if value in ((), {}):
        return "empty"
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_every_command_and_option_is_documented(reference: Path) -> None:
    """Each command has a section whose table has each of its options."""
    page = reference / "cli.md"
    group = get_command(cli)
    assert isinstance(group, typer.core.TyperGroup)
    for name, command in group.commands.items():
        arguments = [each for each in command.params if each.param_type_name == "argument"]
        title = " ".join([f"`chatrooms {name}", *(str(each.name).upper() for each in arguments)])
        told = {
            option
            for row in rows(section(page, f"{title}`"))
            for option in re.findall(r"--[a-z-]+", row[0])
        }
        options = {
            option
            for parameter in command.params
            if parameter.param_type_name == "option"
            for option in (*parameter.opts, *parameter.secondary_opts)
            if option != "--help"
        }
        assert told == options, name
    sections = re.findall(r"^## `chatrooms ([a-z]+)", page.read_text(), re.MULTILINE)
    assert set(sections) == set(group.commands)


def test_every_metric_is_documented_with_kind_and_labels(
    reference: Path, node: RunningNode
) -> None:
    """What a running node shows is what the table says, and nothing else."""
    [token] = node.tokens("metrics", 1)
    with node.rest(token) as rest:
        rest.get("/v1/rooms").raise_for_status()
    text = httpx.get(f"{node.rest_url}/metrics", trust_env=False).text
    shown = {
        (family.name + ("_total" if family.type == "counter" else ""), family.type)
        for family in text_string_to_metric_families(text)
        if not family.name.endswith("_created")
    }
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        suffix = "_total" if family.type == "counter" else ""
        for sample in family.samples:
            labels.setdefault(family.name + suffix, set()).update(set(sample.labels) - {"le"})
    told = rows((reference / "metrics.md").read_text())
    assert {(bare(row[0]), row[1]) for row in told} == shown
    for row in told:
        known = labels.get(bare(row[0]))
        if known:
            assert set(re.findall(r"`(\w+)`", row[3])) == known, row[0]


@pytest.mark.parametrize(
    ("title", "source"),
    [
        ("Of the protocol", "core_rs/chat-proto/src/limits.rs"),
        ("Of a node", "core_rs/chat-hub/src/bounds.rs"),
    ],
)
def test_every_bound_is_documented_with_its_value(
    checkout: Path, reference: Path, title: str, source: str
) -> None:
    """The constants of the source, in its order."""
    declared = re.findall(
        r"^pub const (\w+): \w+ = (.+);$", (checkout / source).read_text(), re.MULTILINE
    )
    assert declared
    told = [
        (bare(row[0]), row[1].replace(",", ""))
        for row in rows(section(reference / "limits.md", title))
    ]
    assert told == [(name, str(_product(value))) for name, value in declared]


def _product(expression: str) -> int:
    """The value of `a * b` or `1 << n` as Rust writes them."""
    base, _, shift = expression.replace("_", "").partition("<<")
    value = 1
    for factor in base.split("*"):
        value *= int(factor)
    return value << int(shift or 0)


def test_every_rate_is_documented(checkout: Path, reference: Path) -> None:
    """Rates of sockets from the crates, of REST from the adapter."""
    told = {
        row[0]: (float(row[1]), int(row[2]))
        for row in rows(section(reference / "limits.md", "Rates"))
    }
    coded: dict[str, tuple[float, int]] = {}
    for name, (source, before) in NAMED_RATES.items():
        text = (checkout / "core_rs" / source).read_text()
        match = re.search(re.escape(before) + r"Rate::per_second\(([\d_]+), ([\d_]+)\)", text)
        assert match is not None, name
        coded[name] = (float(match[1]), int(match[2].replace("_", "")))
    for name, bucket in NAMED_REQUEST_RATES.items():
        rate = REQUEST_RATES[bucket]
        coded[name] = (rate.per_second, rate.burst)
    assert told == coded
    assert set(NAMED_REQUEST_RATES.values()) == set(REQUEST_RATES)
    assert (LOGIN_FAILURES_MAX, LOGIN_WINDOW_SECONDS) == (10, 900.0)


def test_every_error_code_is_documented(checkout: Path, reference: Path) -> None:
    """Code, status and retry are those of the table that both languages are held to."""
    vectors = json.loads((checkout / "tests" / "vectors" / "errors.json").read_text())
    told = [
        (bare(row[0]), int(row[1]), row[2])
        for row in rows(section(reference / "protocol.md", "Error codes"))
    ]
    assert told == [
        (row["code"], row["status"], "yes" if row["retry"] else "no") for row in vectors
    ]
    assert {code for code, _, _ in told} == {code.value for code in Code}


def test_every_close_code_is_documented(checkout: Path, reference: Path) -> None:
    """Number and label are those of the core; so are those of the AsyncAPI document."""
    source = (checkout / "core_rs" / "chat-proto" / "src" / "close.rs").read_text()
    coded = re.findall(r'^    [A-Z_]+ = (\d+), "(\w+)";$', source, re.MULTILINE)
    assert coded
    told = [
        (bare(row[0]), bare(row[1]))
        for row in rows(section(reference / "protocol.md", "Close codes"))
    ]
    assert told == coded
    document = json.loads((checkout / "chatrooms" / "api" / "asyncapi.json").read_text())
    codes = document["channels"]["chat"]["x-close-codes"]
    assert [(code, meaning["name"]) for code, meaning in codes.items()] == coded


def test_every_operation_and_event_is_documented(checkout: Path, reference: Path) -> None:
    """The tables of the protocol page and the AsyncAPI document name the same."""
    document = json.loads((checkout / "chatrooms" / "api" / "asyncapi.json").read_text())
    named: dict[str, dict[str, Any]] = {"command": {}, "event": {}}
    for key, message in document["components"]["messages"].items():
        kind, _, name = key.partition(".")
        if kind in named:
            named[kind][name] = message
    page = reference / "protocol.md"
    ops = {bare(row[0]) for row in rows(section(page, "Operations"))}
    events = {bare(row[0]) for row in rows(section(page, "Events"))}
    assert ops == set(named["command"])
    assert events - {"err"} == set(named["event"])


def test_every_rest_operation_is_documented(reference: Path, node: RunningNode) -> None:
    """The page lists what the OpenAPI document of a running node has."""
    served = httpx.get(f"{node.rest_url}/openapi.json", trust_env=False).json()["paths"]
    operations = {
        f"{method.upper()} {path}" for path, methods in served.items() for method in methods
    }
    told = {
        bare(row[0])
        for row in rows((reference / "rest.md").read_text())
        if re.match(r"`[A-Z]+ /", row[0])
    }
    assert told == operations
