"""Size and time of each report, beside pytest-html's, of runs with about 1,000, 10,000 and 40,000 results.

    python benchmarks/reports.py [--results 1000 --results 10000]

A report's time is the CPU time of making it from what a run has found; that of pytest-html is what a run takes longer.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from bench import pytest_cpu, read, write_demo

from pytest_oauthcontrols.decisions.assessment import Assessment
from pytest_oauthcontrols.reports import REPORTS, encoder, results
from pytest_oauthcontrols.rules.catalogue import load

RESULTS_OF_THE_SAMPLE = 340
"""About as many cases as the sample org has."""


def measure(count: int) -> None:
    """Print a line for each report of a run with about so many results."""
    root = Path(tempfile.mkdtemp())
    org = root / "org"
    org.mkdir()
    write_demo(org, max(1, round(count / RESULTS_OF_THE_SAMPLE)))
    assessment = Assessment((read(org),), load())
    findings = [(case.node_id, case.finding) for case in assessment.cases]
    start = time.process_time()
    document = results.document(assessment, findings)
    show(len(findings), "(the document)", 0, time.process_time() - start)
    for option in REPORTS:
        encode = encoder(option)
        start = time.process_time()
        content = encode(document, assessment.catalogue)
        show(len(findings), option, len(content), time.process_time() - start)
    arguments = (f"--sf-org={org}", "--html=report.html", "--self-contained-html")
    without = pytest_cpu(root, arguments[0])
    spent = pytest_cpu(root, *arguments) - without
    show(len(findings), "--html", (root / "report.html").stat().st_size, spent)


def show(count: int, report: str, size: int, seconds: float) -> None:
    """Print a line of the table."""
    print(f"{count:>7,} results  {report:<16} {size / 1e6:>8.2f} MB  {seconds:>7.2f} s", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=int, action="append")
    for count in parser.parse_args().results or (1_000, 10_000, 40_000):
        measure(count)


if __name__ == "__main__":
    main()
