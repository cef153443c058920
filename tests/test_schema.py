"""The schema of oauthcontrols.yaml and the loader agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import MISSING, fields
from datetime import date
from itertools import count
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from pytest_oauthcontrols.config.configuration import CLIENT_TYPES, CRITICALITIES, FILE_NAME, GATES, PURPOSES
from pytest_oauthcontrols.config.configuration import load as load_configuration
from pytest_oauthcontrols.config.credentials import _METHODS
from pytest_oauthcontrols.orgs.metadata_types import _SCOPE_BY_ALIAS, SCOPES
from pytest_oauthcontrols.rules.catalogue import load
from pytest_oauthcontrols.rules.cvss import Severity
from pytest_oauthcontrols.rules.evaluation import READABLE
from pytest_oauthcontrols.rules.selection import FRAMEWORKS
from pytest_oauthcontrols.sources import DEMO
from pytest_oauthcontrols.yaml_entries import DocumentError

from .support.configurations import BAD
from .support.documentation import blocks
from .support.editors import SAID, schema_accepts
from .support.logins import ACCESS_TOKEN, BAD_LOGINS, CLIENT, KEY, KEY_FILE, PASSWORD

CATALOGUE = load()


# What editors and the loader make of a text


@pytest.fixture(scope="module")
def loader_accepts(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bool]:
    """Return what tells whether the loader finds nothing wrong with a text."""
    path = tmp_path_factory.mktemp("configuration") / FILE_NAME

    def accepts(text: str) -> bool:
        path.write_text(text, "utf-8")
        try:
            load_configuration(path, FILE_NAME, CATALOGUE, (DEMO,))
        except DocumentError:
            return False
        return True

    return accepts


def dumped(section: str, *entries: dict[str, Any]) -> str:
    """Return a configuration with one section."""
    return yaml.safe_dump({section: list(entries)}, sort_keys=False)


def without(entry: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Return an entry without some of its keys."""
    return {key: value for key, value in entry.items() if key not in keys}


DAY = date(2027, 3, 31)
FACTOR = next(iter(CATALOGUE.factors))
WAIVER: dict[str, Any] = {
    "control": "ca-pkce",
    "app": "Nightly_*",
    "reason": "The client is replaced in spring.",
    "owner": "Jane Doe",
    "expires": DAY,
}
ATTESTATION: dict[str, Any] = {
    "control": "org-idp-mfa",
    "statement": "The login policy enforces it.",
    "by": "John Roe",
    "expires": DAY,
}
OVERRIDE: dict[str, Any] = {"control": "ca-pkce", "severity": "medium", "reason": "All of our clients are private."}
NO_CONDITIONS: list[Any] = [None, {}, [], "always"]
FACTOR_ATTESTED = {"factor": FACTOR, **without(ATTESTATION, "control")}
LOGINS = {key: {one.name: "x" for one in fields(method)} for key, method in _METHODS.items()}
OPTIONAL = {(key, one.name) for key, method in _METHODS.items() for one in fields(method) if one.default is not MISSING}
LOGIN_KEYS = sorted({key for login in LOGINS.values() for key in login})


def org(login: dict[str, Any]) -> str:
    """Return a configuration of one org."""
    return yaml.safe_dump({"orgs": {"prod": login}})


