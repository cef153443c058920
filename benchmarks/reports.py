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

from pytest_oauthcontrols.decisions.assessment import Assessment, node_id
from pytest_oauthcontrols.decisions.run import Result, Run
from pytest_oauthcontrols.reports import REPORTS, results
from pytest_oauthcontrols.rules.catalogue import load
from pytest_oauthcontrols.rules.evaluation import evaluate

RESULTS_OF_THE_SAMPLE = 340
"""About as many cases as the sample org has."""


def measure(count: int) -> None:
    """Print a line for each report of a run with about so many results."""
    root = Path(tempfile.mkdtemp())
    org = root / "org"
    org.mkdir()
    write_demo(org, max(1, round(count / RESULTS_OF_THE_SAMPLE)))
    assessment = Assessment((read(org),), load())
    found = [(check, evaluate(check.control, check.app, check.org)) for check in assessment.checks]
    run = Run(
        tuple(Result(check, node_id(check), finding, assessment.decisions.judge(finding)) for check, finding in found),
        (),
    )
    start = time.process_time()
    document = results.document(assessment, run)
    show(run.total, "(the document)", 0, time.process_time() - start)
    for report in REPORTS:
        start = time.process_time()
        content = results.encoded(report, document, assessment.catalogue)
        show(run.total, report.option, len(content), time.process_time() - start)
    arguments = (f"--sf-org={org}", "--html=report.html", "--self-contained-html")
    without = pytest_cpu(root, arguments[0])
    spent = pytest_cpu(root, *arguments) - without
    show(run.total, "--html", (root / "report.html").stat().st_size, spent)


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
