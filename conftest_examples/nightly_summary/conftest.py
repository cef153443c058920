"""Writes the subject of the nightly mail."""

from pathlib import Path
from typing import Any

import pytest


def pytest_oauthcontrols_results(config: pytest.Config, results: dict[str, Any]) -> None:
    """Say in one line how many findings are critical, in which orgs, and whether checks are missing."""
    findings = [row for row in results["results"] if row["verdict"] in ("fail", "unverifiable")]
    critical = [row for row in findings if row["severity"] == "critical"]
    orgs = ", ".join(org["name"] for org in results["orgs"])
    subject = f"OAuth controls: {len(critical)} of {len(findings)} findings in {orgs} are critical"
    checks = results["checks"]
    if checks["with_result"] < checks["total"]:
        subject += f" (partial: {checks['with_result']} of {checks['total']} checks have a result)"
    Path(config.invocation_params.dir, "subject.txt").write_text(subject, "utf-8")