GOOD = [
    *(block for block in blocks("yaml") if block.startswith(f"# {FILE_NAME}")),
    *("", "# nothing yet\n", "---\n", "~\n", "{}\n", "\ufeffapps: []\n"),
    "orgs: {}\napps: []\ninventory: []\nwaivers: []\nattestations: []\n",
    *(org(login) for login in (ACCESS_TOKEN, CLIENT, KEY, KEY_FILE, PASSWORD, *LOGINS.values())),
    *(org(without(LOGINS[way], key)) for way, key in sorted(OPTIONAL)),
    "orgs: {1: {cli: x}, true: {cli: x}, json: {cli: x}, a.zip.b: {source: a/b.zip}, demo2: {cli: x}, D.: {cli: x}}\n",
    # Variables are looked up when an org is asked for.
    "orgs: {prod: {access_token: '${NOT_SET}', instance_url: 'no address'}}\n",
    "apps: [{app: '*', client_type: public}, {app: '*', purpose: cli}, {app: '*', allowed_scopes: []}]\n",
    yaml.safe_dump({"apps": [{"app": "A", "allowed_scopes": [*SCOPES, "OfflineAccess", "profile", "sfapiplatform"]}]}),
    yaml.safe_dump({"apps": [{"app": "A", "allowed_scopes": [*_SCOPE_BY_ALIAS, *map(str.upper, _SCOPE_BY_ALIAS)]}]}),
    "inventory: [{app: A}, {app: B, criticality: high, documents: [], gaps: None known.}]\n",
    *(f"gate: {gate}\n" for gate in GATES),
    dumped("waivers", WAIVER, WAIVER | {"org": "uat*", "ticket": "SEC-1204"}),
    dumped("waivers", WAIVER | {"control": "readable"}, without(WAIVER, "app") | {"control": "readable"}),
    dumped("waivers", without(WAIVER, "app") | {"control": "org-idp-mfa"}),
    dumped("waivers", WAIVER | {"expires": "2027-03-31"}, WAIVER | {"expires": "2028-02-29"}),
    dumped("attestations", ATTESTATION, ATTESTATION | {"org": "prod", "evidence": "https://wiki.example/mfa"}),
    dumped("attestations", ATTESTATION | {"control": "ca-pkce", "app": "*"}),
    dumped("attestations", FACTOR_ATTESTED, FACTOR_ATTESTED | {"app": "Nightly_*", "org": "prod"}),
    # Controls of a project's own, which tests may state
    *(dumped("waivers", waiver | {"control": "acme-rule"}) for waiver in (WAIVER, without(WAIVER, "app"))),
    dumped("attestations", ATTESTATION | {"control": "acme-rule-2"}),
    "controls: []\noverrides: []\nselect: []\nignore: []\n",
    dumped("overrides", OVERRIDE, OVERRIDE | {"control": "org-idp-mfa"}),
    dumped("overrides", {**without(OVERRIDE, "severity"), "not_applicable_when": {"client_type": {"is": "private"}}}),
    *(f"{key}: [core, shr, sbs, own, ca-pkce, 'eca-*', 'acme-*', acme-rule]\n" for key in ("select", "ignore")),
]

