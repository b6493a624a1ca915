"""Prints how many cases each group ran, also when the groups ran on xdist's workers."""

import ast
from collections import Counter

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Sum the verdicts that the reports carry."""
    total: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in getattr(report, "user_properties", ()):
                if name == "verdicts":
                    terminalreporter.write_line(
                        f"{report.nodeid.rpartition('[')[2][:-1]:>5} {value}"
                    )
                    total.update(value if isinstance(value, dict) else ast.literal_eval(value))
    if total:
        terminalreporter.write_line(f"Autobahn: {sum(total.values())} cases, {dict(total)}")
