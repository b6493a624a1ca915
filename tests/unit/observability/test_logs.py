"""Logs: one form for every logger, and no local variable of a traceback in them."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from chatrooms.observability.logs import configure_logs

SECRET = "eyJ0eXAi-the-token"


@pytest.fixture(autouse=True)
def _loggers_as_before() -> Iterator[None]:
    """Logging is a property of the process: put back what the tests change."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def fail_with(secret: str) -> None:
    """Raises where `secret` is a local variable."""
    held = {"token": secret}
    raise ZeroDivisionError(len(held))


@pytest.mark.parametrize("as_json", [True, False])
def test_traceback_shows_no_local_variables(
    as_json: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    """Locals are where tokens and message text are."""
    configure_logs("info", json=as_json)
    try:
        fail_with(SECRET)
    except ZeroDivisionError:
        structlog.get_logger("a").exception("failed")
        logging.getLogger("b").exception("failed too")
    written = capfd.readouterr().err
    assert written.count("ZeroDivisionError") >= 2
    assert "fail_with" in written
    assert SECRET not in written


def test_own_and_foreign_records_are_json_lines_of_one_form(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A collector needs one parser."""
    configure_logs("info", json=True)
    structlog.get_logger("ours").info("said", connection=7)
    logging.getLogger("theirs").warning("said by %s", "a library")
    ours, theirs = map(json.loads, capfd.readouterr().err.splitlines())
    assert (ours["event"], ours["level"], ours["logger"]) == ("said", "info", "ours")
    assert ours["connection"] == 7
    assert (theirs["event"], theirs["level"]) == ("said by a library", "warning")
    assert ours.keys() - {"connection"} == theirs.keys()


def test_level_holds_for_all(capfd: pytest.CaptureFixture[str]) -> None:
    """What is below it is not written."""
    configure_logs("warning", json=True)
    structlog.get_logger("ours").info("said")
    logging.getLogger("theirs").info("said")
    assert not capfd.readouterr().err


def test_line_breaks_in_a_value_forge_no_record(capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever a client names itself."""
    configure_logs("info", json=True)
    structlog.get_logger("ours").info("said", address='x\n{"event":"forged"}')
    [line] = capfd.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "said"
