"""What a control is: what it recommends, how severe it is, and the rule that decides it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import Enum

from pytest_oauthcontrols.rules.conditions import Condition
from pytest_oauthcontrols.rules.cvss import Severity, base_score


class Verdict(str, Enum):
    """What a control says of an app or org."""

    PASS = "pass"  # noqa: S105  (not a password)
    FAIL = "fail"
    NOT_APPLICABLE = "not_applicable"
    MANUAL = "manual"
    """No API shows the setting: a person has to look."""
    UNVERIFIABLE = "unverifiable"
    """It should be readable and was not: never a pass."""


@dataclass(frozen=True)
class Requirement:
    """What has to hold for an app to pass."""

    condition: Condition
    finding: str
    """What is wrong where it does not hold."""


@dataclass(frozen=True)
class Clause:
    """One step of a rule: the first whose condition holds decides."""

    when: Condition | None
    """None: always."""
    verdict: Verdict
    """What it says; with requirements only where they hold, else the verdict is fail."""
    because: str
    requirements: tuple[Requirement, ...]
    required: Condition | None
    """All requirements at once; None where there are none."""


@dataclass(frozen=True, eq=False)
class RiskCondition:
    """What, by the published page, makes the risk of a finding higher or lower than usual."""

    says: str
    """The condition as it is published, in our own words."""
    conditions: Mapping[str, Condition]
    """By what the control applies to."""
    factors: Mapping[str, bool]
    """Risk factors among them, which somebody has to attest: whether that shows the condition, or rules it out."""
    found: str = ""
    """What is established where it is seen to hold, if that is less than the page says; empty where it is the same."""

    @property
    def established(self) -> str:
        """What is established where it is seen to hold: no more than was seen or attested."""
        return self.found or self.says

    @property
    def with_factors(self) -> str:
        """What it says, and which attestation would tell whether it holds."""
        factors = (
            f" To {'show it' if shows else 'rule it out'}, attest the factor {factor}."
            for factor, shows in self.factors.items()
        )
        return f"{self.says}{''.join(factors)}"


@dataclass(frozen=True)
class Contradiction:
    """Something in which published pages disagree, or a page with itself."""

    says: str
    """What disagrees, which reading decides, and why."""
    matters: Mapping[str, Condition]
    """When it matters, by what the control applies to; empty: always."""


@dataclass(frozen=True)
class Deadline:
    """A date that Salesforce has announced, and what ends or begins on it."""

    date: date
    what: str
    """What happens; a sentence."""
    source: str
    """URL of Salesforce's announcement."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Control:
    """One control, published or a project's own, and what decides it."""

    id: str
    name: str
    """As published."""
    severity: Severity
    cvss: tuple[Decimal, Decimal]
    """Published range of CVSS base scores."""
    basis: str
    """Where the range comes from."""
    assessed: str
    """How a verdict comes about: `automatically`, `by hand`, ..."""
    remediation: str
    rules: Mapping[str, tuple[Clause, ...]]
    """What decides, by what it applies to: a kind of app, or `org`. Without clauses something else than a rule does."""
    rule_sha256: str
    """Digest of what decides, as it is stated: findings of two runs can be compared only where it is the same."""
    page: str = ""
    """URL of the published page; empty where there is none, as all that follows can be."""
    source: str = ""
    """What it follows where no page of its own asks for it: another control's page, an RFC, an edition."""
    framework: str = "own"
    """What it is a part of, as `selection.FRAMEWORKS` has it."""
    core: bool = False
    recommended: str = ""
    overview: str = ""
    """What the setting does."""
    threat: str = ""
    """What an attacker does where it is not as recommended."""
    impact: str = ""
    """What that leads to."""
    guidance: str = ""
    """What a reviewer should look at."""
    may_break: str = ""
    """What a fix may break."""
    higher_risk_when: tuple[RiskCondition, ...] = ()
    low_risk_when: tuple[RiskCondition, ...] = ()
    low_risk_needs: str = ""
    """`any` or `all` of the conditions for low risk; empty where there is at most one."""
    contradictions: tuple[Contradiction, ...] = ()
    deadlines: tuple[Deadline, ...] = ()
    """What Salesforce has announced that concerns it, by date."""
    notes: tuple[str, ...] = ()
    stated_rule: str = ""
    """What decides it, as its file states it."""
    evidence: tuple[str, ...] = ()
    """The settings and predicates that decide it, or are shown beside them, by name."""
    shows: Mapping[str, tuple[Condition, ...]] = field(default_factory=dict)
    """What is shown as evidence beside what decides."""
    origin: str = ""
    """Where a project's own control is stated: file and line."""
    overridden: str = ""
    """What the project says otherwise than the published page, why, and where."""

    @property
    def frameworks(self) -> tuple[str, ...]:
        """What it is a part of: its framework, and `core` if it is one of the four controls of that name."""
        return ("core", self.framework) if self.core else (self.framework,)

    @property
    def threat_line(self) -> str:
        """The threat in one line: the first sentence of it."""
        return re.split(r"(?<=[.?!]) ", self.threat, maxsplit=1)[0]

    @property
    def applies_to(self) -> tuple[str, ...]:
        """The kinds of app, or `org`."""
        return tuple(self.rules)

    @property
    def score(self) -> Decimal:
        """Base score: the middle of the published range."""
        return base_score(*self.cvss)

    @property
    def cvss_range(self) -> str:
        """The published range as text; the one score where a vector gave it."""
        low, high = self.cvss
        return str(low) if low == high else f"{low}-{high}"

    def __repr__(self) -> str:
        return f"<Control {self.id}>"


_PREFIXES = ("ca-", "eca-", "oauth-", "org-", "partner-", "sbs-")
"""How the ids of the controls that ship with the package begin."""

OWN_ID = rf"(?!{'|'.join(_PREFIXES)})[a-z0-9]+(-[a-z0-9]+)+"
"""Pattern for the ids of a project's own controls: lower-case words, joined by hyphens."""


def is_own_id(control: str) -> bool:
    """Tell whether an id can be that of a control of a project's own."""
    return re.fullmatch(OWN_ID, control) is not None


NO_OWN_ID = (
    "is no id for a control of your own: take lower-case words joined by '-', the first of them your project's"
    f" ({', '.join(_PREFIXES)} are taken)"
)
"""What is wrong with another id; it stands behind the id."""
