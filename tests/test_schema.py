"""What editors, the documentation and the loader say about oauthcontrols.yaml is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import fields
from datetime import date
from itertools import count
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from pytest_oauthcontrols.config.configuration import load as load_configuration
from pytest_oauthcontrols.config.description import FILE_NAME, KEYS, WAYS_TO_LOG_IN
from pytest_oauthcontrols.config.kinds import Key
from pytest_oauthcontrols.orgs.metadata_types import CONNECTED_APP, EXTERNAL_CLIENT_APP, SCOPES, fields_of
from pytest_oauthcontrols.rules.catalogue import load
from pytest_oauthcontrols.rules.finding import READABLE
from pytest_oauthcontrols.yaml_entries import DocumentError

from .support.configurations import BAD
from .support.documentation import blocks
from .support.editors import SAID, schema_accepts
from .support.logins import ACCESS_TOKEN, BAD_LOGINS, CLIENT, KEY, KEY_FILE, PASSWORD
from .support.reference import PAGE_OF_KEYS

CATALOGUE = load()


@pytest.fixture(scope="module")
def loader_accepts(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bool]:
    """Return what tells whether the loader finds nothing wrong with a text."""
    path = tmp_path_factory.mktemp("configuration") / FILE_NAME

    def accepts(text: str) -> bool:
        path.write_text(text, "utf-8")
        try:
            load_configuration(path, FILE_NAME, CATALOGUE)
        except DocumentError:
            return False
        return True

    return accepts


def test_schema_is_valid() -> None:
    """The schema is valid by the draft that it names, which is the newest that all editors know."""
    assert SAID["$schema"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(SAID)


def test_every_key_is_described() -> None:
    """Editors have a sentence to show for every key, and the reference lists it."""
    reference = PAGE_OF_KEYS.read_text("utf-8").partition("<!-- keys -->")[2]
    for name, key in _keys():
        assert key.description.endswith("."), name
        assert f"`{name}`" in reference


def _keys() -> Iterator[tuple[str, Key]]:
    yield from KEYS.items()
    for group in (*(key.kind.keys for key in KEYS.values()), *(way.keys for way in WAYS_TO_LOG_IN.values())):
        yield from group.items()


def test_every_login_is_made_of_its_keys() -> None:
    """A way to log in has the keys that its credentials have fields for."""
    for way in WAYS_TO_LOG_IN.values():
        assert list(way.keys) == [field.name for field in fields(way.credentials)]


@pytest.mark.parametrize(("section", "group"), [("apps", "declared"), ("inventory", "inventory")])
def test_what_is_said_about_an_app_is_a_setting(section: str, group: str) -> None:
    """Controls can ask for every key of an app and of the inventory."""
    for kind in (CONNECTED_APP, EXTERNAL_CLIENT_APP):
        settings_of_group = {name for name in fields_of(kind) if name.startswith(f"{group}.")}
        assert settings_of_group == {f"{group}.{name}" for name in KEYS[section].kind.keys} - {f"{group}.app"}


# What is right


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
FACTOR_ATTESTED = {"factor": FACTOR, **without(ATTESTATION, "control")}
OVERRIDE: dict[str, Any] = {"control": "ca-pkce", "severity": "medium", "reason": "All of our clients are private."}

GOOD = [
    *(block for block in blocks("yaml") if block.startswith(f"# {FILE_NAME}")),
    *("", "# nothing yet\n", "---\n", "~\n", "{}\n", "\ufeffapps: []\n"),
    "orgs: {}\napps: []\ninventory: []\nwaivers: []\nattestations: []\ncontrols: []\noverrides: []\nselect: []\n",
    *(yaml.safe_dump({"orgs": {"prod": login}}) for login in (ACCESS_TOKEN, CLIENT, KEY, KEY_FILE, PASSWORD)),
    "orgs: {1: {cli: x}, true: {cli: x}, json: {cli: x}, a.zip.b: {source: a/b.zip}, demo2: {cli: x}, D.: {cli: x}}\n",
    # Variables are looked up when an org is asked for.
    "orgs: {prod: {access_token: '${NOT_SET}', instance_url: 'no address'}}\n",
    *(f"orgs: {{prod: {{username: a, password: '{said}'}}}}\n" for said in ("a$b", "$1", "$a b", "x${A}${B} y", "${")),
    yaml.safe_dump({"apps": [{"app": "A", "allowed_scopes": [*SCOPES, "OfflineAccess", "profile", "SFAPIPLATFORM"]}]}),
    "inventory: [{app: A}, {app: B, criticality: high, documents: [], gaps: None known.}]\n",
    *(f"gate: {gate}\n" for gate in ("high", "never", "high in context")),
    dumped("waivers", WAIVER | {"org": "uat*", "ticket": "SEC-1204"}, WAIVER | {"expires": "2028-02-29"}),
    dumped("waivers", WAIVER | {"control": "readable"}, without(WAIVER, "app") | {"control": "readable"}),
    dumped("attestations", ATTESTATION, FACTOR_ATTESTED, FACTOR_ATTESTED | {"app": "Nightly_*", "org": "prod"}),
    # Controls of a project's own, which tests may state
    *(dumped("waivers", waiver | {"control": "acme-rule"}) for waiver in (WAIVER, without(WAIVER, "app"))),
    dumped("overrides", OVERRIDE, OVERRIDE | {"control": "org-idp-mfa"}),
    dumped("overrides", {**without(OVERRIDE, "severity"), "not_applicable_when": {"client_type": {"is": "private"}}}),
    *(f"{key}: [core, shr, sbs, own, ca-pkce, 'eca-*', 'acme-*', acme-rule]\n" for key in ("select", "ignore")),
]


@pytest.mark.parametrize("text", GOOD, ids=count())
def test_what_is_right(loader_accepts: Callable[[str], bool], text: str) -> None:
    """Loader and editors accept what is right, every example of the documentation included."""
    assert loader_accepts(text)
    assert schema_accepts(text)


@pytest.mark.parametrize("control", [*(control.id for control in CATALOGUE.controls), READABLE.id])
def test_every_control(loader_accepts: Callable[[str], bool], control: str) -> None:
    """Loader and editors agree on whether a control can be waived and attested, with an app and without."""
    texts = [
        dumped(section, (entry | {"control": control}) if with_app else without(entry | {"control": control}, "app"))
        for section, entry in (("waivers", WAIVER), ("attestations", ATTESTATION | {"app": "*"}))
        for with_app in (True, False)
    ]
    accepted = [schema_accepts(text) for text in texts]
    assert any(accepted)
    assert accepted == [loader_accepts(text) for text in texts]


# What is wrong

TWICE = "editors look for repeated keys by themselves"
TEXT = "by YAML 1.2, which editors go by, it is a text"
UNSEEN = {
    "apps:\n- app: A\n  purpose: iot\n  purpose: cli  # here\n": TWICE,
    "apps: []\ninventory: []\napps: []  # here\n": TWICE,
    "apps:\n- app: 2026-02-30  # here\n  purpose: iot\n": TEXT,
    "orgs:\n  prod:\n    cli: yes\n": TEXT,
    "orgs:\n  prod:\n    username: x\n    password: 2026-01-05\n": TEXT,
    "controls: [no-such-file.yaml]\n": "a schema does not know other files",
    dumped("overrides", OVERRIDE | {"not_applicable_when": {"client_tipe": {"is": "private"}}}): "nor conditions",
    "apps: [&a {app: A, purpose: iot}, {<<: *a, app: B}]\n": "editors put what << names in its place",
}
"""What the loader refuses and a schema cannot know of, and why."""

REFUSED = [
    *(text for text, _ in BAD),
    *(f"orgs:\n  prod:\n    {text}\n" for text, _, _ in BAD_LOGINS.values()),
    *(f"orgs: {{{name}: {{cli: x}}}}\n" for name in ("demo", "a/b", "a\\b", "X.Zip", "./a", ".", "..")),
    *(f"gate: {gate}\n" for gate in ("", "High", "[high]", "''", "always", "never in context", "high in  contexts")),
    *(
        dumped("waivers", WAIVER | {"expires": day})
        for day in ("2027-3-31", "20270331", "2027-W13-3", "2027-02-29", "2027-03-31 ", 2027)
    ),
    *(dumped("waivers", WAIVER | {"control": control}) for control in ("CA-PKCE", "*", "acme", "org-rule", FACTOR)),
    *(dumped("attestations", ATTESTATION | {"control": control}) for control in ("readable", "ca-pkce", FACTOR)),
    dumped("attestations", ATTESTATION | {"factor": FACTOR}),
    dumped("attestations", without(ATTESTATION, "control")),
    *(f"controls: {files}\n" for files in ("acme-rule.yaml", "[acme-rule]", "[acme-rule.yml]")),
    dumped("overrides", without(OVERRIDE, "severity")),
    *(f"overrides: [{{control: ca-pkce, reason: r, not_applicable_when: {said}}}]\n" for said in ("", "{}", "[]", "x")),
    *(f"{key}: {names}\n" for key in ("select", "ignore") for names in ("core", "[cor]", "[readable]", "[ACME]")),
    *UNSEEN,
]


@pytest.mark.parametrize("text", dict.fromkeys(REFUSED), ids=count())
def test_what_is_wrong(loader_accepts: Callable[[str], bool], text: str) -> None:
    """Loader and editors refuse what is wrong, but for what a schema cannot know of."""
    assert not loader_accepts(text)
    assert schema_accepts(text) == (text in UNSEEN)


@pytest.mark.parametrize(
    "text",
    [
        # White space in quotes is folded by the loader, while the schema lists words to offer them.
        *("gate: ' low'\n", "apps: [{app: A, purpose: 'iot '}]\n", "apps: [{app: A, allowed_scopes: [' Api']}]\n"),
        # By YAML 1.2, which editors go by, these are numbers.
        *("orgs: {prod: {cli: 1e3}}\n", "apps: [{app: 0o7, purpose: iot}]\n"),
    ],
)
def test_what_editors_alone_refuse(loader_accepts: Callable[[str], bool], text: str) -> None:
    """Nothing that anybody writes is marked in an editor and accepted by the loader, but these are."""
    assert loader_accepts(text)
    assert not schema_accepts(text)


# Whatever the description allows

CONDITION = {"factor.mfa": True}
IDS = ["ca-pkce", "eca-scopes", "org-idp-mfa", "sbs-oauth-001", "readable", "acme-rule", "ca-pkcee"]
VALUES: dict[str, list[Any]] = {
    "text": ["A", "Nightly_*", "two words", " wide ", "7", "2027-03-31", "${NAME}", "a\nb", "é"],
    "secret": ["A", "${NAME}", "$NAME", "${NAME:-x}", "${NAME}-${NAME:-x}", "${"],
    "day, such as `2027-03-31`": [DAY, str(DAY), "2027-02-29"],
    "id of a control": IDS,
    "risk factor": list(CATALOGUE.factors),
    "[condition](6-extending.md#conditions)": [CONDITION],
    "list of texts": [[], ["A"], ["A", "two words"]],
    "list of usernames": [[], ["jane@acme.example"]],
    "mapping": [{}, {"api_enabled": []}],
    "list of OAuth scopes": [[], ["Api"], ["offlineaccess", "WEB"], ["Apis"]],
    "list of paths": [[]],
    "list of ids, shell patterns for ids, and frameworks": [[], ["core", "*-pkce"], ["acme-rule"], ["[ab]*", "cor"]],
    "`true`, `false`": [True, False],
}
"""Kinds, by what the documentation calls them, to values."""


def values(key: Key) -> st.SearchStrategy[Any]:
    """Return what generates values of a key, most of them right."""
    if key.kind.keys:
        # Of two overrides of one control the loader refuses the second, which a schema cannot.
        return st.lists(mappings(key.kind.keys), max_size=1)
    if key is KEYS["orgs"]:
        ways = [mappings(way.keys) for way in WAYS_TO_LOG_IN.values()]
        return st.dictionaries(st.sampled_from(["uat", "prod", "7"]), st.one_of(ways), max_size=2)
    return st.sampled_from(key.kind.schema.get("enum") or VALUES[key.kind.words])


def mappings(keys: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Return what generates mappings with the required keys, and some of the others."""
    required = {name: values(key) for name, key in keys.items() if key.required}
    return st.fixed_dictionaries(
        required, optional={name: values(key) for name, key in keys.items() if name not in required}
    )


