"""Closing lines of `make test`: seconds of each stage, and all of pytest's counts in one line."""

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

REPORTS = Path("build/reports")


def counts() -> dict[str, int]:
    """Sum the cases over all JUnit files that the suites left behind."""
    total = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for report in sorted(REPORTS.glob("*.xml")):
        for suite in ET.parse(report).getroot().iter("testsuite"):
            for key in total:
                total[key] += int(suite.get(key, "0"))
    return total


def main() -> int:
    """Print the table; fail when no test ran, for that is never what was meant."""
    stages = REPORTS / "stages.tsv"
    print("\n=== stages")
    for line in stages.read_text().splitlines() if stages.exists() else []:
        name, seconds, result = line.split("\t")
        print(f"{name:<14} {seconds:>5} s  {result}")
    total = counts()
    failed = total["failures"] + total["errors"]
    passed = total["tests"] - failed - total["skipped"]
    print(f"total: {passed} passed, {failed} failed, {total['skipped']} skipped")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
