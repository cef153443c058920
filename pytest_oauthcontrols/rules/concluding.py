"""How a test tells what a control finds: a finding as it is, or a verdict where an assertion does not say it."""

from __future__ import annotations

from typing import NoReturn

from pytest_oauthcontrols.orgs.model import Absent, Seen, Setting, Unreadable
from pytest_oauthcontrols.rules.control import Verdict
from pytest_oauthcontrols.rules.finding import Finding


class Concluded(Exception):
    """What a control finds, whole."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def conclude(finding: Finding) -> NoReturn:
    """End the test of a control with a finding."""
    raise Concluded(finding)


class Stated(Exception):
    """A verdict on what a test has looked at."""

    def __init__(self, verdict: Verdict, message: str, evidence: tuple[Setting, ...]) -> None:
        super().__init__(message)
        self.verdict = verdict
        self.evidence = evidence


def state(verdict: Verdict | str, message: str, *evidence: Setting) -> NoReturn:
    """End the test of a control with a verdict.

    Args:
        verdict: The verdict, or its text: `state("manual", "...")`.
        message: A sentence that says what was found.
        evidence: What the verdict rests on: `app.examine("oauthConfig.callbackUrl")`, or a `Seen` of what was found
            elsewhere. Without it, every setting that the test has looked at. A pass needs some.

    Raises:
        ValueError: The verdict does not exist.
        TypeError: The evidence is not a setting.
    """
    __tracebackhide__ = True
    verdicts = [each.value for each in Verdict]
    if verdict not in verdicts:
        raise ValueError(f"the verdict is one of {', '.join(verdicts)}, not {verdict!r}")
    for setting in evidence:
        if not isinstance(setting, (Seen, Absent, Unreadable)):
            raise TypeError(f"evidence is Seen, Absent or Unreadable, as `examine` returns it, not {setting!r}")
    raise Stated(Verdict(verdict), message, evidence)