REFUSED = [
    *(text for text, _ in BAD),
    *(f"orgs:\n  prod:\n    {text}\n" for text, _, _ in BAD_LOGINS.values()),
    *(f"orgs: {said}\n" for said in ("", "[]", "prod", "{prod: }", "{prod: acme}", "{prod: []}", "{prod: {}}")),
    *(
        f"orgs: {{{name}: {{cli: x}}}}\n"
        for name in ("demo", "a/b", "a\\b", "x.zip", "x.json", "X.Zip", "./a", ".", "..")
    ),
    *(org(login | {key: said}) for login in LOGINS.values() for key in login for said in (None, " ", 7, ["A"])),
    *(org(without(login, key)) for way, login in LOGINS.items() for key in login if (way, key) not in OPTIONAL),
    *(org({key: "x"} | login) for login in LOGINS.values() for key in LOGIN_KEYS if key not in login),
    *(
        dumped("inventory", {"app": "A", key: said})
        for key in ("criticality", "gaps")
        for said in (None, " ", 7, ["A"])
    ),
    *(dumped("inventory", {"app": "A", "documents": said}) for said in (None, "A", [" "], [7], [None], [["A"]])),
    *(dumped("apps", {"app": "A", "allowed_scopes": said}) for said in (["Apis"], ["Ap"], [""], ["x-api"], [["Api"]])),
    *(f"gate: {said}\n" for said in ("", "High", "hihg", "[high]", "7", "''", "none", "always", "{low: }")),
    *(f"waivers: {said}\n" for said in ("", "{}", "all", "[ca-pkce]", "[[]]", "[{}]", "[~]")),
    *(f"attestations: {said}\n" for said in ("", "{}", "all", "[org-idp-mfa]", "[[]]", "[{}]", "[~]")),
    # A waiver
    *(dumped("waivers", without(WAIVER, key)) for key in WAIVER),
    *(dumped("waivers", WAIVER | {key: None}) for key in (*WAIVER, "org", "ticket")),
    *(dumped("waivers", WAIVER | {key: " "}) for key in (*WAIVER, "org", "ticket")),
    *(dumped("waivers", WAIVER | {key: ["A"]}) for key in (*WAIVER, "org", "ticket")),
    *(dumped("waivers", WAIVER | {key: "A"}) for key in ("factor", "by", "statement", "evidence", "apps", "until")),
    *(dumped("waivers", WAIVER | {"control": control}) for control in ("ca-pkcee", "CA-PKCE", "*", "org-idp-mfa")),
    *(dumped("waivers", WAIVER | {"control": "org-idp-mfa", "app": app}) for app in ("*", "", None)),
    dumped("waivers", WAIVER | {"control": "readable", "app": None}),
    dumped("waivers", WAIVER, WAIVER | {"owner": 7}),
    # A day
    *(
        dumped("waivers", WAIVER | {"expires": day})
        for day in (
            "2027-3-31",
            "20270331",
            "31.03.2027",
            "2027-W13-3",
            "2027-02-29",
            "2027-13-01",
            "2027-03-31 ",
            2027,
        )
    ),
    *(
        dumped("waivers", without(WAIVER, "expires")).replace("- ", f"- expires: {day}\n  ")
        for day in (
            "2027-02-29",
            "2027-03-31T00:00:00",
            "2027-03-31 00:00:00 +1",
            "20270331",
            "tomorrow",
            "[2027-03-31]",
        )
    ),
    # An attestation
    *(dumped("attestations", without(entry, key)) for entry in (ATTESTATION, FACTOR_ATTESTED) for key in entry),
    *(dumped("attestations", ATTESTATION | {key: None}) for key in (*ATTESTATION, "org", "evidence", "factor")),
    *(dumped("attestations", ATTESTATION | {key: ""}) for key in (*ATTESTATION, "org", "evidence", "factor")),
    *(dumped("attestations", ATTESTATION | {key: "A"}) for key in ("reason", "owner", "ticket", "apps", "app")),
    *(dumped("attestations", ATTESTATION | {"control": control}) for control in ("readable", "ca-pkce", FACTOR)),
    *(
        dumped("attestations", FACTOR_ATTESTED | {"factor": factor})
        for factor in ("no-such-factor", "ca-pkce", 7, None)
    ),
    *(dumped("attestations", FACTOR_ATTESTED | {key: None}) for key in ("app", "control", "evidence")),
    dumped("attestations", ATTESTATION | {"factor": FACTOR}),
    # Controls of a project's own, overrides and selections
    *(dumped("waivers", WAIVER | {"control": control}) for control in ("acme", "acme-", "ACME-rule", "org-rule")),
    dumped("waivers", WAIVER | {"control": FACTOR}),
    *(f"controls: {said}\n" for said in ("acme-rule.yaml", "[acme-rule]", "[acme-rule.yml]", "[7]", "[{}]")),
    "controls: [no-such-file.yaml]\n",
    *(dumped("overrides", without(OVERRIDE, key)) for key in OVERRIDE),
    *(dumped("overrides", OVERRIDE | {key: said}) for key in OVERRIDE for said in (None, " ", 7, ["A"])),
    *(dumped("overrides", OVERRIDE | {"control": control}) for control in ("readable", "acme-rule", "ca-pkcee")),
    *(dumped("overrides", OVERRIDE | {"not_applicable_when": said}) for said in NO_CONDITIONS),
    dumped("overrides", OVERRIDE | {"cvss": {"severity": "medium", "range": [4.0, 5.0]}}),
    dumped("overrides", OVERRIDE | {"not_applicable_when": {"client_tipe": {"is": "private"}}}),
    *(
        f"{key}: {said}\n"
        for key in ("select", "ignore")
        for said in ("core", "[cor]", "[readable]", "[ca-pkcee]", "[{}]", "[7]", "['']", "[ACME]")
    ),
    # More than a key or a value
    *("orgs: {prod: {cli: 1:30}}\n", "apps: [&a {app: A, purpose: iot}, {<<: *a, app: B}]\n"),
]

OTHER_FILES = "what stands in other files is not known to the schema"
CONDITION = "the vocabulary of conditions is the loader's"
TWICE = "editors look for keys that stand twice by themselves"
TEXT = "by YAML 1.2, which editors go by, it is a text"
MERGED = "editors put what << names in its place"
UNSEEN = {
    "apps:\n- app: A\n  purpose: iot\n  purpose: cli  # here\n": TWICE,
    "apps: []\ninventory: []\napps: []  # here\n": TWICE,
    "apps:\n- app: 2026-02-30  # here\n  purpose: iot\n": TEXT,
    "orgs:\n  prod:\n    cli: yes\n": TEXT,
    "orgs:\n  prod:\n    username: x\n    password: 2026-01-05\n": TEXT,
    "orgs: {prod: {cli: 1:30}}\n": TEXT,
    "controls: [no-such-file.yaml]\n": OTHER_FILES,
    dumped("overrides", OVERRIDE | {"not_applicable_when": {"client_tipe": {"is": "private"}}}): CONDITION,
    "apps: [&a {app: A, purpose: iot}, {<<: *a, app: B}]\n": MERGED,
}
"""What the loader refuses and a schema cannot know of, and why."""


