"""What oauthcontrols.yaml accepts and vouches for: waivers and attestations, until when, and mistakes in it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from lxml import html

from .support.configurations import ACCEPTED, ATTESTED, configure
from .support.metadata_files import EXPIRES, OPEN, PKCE, app, child, xml
from .support.orgs import DAY, kept
from .support.runs import Ran, assess, folder, outcome, usage_error

LATER = "2099-12-31"


def waived(**said: Any) -> dict[str, Any]:
    """Return a configuration with one waiver, of ca-pkce and Price_Feed but for what is said; None leaves a key out."""
    entry = {**ACCEPTED, "expires": LATER, **said}
    return {"waivers": [{key: value for key, value in entry.items() if value is not None}]}


def attested(**said: Any) -> dict[str, Any]:
    """Return a configuration with one attestation, of org-customer-sso but for what is said."""
    entry = {**ATTESTED, "expires": LATER, **said}
    return {"attestations": [{key: value for key, value in entry.items() if value is not None}]}


def reviewed(ran: Ran) -> list[tuple[int, str]]:
    """Return line and text of what is to be reviewed, by the results file."""
    return [(one["line"], one["says"]) for one in ran.document["review"]]


def detail(pytester: pytest.Pytester) -> str:
    """Return all that the HTML report shows of the cases."""
    blob = html.parse(str(pytester.path / "report.html")).getroot().get_element_by_id("data-container")
    return " ".join(str(json.loads(blob.attrib["data-jsonblob"])["tests"]).replace("\\n", " ").split())


HTML = ("--html=report.html", "--self-contained-html")

# Waivers


NAMES = ("Price_Feed", "Price_Feed_Old", "Old_Price_Feed", "Price[1]")


@pytest.mark.parametrize(
    ("pattern", "accepted"),
    [
        ("Price_Feed", {"Price_Feed"}),
        ("Price_*", {"Price_Feed", "Price_Feed_Old"}),
        ("?????_Feed", {"Price_Feed"}),
        ("*[Pp]rice_[Ff]eed", {"Price_Feed", "Old_Price_Feed"}),
        ("*", set(NAMES)),
        ("Price[1]", {"Price[1]"}),
        ("Feed", set()),
        ("price_feed", set()),
    ],
)
def test_waiver_is_for_full_names(pytester: pytest.Pytester, pattern: str, accepted: set[str]) -> None:
    """A waiver accepts what it names in full or by a pattern, with regard to case, and nothing of other controls."""
    kept(pytester, dict.fromkeys(NAMES, app()))
    configure(pytester, **waived(app=pattern))
    ran = assess(pytester, "-k", "ca-pkce or ca-digital-signature")
    found = {(case.row["app"], case.row["control"]) for case in ran.cases.values() if case.outcome == "xfailed"}
    assert found == {(name, "ca-pkce") for name in accepted}
    assert len(ran.having("failed")) == 2 * len(NAMES) - len(accepted)
    assert reviewed(ran) == ([] if accepted else [(2, "matches nothing")])


@pytest.mark.parametrize("ticket", ["SEC-41", None])
def test_waiver_says_who_why_and_until_when(pytester: pytest.Pytester, ticket: str | None) -> None:
    """Who accepted a finding, why and until when stands in the reason of the xfail and in every report."""
    kept(pytester, {"Price_Feed": app()})
    configure(pytester, **waived(ticket=ticket, org="uat"))
    ran = assess(pytester, "-k", "ca-pkce", "-rx", *HTML)
    case = ran.cases["Price_Feed-ca-pkce"]
    words = f"waived by jo@acme.example until {LATER}{' (SEC-41)' if ticket else ''}: The client cannot do it."
    assert (ran.code, case.row["verdict"], case.row["not_blocking"]) == (0, "fail", "waived")
    assert case.reason.startswith(f"{words} | critical 9.0-10.0: ")
    assert case.properties["waiver"] == f"{words} (oauthcontrols.yaml:2)"
    place = {"file": "oauthcontrols.yaml", "line": 2, "expired": False}
    assert case.row["waiver"] == {**ACCEPTED, "expires": LATER, "org": "uat", "ticket": ticket, **place}
    assert [line for line in ran.lines if line.startswith("XFAIL ") and "waived by jo@acme.example" in line]
    assert words in detail(pytester)


@pytest.mark.parametrize(
    ("expires", "holds", "notice"),
    [
        ("2026-11-19", False, "expired on 2026-11-19"),
        (DAY, True, f"expires on {DAY}"),
        ("2026-12-20", True, "expires on 2026-12-20"),
        ("2026-12-21", True, None),
    ],
)
def test_last_day_of_a_waiver(pytester: pytest.Pytester, expires: str, holds: bool, notice: str | None) -> None:
    """A waiver holds through its last day by the date of the reading; the summary names it for the last 30 days."""
    kept(pytester, {"Price_Feed": app()})
    configure(pytester, **waived(expires=expires))
    ran = assess(pytester, "-k", "ca-pkce")
    case = ran.cases["Price_Feed-ca-pkce"]
    assert (case.outcome, ran.code) == (("xfailed", 0) if holds else ("failed", 1))
    assert case.row["waiver"]["expired"] is not holds
    assert (f"The waiver by jo@acme.example expired on {expires}." in case.reason) is not holds
    assert reviewed(ran) == ([] if notice is None else [(2, notice)])


def test_waiver_is_judged_by_the_day_of_the_reading(pytester: pytest.Pytester) -> None:
    """A waiver that has expired by now still holds for a snapshot that was taken before."""
    folder(pytester, {"connectedApps/Price_Feed.connectedApp": app()})
    configure(pytester, **waived(expires="2020-06-30"))
    assert assess(pytester, "-k", "ca-pkce", "--sf-snapshot=kept", orgs=["./org"]).having("failed")
    assert assess(pytester, "-k", "ca-pkce", orgs=["./kept/org.json"]).having("failed")
    kept(pytester, {"Price_Feed": app()}, day="2020-06-30")
    assert assess(pytester, "-k", "ca-pkce").having("xfailed")


@pytest.mark.parametrize(
    ("control", "of", "verdict"),
    [
        ("ca-pkce", "Price_Feed", "fail"),
        ("ca-client-credentials", "Price_Feed", "unverifiable"),
        ("org-oauth-oidc", None, "fail"),
        ("org-rest-secrets", None, "unverifiable"),
        ("readable", "Broken", "unverifiable"),
        ("readable", None, "unverifiable"),
        ("ca-oauth-settings", "Price_Feed", "pass"),
        ("ca-id-token", "Price_Feed", "not_applicable"),
        ("ca-device-flow", "Price_Feed", "manual"),
        ("org-customer-sso", None, "manual"),
    ],
)
def test_what_can_be_waived(pytester: pytest.Pytester, control: str, of: str | None, verdict: str) -> None:
    """Failing and unverifiable cases of apps and the org are waived, and no other verdict becomes anything else."""
    oidc = xml("OauthOidcSettings", "<blockOAuthUnPwFlow>false</blockOAuthUnPwFlow>")
    files = {"Price_Feed": app(), "Broken": b"<", "settings/OauthOidc.settings": oidc}
    kept(pytester, files, problems=("An app that nobody can name could not be read.",))
    before = {name: case.outcome for name, case in assess(pytester).cases.items()}
    configure(pytester, **waived(control=control, app=of))
    ran = assess(pytester)
    name = control if of is None else f"{of}-{control}"
    assert ran.cases[name].row["verdict"] == verdict
    changed = {name: "xfailed"} if verdict in ("fail", "unverifiable") else {}
    assert {one: case.outcome for one, case in ran.cases.items()} == {**before, **changed}


def test_summary_names_waivers_to_review(pytester: pytest.Pytester) -> None:
    """Waivers that expire soon, match nothing, or are needed no more are named; those of other orgs are not."""
    kept(pytester, {"Price_Feed": app(), "Stock_Sync": PKCE})
    every: list[dict[str, Any]] = [
        {},
        {"app": "Stock_Sync"},
        {"app": "Nobody"},
        {"app": "Nobody", "org": "prod"},
        {"app": "No*", "org": "prod"},
        {"control": "ca-id-token"},
        {"control": "ca-digital-signature", "app": "*", "expires": "2026-12-01"},
        {"control": "eca-pkce"},
    ]
    configure(pytester, waivers=[waived(**said)["waivers"][0] for said in every])
    ran = assess(pytester)
    assert reviewed(ran) == [
        (3, "is not needed any more: the control passes now"),
        (4, "matches nothing"),
        (7, "is not needed any more: nothing is found now"),
        (8, "expires on 2026-12-01"),
        (9, "matches nothing"),
    ]
    start = ran.lines.index("to review:")
    assert "ca-pkce of Stock_Sync: the waiver by jo@acme.example is not needed any more" in ran.lines[start + 1]
    assert [ran.lines[start + 2 * number].strip() for number in range(1, 6)] == [
        f"oauthcontrols.yaml:{line}" for line, _ in reviewed(ran)
    ]
    assert reviewed(assess(pytester, "-k", "ca-scopes")) == [
        (4, "matches nothing"),
        (8, "expires on 2026-12-01"),
        (9, "matches nothing"),
    ]


def test_waivers_can_be_ignored(pytester: pytest.Pytester) -> None:
    """--sf-no-waivers lets waived findings fail, and says how many waivers are ignored."""
    kept(pytester, {"Price_Feed": app()})
    configure(pytester, waivers=[waived()["waivers"][0], waived(app="*", expires="2026-01-31")["waivers"][0]])
    ran = assess(pytester, "-k", "ca-pkce")
    assert ran.cases["Price_Feed-ca-pkce"].row["waiver"]["line"] == 2, "of two the one that expired must not win"
    ran = assess(pytester, "-k", "ca-pkce", "--sf-no-waivers")
    assert ran.having("failed") == {"Price_Feed-ca-pkce"}
    assert "waivers: 2 ignored (--sf-no-waivers)" in ran.lines
    assert ran.cases["Price_Feed-ca-pkce"].row["waiver"] is None
    assert "waiver" not in ran.cases["Price_Feed-ca-pkce"].properties


# Attestations


LEDGER = {"Ledger.eca": xml("ExternalClientApplication"), "L.ecaOauth": child("ExtlClntAppOauthSettings", "Ledger")}


@pytest.mark.parametrize(("evidence", "proof"), [(None, ""), ("SEC-42.pdf", " (SEC-42.pdf)")])
@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({"control": "org-customer-sso"}, "org-customer-sso"),
        ({"control": "ca-device-flow", "app": "Price_*", "org": "uat"}, "Price_Feed-ca-device-flow"),
        ({"control": "eca-oauth-usage", "app": "Ledger"}, "Ledger-eca-oauth-usage"),
    ],
)
def test_attested_control_passes(
    pytester: pytest.Pytester, said: dict[str, str], name: str, evidence: str | None, proof: str
) -> None:
    """A manual control that somebody attests passes, and every report says so and by whom."""
    kept(pytester, {"Price_Feed": app(), **LEDGER})
    assert assess(pytester, "-k", said["control"]).cases[name].row["verdict"] == "manual"
    configure(pytester, **attested(**said, evidence=evidence))
    ran = assess(pytester, "-k", said["control"], *HTML)
    case = ran.cases[name]
    words = f"ttested by kim@acme.example until {LATER}: All sites use SAML.{proof}"
    assert (case.outcome, case.row["verdict"]) == ("passed", "pass")
    assert case.properties["attestation"] == f"a{words} (oauthcontrols.yaml:2)"
    assert words in case.row["message"]
    assert case.row["attestation"].items() >= {"by": "kim@acme.example", "evidence": evidence, "expires": LATER}.items()
    assert "attested: 1 of those that pass do so on somebody's word" in ran.lines
    assert words in detail(pytester)


@pytest.mark.parametrize(("expires", "holds"), [("2026-11-19", False), (DAY, True)])
def test_expired_attestation_is_manual_again(pytester: pytest.Pytester, expires: str, holds: bool) -> None:
    """After its last day an attested control is manual, and the reason says whose attestation expired and when."""
    kept(pytester, {"Price_Feed": app()})
    configure(pytester, **attested(expires=expires))
    ran = assess(pytester, "-k", "org-customer-sso")
    case = ran.cases["org-customer-sso"]
    assert case.outcome == ("passed" if holds else "skipped")
    assert (
        "The attestation by kim@acme.example expired on 2026-11-19 (oauthcontrols.yaml:2)." in case.reason
    ) is not holds
    assert case.row["attestation"]["expired"] is not holds
    assert reviewed(ran) == [(2, f"{'expires' if holds else 'expired'} on {expires}")]
    assert any(line.startswith("attested: ") for line in ran.lines) is holds


@pytest.mark.parametrize(
    ("control", "verdict"),
    [("ca-pkce", "fail"), ("ca-client-credentials", "unverifiable"), ("ca-oauth-settings", "pass")],
)
def test_attestation_helps_nothing_that_was_read(pytester: pytest.Pytester, control: str, verdict: str) -> None:
    """What fails or cannot be verified stays so whatever is attested, and the attestation is named as of no use."""
    kept(pytester, {"Price_Feed": app()})
    configure(pytester, **attested(control=control, app="Price_Feed"))
    ran = assess(pytester, "-k", control)
    case = ran.cases[f"Price_Feed-{control}"]
    assert (case.row["verdict"], case.row["attestation"]) == (verdict, None)
    assert case.outcome == ("passed" if verdict == "pass" else "failed")
    assert "attestation" not in case.properties
    assert reviewed(ran) == [(2, "is not needed: no check of it is manual")]


@pytest.mark.parametrize(
    ("said", "score"),
    [
        ({"factor": "privileged-user"}, 10.0),
        ({"factor": "privileged-user", "app": "Price_*", "org": "uat"}, 10.0),
        ({"factor": "privileged-user", "app": "Stock_Sync"}, 9.5),
        ({"factor": "privileged-user", "org": "prod"}, 9.5),
        ({"factor": "privileged-user", "expires": "2026-11-19"}, 9.5),
        ({"factor": "mfa"}, 9.5),
    ],
)
def test_attested_factor_moves_the_score(pytester: pytest.Pytester, said: dict[str, str], score: float) -> None:
    """A risk factor that somebody attests for an app counts there, and the finding says so."""
    kept(pytester, {"Price_Feed": app(OPEN, EXPIRES), "Stock_Sync": PKCE})
    configure(pytester, **attested(control=None, **said))
    ran = assess(pytester, "-k", "ca-secret-refresh-token and Price_Feed")
    row = ran.cases["Price_Feed-ca-secret-refresh-token"].row
    assert row["context"]["score"] == score
    assert any("highly privileged" in one for one in row["context"]["raised_by"]) is (score == 10)
    assert any("highly privileged" in one for one in row["context"]["not_seen"]) is (score == 9.5)
    assert any("attested by kim@acme.example" in line for line in ran.lines) is (score == 10)
    assert (row["verdict"], row["attestation"]) == ("fail", None)


# Mistakes


OF_ONE = "give exactly one of control or factor"
DAYS = "'expires' must be a day such as 2027-03-31"
UNQUOTED = "waivers:\n- {{control: ca-pkce, app: Price_Feed, owner: jo, reason: Later,\n   expires: {}}}\n"
MISTAKES: list[tuple[dict[str, Any] | str, int, str]] = [
    ({"wavers": []}, 1, "unknown key 'wavers'; did you mean 'waivers'?"),
    ({"gate": "hgih"}, 1, "'gate' must be one of critical, high, medium, low, never, critical in context, "),
    ({"gate": "hgih"}, 1, "not 'hgih'; did you mean 'high'?"),
    ({"gate": "hihg in context"}, 1, "not 'hihg in context'; did you mean 'high in context'?"),
    ({"gate": "never in context"}, 1, "not 'never in context'"),
    ({"gate": ["high"]}, 1, "'gate' must be "),
    ({"waivers": waived()["waivers"][0]}, 1, "'waivers' must be a list of mappings"),
    ({"waivers": [waived()["waivers"]]}, 1, "'waivers' must be a list of mappings"),
    ({"attestations": ["org-customer-sso"]}, 1, "'attestations' must be a list of mappings"),
    ({"attestations": "kim"}, 1, "'attestations' must be a list of mappings"),
    (waived(expire=LATER), 2, "unknown key 'expire'; did you mean 'expires'?"),
    (waived(control="ca-pkec"), 2, "there is no control 'ca-pkec'; did you mean 'ca-pkce'?"),
    (waived(control=["ca-pkce"]), 2, "'control' must be a text"),
    (waived(control=None), 2, "'control' is missing: add it, for example control: ca-pkce"),
    (waived(app=None), 2, "'app' is missing: ca-pkce is a control of apps"),
    (waived(control="org-oauth-oidc"), 2, "org-oauth-oidc is a control of the org itself"),
    (waived(reason=None), 2, "'reason' is missing"),
    (waived(owner=None), 2, "'owner' is missing"),
    (waived(expires=None), 2, "'expires' is missing: add it, for example expires: 2027-03-31"),
    *((waived(**{key: " \n"}), 2, f"'{key}' must be a text") for key in ("app", "org", "reason", "owner", "ticket")),
    (waived(owner=7), 2, "'owner' must be a text: put the value in quotes"),
    (attested(owner="kim"), 2, "unknown key 'owner'"),
    (attested(factor="x"), 2, OF_ONE),
    (attested(control=None), 2, OF_ONE),
    (attested(control=None, factor="nosuch"), 2, "there is no risk factor 'nosuch'"),
    (attested(control="org-custmer-sso"), 2, "there is no control 'org-custmer-sso'; did you mean 'org-customer-sso'?"),
    (attested(control="readable"), 2, "there is no control 'readable'"),
    (attested(control="ca-device-flow"), 2, "'app' is missing"),
    (attested(app="Price_Feed"), 2, "org-customer-sso is a control of the org itself"),
    *((attested(**{key: None}), 2, f"'{key}' is missing") for key in ("statement", "by", "expires")),
    *((attested(**{key: ""}), 2, f"'{key}' must be a text") for key in ("statement", "by", "evidence")),
    *((waived(expires=day), 2, DAYS) for day in ("2027-02-30", "31.12.2027", "20271231", 20271231, "2027-W01-1", "")),
    *((waived(expires=day), 2, DAYS) for day in ("2027-03-31T10:00:00", ["2027-03-31"], {"day": 1}, True)),
    (UNQUOTED.format("2027-02-30"), 3, "'2027-02-30' is not a valid date"),
    (UNQUOTED.format(""), 3, "'expires' has no value: add one, for example expires: 2027-03-31"),
    *((UNQUOTED.format(day), 3, DAYS) for day in ("31.12.2027", "2027-12-31 10:00:00", "20271231", "[2027-12-31]")),
]


@pytest.mark.parametrize(("said", "line", "words"), [*MISTAKES, (UNQUOTED.format("2027-12-31"), 0, "")])
def test_mistake_in_the_configuration(
    pytester: pytest.Pytester, said: dict[str, Any] | str, line: int, words: str
) -> None:
    """A mistake is one line with file and line; only without one it shows that the org is not there."""
    configure(pytester, **(said if isinstance(said, dict) else {}))
    if isinstance(said, str):
        (pytester.path / "oauthcontrols.yaml").write_text(said, "utf-8")
    result = pytester.runpytest("--sf-org=./nowhere", "--sf-json=results.json")
    message = usage_error(outcome(pytester, result))
    assert [one for one in result.errlines if one] == [f"ERROR: {message}"]
    assert message.startswith(f"oauthcontrols.yaml:{line}: " if line else "./nowhere: ")
    assert words in message


@pytest.mark.parametrize(
    ("said", "unmatched"),
    [
        (waived(app="Nightly_*"), "uat or prod"),
        (waived(app="price_fee?"), "uat or prod"),
        (waived(app="[xyz]rice_Feed"), "uat or prod"),
        (waived(app="Stock_*", org="uat"), "uat"),
        (attested(control="ca-device-flow", app="Nightly_*"), "uat or prod"),
        (waived(app="Stock_*"), None),
        (waived(app="Stock_*", org="prod"), None),
        (waived(app="Nightly_*", org="dev"), None),
        (waived(app="Nightly_ETL"), None),
    ],
)
def test_pattern_that_matches_no_app(pytester: pytest.Pytester, said: dict[str, Any], unmatched: str | None) -> None:
    """A pattern that matches no app of the orgs it is meant for is an error that names it; a full name is none."""
    kept(pytester, {"Price_Feed": app()})
    kept(pytester, {"Stock_Sync": app()}, name="prod")
    configure(pytester, **said)
    orgs = ["./uat.json", "./prod.json"]
    if unmatched is None:
        assert assess(pytester, "-k", "ca-pkce", orgs=orgs).cases
        return
    result = pytester.runpytest(*(f"--sf-org={org}" for org in orgs), "--sf-json=results.json")
    message = usage_error(outcome(pytester, result))
    ((entry,),) = said.values()
    assert re.match(rf"oauthcontrols.yaml:2: '{re.escape(entry['app'])}' matches no app of {unmatched};", message)
