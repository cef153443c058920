"""How a test of a project states what a control finds, where an assertion does not say it."""

from __future__ import annotations

from typing import NoReturn

from pytest_oauthcontrols.orgs.model import Absent, Seen, Setting, Unreadable
from pytest_oauthcontrols.rules.control import Verdict


class Stated(Exception):
    """What a control finds."""

    def __init__(self, verdict: Verdict, message: str, evidence: tuple[Setting, ...]) -> None:
        super().__init__(message)
        self.verdict = verdict
        self.evidence = evidence


def state(verdict: Verdict | str, message: str, *evidence: Setting) -> NoReturn:
    """End the test of a control with a verdict, which may be given as its text: `state("manual", "...")`.

    `message` is a sentence that says what is found. The evidence is every setting that the test has looked at, unless
    some is given: `app.examine("oauthConfig.callbackUrl")`, or a `Seen` of what was found elsewhere. A pass needs some.

    Raises `ValueError` for another verdict, and `TypeError` for evidence that is no setting.
    """
    __tracebackhide__ = True
    known = [one.value for one in Verdict]
    if verdict not in known:
        raise ValueError(f"the verdict is one of {', '.join(known)}, not {verdict!r}")
    for one in evidence:
        if not isinstance(one, (Seen, Absent, Unreadable)):
            raise TypeError(f"evidence is Seen, Absent or Unreadable, as `examine` gives it, not {one!r}")
    raise Stated(Verdict(verdict), message, evidence)