def test_schema_is_one() -> None:
    """The schema is valid by the draft that it names, which is the newest that all editors know."""
    assert SAID["$schema"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(SAID)


def test_days_where_formats_are_not_checked() -> None:
    """Editors that know no formats still tell a day from another text."""
    validator = Draft7Validator(SAID)
    for day, right in (("2027-03-31", True), ("2027-3-31", False), ("20270331", False), ("2027-03-31T00:00", False)):
        assert validator.is_valid({"waivers": [WAIVER | {"expires": day}]}) == right


def test_every_key_is_described() -> None:
    """Editors have something to show for every key."""
    definitions = SAID["definitions"]
    described = {
        key: said.get("description") or definitions[said["$ref"].rpartition("/")[2]].get("description")
        for key, said in _keys(SAID)
    }
    assert {"gate", "expires", "private_key_file", "allowed_scopes", "evidence"} <= set(described)
    assert [key for key, said in described.items() if not said] == []


def _keys(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Find the keys that a part of the schema allows."""
    if isinstance(schema, dict):
        if "additionalProperties" in schema:
            yield from schema.get("properties", {}).items()
        for part in schema.values():
            yield from _keys(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _keys(part)


@pytest.mark.parametrize("text", GOOD, ids=count())
def test_what_the_loader_accepts(loader_accepts: Callable[[str], bool], text: str) -> None:
    """Loader and schema accept what is right, that which the README shows included."""
    assert loader_accepts(text)
    assert schema_accepts(text)


@pytest.mark.parametrize("text", REFUSED, ids=count())
def test_what_the_loader_refuses(loader_accepts: Callable[[str], bool], text: str) -> None:
    """Loader and schema refuse what is wrong, but for what a schema cannot know of."""
    assert not loader_accepts(text)
    assert schema_accepts(text) == (text in UNSEEN)


def test_exceptions_are_looked_at() -> None:
    """Each exception is among what is refused."""
    assert set(UNSEEN) <= set(REFUSED)


@pytest.mark.parametrize(
    "text",
    [
        # White space in quotes is folded by the loader, while the schema lists words to offer them.
        *("gate: ' low'\n", "apps: [{app: A, purpose: 'iot '}]\n", "apps: [{app: A, allowed_scopes: [' Api']}]\n"),
        # By YAML 1.2, which editors go by, these are numbers.
        *("orgs: {prod: {cli: 1e3}}\n", "apps: [{app: 0o7, purpose: iot}]\n"),
    ],
)
def test_what_the_schema_alone_refuses(loader_accepts: Callable[[str], bool], text: str) -> None:
    """Nothing that anybody writes is marked in an editor and accepted by the loader, but these are."""
    assert loader_accepts(text)
    assert not schema_accepts(text)


@pytest.mark.parametrize("control", [*(one.id for one in CATALOGUE.controls), READABLE.id])
def test_every_control(loader_accepts: Callable[[str], bool], control: str) -> None:
    """Loader and schema agree on whether a control can be waived and attested, with an app and without."""
    texts = [
        dumped(section, (entry | {"control": control}) if with_app else without(entry | {"control": control}, "app"))
        for section, entry in (("waivers", WAIVER), ("attestations", ATTESTATION | {"app": "*"}))
        for with_app in (True, False)
    ]
    accepted = [schema_accepts(text) for text in texts]
    assert any(accepted)
    assert accepted == [loader_accepts(text) for text in texts]


# Whatever is generated

TEXTS = st.sampled_from(["A", "Nightly_*", "two words", " wide ", "7", "2027-03-31", "${NAME}", "a\nb", "é"])
OF_APPS = st.sampled_from(["ca-pkce", "eca-scopes", "sbs-oauth-003"])
OF_ORG = st.sampled_from(["org-idp-mfa", "sbs-oauth-001"])
DAYS = st.dates() | st.dates().map(str)


def entries(required: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]) -> Any:
    """Return what generates a list of entries."""
    return st.lists(st.fixed_dictionaries(required, optional=optional), min_size=1, max_size=2)


def logins() -> Iterator[st.SearchStrategy[dict[str, str]]]:
    """Return what generates each way to log in."""
    for method in _METHODS.values():
        required = {one.name: TEXTS for one in fields(method) if one.default is MISSING}
        optional = {one.name: TEXTS for one in fields(method) if one.name not in required}
        yield st.fixed_dictionaries(required, optional=optional)


APP = {
    "client_type": st.sampled_from(CLIENT_TYPES),
    "purpose": st.sampled_from(PURPOSES),
    "allowed_scopes": st.lists(st.sampled_from([*SCOPES, *_SCOPE_BY_ALIAS]), max_size=2),
}
WAIVED = {"reason": TEXTS, "owner": TEXTS, "expires": DAYS}
ATTESTED = {"statement": TEXTS, "by": TEXTS, "expires": DAYS}

CONFIGURATIONS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "orgs": st.dictionaries(st.sampled_from(["uat", "prod", "7"]), st.one_of(*logins()), max_size=2),
        "apps": st.one_of([entries({"app": TEXTS, key: one}, **without(APP, key)) for key, one in APP.items()]),
        "inventory": entries(
            {"app": TEXTS},
            criticality=st.sampled_from(CRITICALITIES),
            documents=st.lists(TEXTS, max_size=2),
            gaps=TEXTS,
        ),
        "gate": st.sampled_from(GATES),
        "overrides": st.lists(
            st.fixed_dictionaries(
                {
                    "control": OF_APPS | OF_ORG,
                    "severity": st.sampled_from([one.value for one in Severity]),
                    "reason": TEXTS,
                }
            ),
            max_size=2,
            unique_by=lambda one: one["control"],
        ),
        **dict.fromkeys(
            ("select", "ignore"),
            st.lists(st.sampled_from([*FRAMEWORKS, "ca-pkce", "acme-rule", "*-pkce", "[ab]*"]), max_size=2),
        ),
        "waivers": entries({"control": OF_APPS, "app": TEXTS, **WAIVED}, org=TEXTS, ticket=TEXTS)
        | entries({"control": OF_ORG, **WAIVED}, org=TEXTS, ticket=TEXTS)
        | entries({"control": st.just("readable"), **WAIVED}, app=TEXTS, org=TEXTS),
        "attestations": entries({"control": OF_APPS, "app": TEXTS, **ATTESTED}, org=TEXTS, evidence=TEXTS)
        | entries({"control": OF_ORG, **ATTESTED}, org=TEXTS, evidence=TEXTS)
        | entries({"factor": st.sampled_from(list(CATALOGUE.factors)), **ATTESTED}, app=TEXTS, org=TEXTS),
    },
)
KEYS = sorted({key for key, _ in _keys(SAID)})
WORDS = ["readable", "ca-pkce", "org-idp-mfa", FACTOR, "high", "server", "private", "Api", "2027-02-29", "demo", "a/b"]
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, 7, 1.5, True, "other", *WORDS]),
    st.text(" \tA*", max_size=2).filter(lambda text: text == text.strip() or not text.strip()),
    st.builds(list),
    st.builds(dict),
    st.lists(st.sampled_from([None, "A", "Api"]), max_size=2),
)


@st.composite
def broken(draw: st.DrawFn) -> dict[str, Any]:
    """Generate a configuration of which keys were dropped or added, or values replaced, at one place or two."""
    configuration = deepcopy(draw(CONFIGURATIONS))
    for _ in range(draw(st.integers(1, 2))):
        holder = draw(st.sampled_from(list(_holders(configuration))))
        places = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        change = draw(st.sampled_from(["drop", "replace", "add"] if places else ["add"]))
        if change == "drop":
            del holder[draw(st.sampled_from(places))]
        elif change == "replace":
            holder[draw(st.sampled_from(places))] = draw(VALUES)
        elif isinstance(holder, dict):
            holder[draw(st.sampled_from([*KEYS, *WORDS]))] = draw(VALUES)
        else:
            holder.append(draw(VALUES))
    return configuration


def _holders(value: Any) -> Iterator[Any]:
    """Find the mappings and lists."""
    if isinstance(value, (dict, list)):
        yield value
        for part in value.values() if isinstance(value, dict) else value:
            yield from _holders(part)


@pytest.mark.slow
@settings(derandomize=True, deadline=None, max_examples=200)
@given(configuration=CONFIGURATIONS)
def test_right_configurations(loader_accepts: Callable[[str], bool], configuration: dict[str, Any]) -> None:
    """Loader and schema accept what is put together from right parts."""
    text = yaml.safe_dump(configuration)
    assert loader_accepts(text)
    assert schema_accepts(text)


@pytest.mark.slow
@settings(derandomize=True, deadline=None, max_examples=500)
@given(configuration=broken())
def test_broken_configurations(loader_accepts: Callable[[str], bool], configuration: dict[str, Any]) -> None:
    """Loader and schema agree on what was broken, whether it still is a configuration or not."""
    text = yaml.safe_dump(configuration)
    assert schema_accepts(text) == loader_accepts(text)