NAMES = sorted({name for name, _ in _keys()})
WORDS = ["readable", "ca-pkce", "org-idp-mfa", FACTOR, "high", "server", "private", "Api", "2027-02-29", "demo", "a/b"]
ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, 7, 1.5, True, "other", *WORDS]),
    st.sampled_from(["", " ", "\t", "A", "*"]),
    st.builds(list),
    st.builds(dict),
    st.lists(st.sampled_from([None, "A", "Api"]), max_size=2),
)


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """Generate a configuration of which keys were dropped or added, or values replaced, at up to two places."""
    configuration = deepcopy(draw(mappings(KEYS)))
    for _ in range(draw(st.integers(0, 2))):
        holder = draw(st.sampled_from(list(_holders(configuration))))
        places = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        change = draw(st.sampled_from(["drop", "replace", "add"] if places else ["add"]))
        if change == "drop":
            del holder[draw(st.sampled_from(places))]
        elif change == "replace":
            holder[draw(st.sampled_from(places))] = draw(ANYTHING)
        elif isinstance(holder, dict):
            holder[draw(st.sampled_from([*NAMES, *WORDS]))] = draw(ANYTHING)
        else:
            holder.append(draw(ANYTHING))
    return configuration


def _holders(value: Any) -> Iterator[Any]:
    """Find the mappings and lists; a schema knows nothing of what is in a condition."""
    if isinstance(value, (dict, list)) and value != CONDITION:
        yield value
        for part in value.values() if isinstance(value, dict) else value:
            yield from _holders(part)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(configuration=configurations())
def test_whatever_is_written(loader_accepts: Callable[[str], bool], configuration: dict[str, Any]) -> None:
    """Loader and editors agree on every key and kind of the description, whether the file is right or not."""
    text = yaml.safe_dump(configuration)
    assert schema_accepts(text) == loader_accepts(text)
