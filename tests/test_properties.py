"""What holds whatever a file, a name or a text is: the parser, archives, policies, ids, escaping and what is kept."""

from __future__ import annotations

import io
import json
import ntpath
import pickle
import posixpath
import re
import shlex
import zipfile
from datetime import date, datetime, timedelta, timezone
from itertools import permutations, product
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit
from xml.sax.saxutils import escape

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml import html

from pytest_oauthcontrols import yaml_entries
from pytest_oauthcontrols.decisions import baseline
from pytest_oauthcontrols.decisions.assessment import Assessment, node_id
from pytest_oauthcontrols.decisions.baseline import Baseline, Change, Earlier, Key, org_key
from pytest_oauthcontrols.decisions.gate import Decisions
from pytest_oauthcontrols.decisions.waivers import Attestation, Scope, Waiver
from pytest_oauthcontrols.orgs.metadata_types import (
    CONNECTED_APP,
    EXTERNAL_CLIENT_APP,
    METADATA_TYPES,
    OAUTH_POLICIES,
    SCOPES,
    Field,
    MetadataType,
)
from pytest_oauthcontrols.orgs.model import App, Org, Seen, Unreadable
from pytest_oauthcontrols.reports import audit, markdown, sarif
from pytest_oauthcontrols.rules.catalogue import load
from pytest_oauthcontrols.rules.cvss import Severity
from pytest_oauthcontrols.rules.finding import shown_value
from pytest_oauthcontrols.rules.predicates import PREDICATES
from pytest_oauthcontrols.rules.truth import Truth, greatest, negated
from pytest_oauthcontrols.sources.archive import metadata_files, open_archive
from pytest_oauthcontrols.sources.assembly import Origin, assemble
from pytest_oauthcontrols.sources.parser import Component, MetadataFile, SourceError, UnreadableFile, parse

from .support.metadata_files import CERTIFICATE

CATALOGUE = load()
TAKEN_AT = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
NAMESPACE = "http://soap.sforce.com/2006/04/metadata"
PLANTED = "planted-5c07e1"
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=30)
UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
IN_FILES = sorted((known for known in METADATA_TYPES.values() if known.suffix), key=lambda known: known.name)


# Metadata files: what was written is what is read


class Draft:
    """A metadata file while it is written, with what it says."""

    def __init__(self) -> None:
        self.text = ""
        self.says: dict[str, tuple[Any, int]] = {}
        """Setting to its value, and the line of its first element."""
        self.secret_line: int | None = None

    @property
    def line(self) -> int:
        """The line that is written."""
        return self.text.count("\n") + 1

    def says_too(self, name: str, value: Any) -> None:
        """Note what the next element says; elements of a list add up, and what they say again counts once."""
        before, line = self.says.get(name, ((), self.line))
        self.says[name] = (tuple(dict.fromkeys(before + value)) if isinstance(value, tuple) else value, line)


XML_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co"]), min_size=1, max_size=12)
"""Text that is no white space at either end, as values of settings are."""
SCOPE_SYNONYMS = {"OfflineAccess": "RefreshToken", "Profile": "Basic", "SFApiPlatform": "SFAP", "api": "Api"}
RANGES = {
    ("10.0.0.1", "10.0.0.9"): "10.0.0.1-10.0.0.9",
    ("::1", "::FFFF"): "::1-::ffff",
    ("198.51.100.0", "198.51.100.0"): "198.51.100.0-198.51.100.0",
}
PLACEHOLDERS = ("***", "xxxx", "[REDACTED]", "${CONSUMER_SECRET}", "{{secret}}", "__SECRET__")
"""What can stand for a secret without being one."""
NOISE = ("", "\n", "  \n\t", "<!-- <isPkceRequired>true</isPkceRequired> -->", "<?pi true?>", "\r\n")


def texts_of(known: Field) -> st.SearchStrategy[tuple[str, Any]]:
    """Return texts that an element can have, each with the value that it stands for."""
    trimmed = XML_TEXT.filter(lambda text: text == text.strip())
    if known.type == "boolean":
        return st.sampled_from([("true", True), ("1", True), ("false", False), ("0", False)])
    if known.type == "integer":
        return st.integers(1 - 10**15, 10**15 - 1).map(lambda number: (str(number), number))
    if known.type == "scopes":
        names = st.sampled_from([(scope, scope) for scope in SCOPES]) | st.sampled_from(sorted(SCOPE_SYNONYMS.items()))
        return st.lists(names, min_size=1, max_size=3).map(
            lambda some: (", ".join(name for name, _ in some), tuple(scope for _, scope in some))
        )
    if known.type == "list":
        if known.separator:
            words = st.lists(st.from_regex("[a-z:/.]{1,9}", fullmatch=True), min_size=1, max_size=3)
            return words.map(lambda some: (known.separator.join(some), tuple(some)))
        return trimmed.map(lambda text: (text, (text,)))
    others: dict[str, st.SearchStrategy[tuple[str, Any]]] = {
        "certificate": st.just((CERTIFICATE, CERTIFICATE)),
        "secret": st.sampled_from([(text, None) for text in (PLANTED, *PLACEHOLDERS)]),
    }
    return others.get(known.type, trimmed.map(lambda text: (text, text)))


def spelled(draw: st.DrawFn, text: str) -> str:
    """Return a text as XML: some characters as references, in a CDATA section, or with a comment in the middle."""
    way = draw(st.sampled_from(["plain", "references", "cdata", "comment"]))
    if way == "references":
        return "".join(f"&#x{ord(char):x};" for char in text)
    if way == "cdata" and "]]>" not in text:
        return f"<![CDATA[{text}]]>"
    if way == "comment":
        middle = draw(st.integers(0, len(text)))
        return f"{escape(text[:middle])}<!-- - -->{escape(text[middle:])}"
    return escape(text)


def write_element(draw: st.DrawFn, draft: Draft, known: MetadataType, path: str, prefix: str) -> None:
    """Write the element of a setting, and note what it says."""
    spec, tag, name = known.fields[path], prefix + path.rpartition(".")[2], f"{known.prefix}{path}"
    if spec.type == "object":
        draft.says_too(name, "present")
        draft.text += f"<{tag}>"
        write_children(draw, draft, known, path, prefix)
        draft.text += f"</{tag}>"
        return
    if spec.type == "ranges":
        (first, last), value = draw(st.sampled_from(sorted(RANGES.items())))
        draft.says_too(name, (value,))
        ends = [f"<{prefix}start>{first}</{prefix}start>", f"<{prefix}end>{last}</{prefix}end>"]
        draft.text += f"<{tag}>{''.join(draw(st.permutations(ends)))}</{tag}>"
        return
    text, value = draw(texts_of(spec))
    if draw(st.integers(0, 9)) == 0:
        draft.text += f"<{tag}> \n</{tag}>"
        return
    if spec.type != "secret":
        draft.says_too(name, value)
    elif text not in PLACEHOLDERS:
        draft.secret_line = draft.line
    before, after = draw(st.sampled_from(["", " ", "\n\t"])), draw(st.sampled_from(["", "\n", "\t "]))
    draft.text += f"<{tag}>{before}{spelled(draw, text)}{after}</{tag}>"


def write_unknown(draw: st.DrawFn, draft: Draft, known: MetadataType, path: str, prefix: str) -> None:
    """Write elements that say nothing of any setting, though some are named like one or hold a secret."""
    tag = draw(st.sampled_from([path.rpartition(".")[2] or "isPkceRequired", "isPkceRequired", "scopes"]))
    key = draw(st.sampled_from(["consumerKey", "consumerSecret", "password", "signingKey"]))
    if key == "consumerSecret" and path in ("", "oauthConfig"):
        draft.secret_line = draft.line
    planted = draw(st.sampled_from([PLANTED, f"<![CDATA[ {PLANTED} ]]>", f"<!-- - -->{PLANTED}"]))
    draft.text += f"<{prefix}{key}>{planted}</{prefix}{key}>"
    draft.text += draw(
        st.sampled_from(
            [
                f"<{prefix}unheardOf><{prefix}{tag}>true</{prefix}{tag}></{prefix}unheardOf>",
                f"<{prefix}unheardOf {tag}='true' label='x'>true</{prefix}unheardOf>",
                f"<o:{tag} xmlns:o='urn:other'>true</o:{tag}>",
                f"<{prefix}{tag}X>true</{prefix}{tag}X>",
            ]
        )
    )


def write_children(draw: st.DrawFn, draft: Draft, known: MetadataType, parent: str, prefix: str) -> None:
    """Write some of the elements below one, in any order, with anything in between."""
    below = [path for path, spec in known.fields.items() if path.rpartition(".")[0] == parent and spec.type != "secret"]
    some = draw(st.lists(st.sampled_from(below), unique=True, max_size=6)) if below else []
    again = [path for path in some if known.fields[path].type in ("list", "scopes", "ranges")]
    for path in draw(st.permutations([*some, *again, *draw(st.lists(st.just(""), max_size=2))])):
        draft.text += draw(st.sampled_from(NOISE))
        if path:
            write_element(draw, draft, known, path, prefix)
        else:
            write_unknown(draw, draft, known, parent, prefix)
    draft.text += draw(st.sampled_from(NOISE))


@st.composite
def drafts(draw: st.DrawFn, known: MetadataType) -> Draft:
    """Return a metadata file of a type."""
    draft = Draft()
    prefix = draw(st.sampled_from(["", "", "m:"]))
    declared = draw(st.sampled_from([f' xmlns="{NAMESPACE}"', ""])) if not prefix else f' xmlns:m="{NAMESPACE}"'
    draft.text = draw(st.sampled_from(["", '<?xml version="1.0" encoding="UTF-8"?>\n', "\n<!-- first -->\n"]))
    draft.text = draft.text.lstrip("\n") + f"<{prefix}{known.name}{declared}>"
    if known.parent:
        draft.text += f"\n<{prefix}{known.parent}>Ledger</{prefix}{known.parent}>"
    write_children(draw, draft, known, "", prefix)
    draft.text += f"</{prefix}{known.name}>"
    return draft


@pytest.mark.parametrize("known", IN_FILES, ids=lambda known: str(known.name))
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_what_a_file_says_is_what_is_read(known: MetadataType, data: st.DataObject) -> None:
    """Settings have the values and lines that were written, none is made up, and no key or secret is kept."""
    draft = data.draw(drafts(known))
    found = parse(draft.text.encode(), "x/App.file")
    assert found is not None
    assert found.type is known
    assert found.parent == ("Ledger" if known.parent else None)
    read = {name: seen(setting) for name, setting in found.settings.items()}
    assert read == draft.says
    assert {setting.source for setting in found.settings.values() if isinstance(setting, Seen)} <= {"x/App.file"}
    assert PLANTED not in repr(found)
    assert found.secret_line == draft.secret_line


def seen(setting: Seen | Unreadable) -> tuple[Any, int | None]:
    """Return value and line of a setting, which has to be readable; what a list says again counts once."""
    assert isinstance(setting, Seen), setting
    value = setting.value
    return tuple(dict.fromkeys(value)) if isinstance(value, tuple) else value, setting.line


TAGS = sorted(
    {tag for known in IN_FILES for path in known.fields for tag in path.split(".")}
    | {known.name for known in IN_FILES}
    | {"start", "end", "consumerSecret", "externalClientApplication", "connectedApp", "unheardOf"}
)


TREE_TEXTS = ("", "true", "false", "perhaps", "30", "Full", "10.0.0.1", "9" * 40, "\u00e9 \u2028")


@st.composite
def trees(draw: st.DrawFn) -> str:
    """Return XML of known and unknown elements, nested in any way, each on a line of its own."""
    known = draw(st.sampled_from(IN_FILES))

    def element(path: str, depth: int) -> str:
        below = [one for one in known.fields if one.rpartition(".")[0] == path]
        fits = draw(st.booleans())
        full = draw(st.sampled_from(below if below and fits else TAGS))
        text: str = draw(st.sampled_from(TREE_TEXTS))
        inner = [element(full, depth + 1) for _ in range(draw(st.integers(0, 2 if depth < 2 else 0)))]
        tag = full.rpartition(".")[2]
        return f"<{tag}>{text}{''.join(chr(10) + one for one in inner)}</{tag}>"

    elements = "\n".join(element("", 0) for _ in range(draw(st.integers(0, 6))))
    parent = f"<{known.parent}>Ledger</{known.parent}>" if known.parent else ""
    return f'<{known.name} xmlns="{NAMESPACE}">{parent}\n{elements}</{known.name}>'


@given(trees())
@settings(max_examples=200, deadline=None)
def test_any_tree_is_read_or_named(text: str) -> None:
    """However elements are put together, a file is read or named with a line, and what is seen stands in that line."""
    try:
        found = parse(text.encode(), "App.settings")
    except UnreadableFile as error:
        assert re.match(r"App\.settings:[0-9]+: ", str(error))  # noqa: PT017  (not every file is refused)
        return
    assert isinstance(found, Component)
    lines = text.split("\n")
    for name, setting in found.settings.items():
        tag = f"<{name.rpartition('.')[2]}>"
        if isinstance(setting, Seen):
            assert setting.line is not None
            assert tag in lines[setting.line - 1]
            line = lines[setting.line - 1]
            assert f"{tag}{shown_value(setting.value)}" in line or not isinstance(setting.value, bool)
            assert all(part in text for part in _parts(setting.value))
        else:
            named = re.match(r"App\.settings:([0-9]+): ", setting.reason)
            assert named is not None
            assert tag in lines[int(named[1]) - 1]


def _parts(value: Any) -> list[str]:
    """Return the texts that a value is made of; that an element is there is no text."""
    if isinstance(value, tuple):
        return [part for one in value for part in re.split("-(?=[0-9])", one)]
    return [] if value == "present" or isinstance(value, bool) else [str(value)]


# Archives


PARTS = ("..", ".", "", "a", "C:", "c:x", "connectedApps", " ..", "...", "x.connectedApp", "Ü.eca-meta.xml", "~")


@given(
    st.lists(st.lists(st.sampled_from(PARTS), min_size=1, max_size=5), max_size=3, unique_by=tuple),
    st.sampled_from(["/", "\\"]),
)
@settings(max_examples=300, deadline=None)
def test_no_name_leads_out_of_an_archive(names: list[list[str]], separator: str) -> None:
    """An archive with a name that leaves its folder, on any system, is refused; of others nothing is."""
    joined = [separator.join(name) for name in names]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in joined:
            member = zipfile.ZipInfo("x")
            member.filename = name
            archive.writestr(member, b"")
    leads_out = [name for name in joined if leaves(posixpath, name.replace("\\", "/")) or leaves(ntpath, name)]
    found = None
    try:
        with open_archive(content, "org.zip") as archive:
            found = list(metadata_files(archive, "org.zip"))
    except SourceError as error:
        assert str(error).startswith("org.zip: ")  # noqa: PT017  (not every archive is refused)
    assert found is None or not leads_out
    if not any(part in ("..", "") or ":" in part for name in names for part in name):
        assert found is not None
        assert [file.relative for file in found] == [
            "/".join(name)
            for name in names
            if name[-1].endswith((".connectedApp", ".eca-meta.xml")) and not any(one[0] == "." for one in name[:-1])
        ]


def leaves(path: Any, name: str) -> bool:
    """Tell whether a name leaves the folder that it is joined with, by the rules of a system."""
    base = {posixpath: "/base/folder", ntpath: "D:\\base\\folder"}[path]
    joined = path.normpath(path.join(base, name))
    return bool(joined != base and not joined.startswith(base + path.sep))


# How long refresh tokens live


LIMITS = {
    "refresh_tokens_expire_within_90_days": timedelta(days=90),
    "refresh_tokens_expire_within_24_hours": timedelta(hours=24),
}
UNITS = {"HOURS": timedelta(hours=1), "DAYS": timedelta(days=1), "MONTHS": timedelta(days=30)}


def app_of(type_name: str, inner: str) -> App:
    """Return an app with what stands in one file."""
    known = next(one for one in METADATA_TYPES.values() if one.name == type_name)
    own = "ConnectedApp" if known.subject == CONNECTED_APP else "ExternalClientApplication"
    parent = f"<{known.parent}>App</{known.parent}>" if known.parent else ""
    content = {own: "", type_name: parent + inner}
    files = [
        MetadataFile(f"{name}.f", f"App.{name}", lambda text=f"<{name}>{text}</{name}>": text.encode())  # type: ignore[misc]  # the default binds the loop's text
        for name, text in content.items()
    ]
    (app,) = assemble(Origin("uat", "directory", "force-app", TAKEN_AT), files).apps
    return app


def expires(limit: str, app: App) -> bool:
    """Tell whether refresh tokens of an app are seen to expire in time."""
    return PREDICATES[limit](app, app.org)[0] is Truth.TRUE


def connected(policy: str) -> App:
    """Return a connected app with a policy."""
    return app_of(
        "ConnectedApp", f"<oauthPolicy><refreshTokenPolicy>{escape(policy)}</refreshTokenPolicy></oauthPolicy>"
    )


def external(kind: str, period: str = "", unit: str = "") -> App:
    """Return an external client app with a policy; what is empty is left out."""
    said = {"refreshTokenPolicyType": kind, "refreshTokenValidityPeriod": period, "refreshTokenValidityUnit": unit}
    return app_of(OAUTH_POLICIES, "".join(f"<{tag}>{escape(text)}</{tag}>" for tag, text in said.items() if text))


@given(
    limit=st.sampled_from(sorted(LIMITS)),
    period=st.none() | st.integers(0, 10**9 - 1),
    beyond=st.integers(-2, 2),
    unit=st.sampled_from(sorted(UNITS)),
    kind=st.sampled_from(["lifetime", "inactivity"]),
    spell=st.sampled_from([str, str.lower, str.title, str.swapcase]),
)
@settings(max_examples=300, deadline=None)
def test_a_lifetime_is_within_its_limit(
    limit: str, period: int | None, beyond: int, unit: str, kind: str, spell: Any
) -> None:
    """A lifetime passes up to its limit, in either notation and any case; inactivity, however short, never does."""
    if period is None:
        period = max(0, LIMITS[limit] // UNITS[unit] + beyond)
    in_time = kind == "lifetime" and period <= LIMITS[limit] / UNITS[unit]
    assert expires(limit, connected(spell(f"specific_{kind}:{period}:{unit}"))) is in_time
    assert expires(limit, external(spell(f"Specific{kind}"), str(period), spell(unit))) is in_time


GRAMMAR = re.compile(r"zero|specific_lifetime:[0-9]+:(hours|days|months)", re.IGNORECASE | re.ASCII)


@given(
    limit=st.sampled_from(sorted(LIMITS)),
    pieces=st.lists(
        st.sampled_from(
            ["infinite", "zero", "specific_", "lifetime", "inactivity", ":", ":", "1", "HOURS", "Days", "-"]
        ),
        max_size=7,
    ),
)
@example("refresh_tokens_expire_within_90_days", ["specific_", "lifetime", "1", "Days"])
@example("refresh_tokens_expire_within_90_days", ["zero", ":", "1", ":", "HOURS"])
@settings(max_examples=400, deadline=None)
def test_what_is_no_policy_does_not_pass(limit: str, pieces: list[str]) -> None:
    """A text that the grammar of policies does not know is never taken for one that ends in time."""
    policy = "".join(pieces)
    assert not expires(limit, connected(policy)) or GRAMMAR.fullmatch(policy)


@given(
    limit=st.sampled_from(sorted(LIMITS)),
    kind=st.sampled_from(
        ["Infinite", "Zero", "SpecificLifetime", "SpecificInactivity", "Lifetime", "SpecificZero", ""]
    ),
    period=st.sampled_from(["", "0", "1", "-1", "many"]),
    unit=st.sampled_from(["", "Hours", "Days", "Months", "Years", "Minutes"]),
)
@settings(max_examples=300, deadline=None)
def test_what_is_no_policy_of_an_external_client_app_does_not_pass(
    limit: str, kind: str, period: str, unit: str
) -> None:
    """Of an external client app type, period and unit have to be ones that are documented."""
    documented = kind == "SpecificLifetime" and period in ("0", "1") and unit in ("Hours", "Days", "Months")
    assert not expires(limit, external(kind, period, unit)) or kind == "Zero" or documented


# Ids


def org_named(name: str, apps: list[tuple[str, str]]) -> Org:
    """Return an org of a name, with apps of kinds and names."""
    return Org(
        name=name,
        source="directory",
        location="force-app",
        taken_at=TAKEN_AT,
        sha256="",
        settings={},
        read={},
        unread={},
        apps=tuple(
            App(kind=kind, name=one, label=one, source="x", settings={}, read={}, unread={}) for kind, one in apps
        ),
    )


KINDS = st.sampled_from([CONNECTED_APP, EXTERNAL_CLIENT_APP])
ALIKE = ("Sync", "Sync 2", "Sync_2", "Sync/2", "sync_2", "Sync-2")
NAMES = st.text(st.sampled_from("aB_- /\\'\"$é\u202e\x1b[:\udcff"), max_size=6) | st.sampled_from(ALIKE) | ANY_TEXT
APPS = st.lists(st.tuples(KINDS, NAMES), unique=True, max_size=6)


@given(APPS)
@settings(max_examples=200, deadline=None)
def test_ids_tell_apps_apart(apps: list[tuple[str, str]]) -> None:
    """Every case has an id of its own, which a shell, a URL and a page take as it is, and which names its control."""
    checks = Assessment((org_named("uat", apps),), CATALOGUE).checks
    ids = [check.id for check in checks if check.app is not None]
    assert len(set(ids)) == len(ids)
    for check in checks:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+", check.id)
        assert shlex.split(f"{check.id} -x") == [check.id, "-x"]
        assert check.id.endswith(check.control.id)
        assert node_id(check).endswith(f"[{check.id}]")


@given(APPS, st.tuples(KINDS, NAMES))
@settings(max_examples=200, deadline=None)
def test_ids_stay(apps: list[tuple[str, str]], more: tuple[str, str]) -> None:
    """An app has the same id in every run, also where apps of other names have come."""

    def ids(names: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
        org = org_named("uat", names)
        slugs = Assessment((org,), CATALOGUE).slugs
        return {(app.kind, app.name): slugs[app] for app in org.apps}

    before = ids(apps)
    assert ids(apps) == before
    if more[1] not in {name for _, name in apps}:
        for together in ([*apps, more], [more, *apps]):
            after = ids(together)
            assert {app: after[app] for app in before} == before


@given(st.from_regex(r"[A-Za-z0-9_.]{1,20}", fullmatch=True))
@settings(max_examples=100, deadline=None)
def test_a_name_that_is_safe_is_its_own_id(name: str) -> None:
    """An id that people type is the name of the app wherever that can be typed."""
    org = org_named("uat", [(CONNECTED_APP, name)])
    assert Assessment((org,), CATALOGUE).slugs[org.apps[0]] == name


def node_ids(*orgs: Org) -> list[str]:
    """Return the ids of all cases."""
    return [node_id(check) for check in Assessment(orgs, CATALOGUE).checks]


def test_orgs_and_apps_whose_names_join_alike() -> None:
    """Org prod with app eu-Sync and org prod-eu with app Sync: no two cases have one id, or both would be lost."""
    found = node_ids(org_named("prod", [(CONNECTED_APP, "eu-Sync")]), org_named("prod-eu", [(CONNECTED_APP, "Sync")]))
    assert len(set(found)) == len(found)


def test_a_name_that_is_the_id_of_another_app() -> None:
    """An app can be called like the id that another one gets, as ids are public."""
    alone = Assessment((org_named("uat", [(CONNECTED_APP, "a~b")]),), CATALOGUE)
    taken = alone.slugs[alone.orgs[0].apps[0]]
    for apps in ([(CONNECTED_APP, taken), (CONNECTED_APP, "a~b")], [(CONNECTED_APP, "a~b"), (CONNECTED_APP, taken)]):
        found = node_ids(org_named("uat", apps))
        assert len(set(found)) == len(found)


# Escaping


MARKUP = st.text(
    st.sampled_from(
        ["*", "_", "`", "[", "]", "(", ")", "<", ">", "&", "|", "~", "#", "!", "\\", "$", "@", ":", "/", "."]
    )
    | st.sampled_from(["a", "1", "-", "+", "=", " ", "'", '"', "w", "\u202e", "\n"]),
    max_size=25,
)
MARKED = [
    *("<b>", "&amp;", "&#42;", "www.x.example", "https://x.example", "x@y.example", "@team", "#1", "GH-1"),
    ":tada:",
]
PHRASES = st.lists(st.sampled_from(MARKED) | MARKUP, max_size=5).map("".join) | ANY_TEXT
RENDERED = {
    "a cell": "| x |\n| --- |\n| a {} b |\n",
    "an item": "- a {} b\n",
    "emphasis": "a **b {} c** d\n",
    "a heading": "### a {} b\n",
}


@given(PHRASES, st.sampled_from(sorted(RENDERED)))
@settings(max_examples=400, deadline=None)
def test_markdown_shows_the_very_text(said: str, place: str) -> None:
    """GitHub's own renderer shows a text as it is wherever the summary has one, and makes nothing of it."""
    cmarkgfm = pytest.importorskip("cmarkgfm")

    def page(text: str) -> Any:
        unsafe = cmarkgfm.cmark.Options.CMARK_OPT_UNSAFE
        source = RENDERED[place].format(text)
        return html.fragment_fromstring(cmarkgfm.github_flavored_markdown_to_html(source, options=unsafe), "div")

    shown, expected = page(markdown.text(said)), page("HERE")
    assert [element.tag for element in shown.iter()] == [element.tag for element in expected.iter()]
    if said.isprintable():
        text = expected.text_content().replace("HERE", said)
        assert folded(shown.text_content()) == folded(text)


def folded(text: str) -> str:
    """Return a text as a page shows it: spaces are one, and what has no width does not show."""
    return re.sub(r"[ \n]+", " ", text.replace("\N{ZERO WIDTH SPACE}", ""))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | UNICODE
    | st.sampled_from(["</script>", "<!--<script>", "]]>", "\u2028"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(UNICODE, inner, max_size=3),
    max_leaves=6,
)


@given(JSON)
@settings(max_examples=200, deadline=None)
def test_data_of_the_page_stays_in_its_element(said: Any) -> None:
    """Data reads back as it was, and neither it nor a line of it ends early for a browser."""
    text = audit._json(said)  # noqa: SLF001  (what the page is made of)
    assert json.loads(text) == said
    assert not re.search("[<>&\u2028\u2029]", text)


@given(st.text(st.characters(exclude_characters="\0"), max_size=20) | MARKUP)
@settings(max_examples=300, deadline=None)
def test_a_path_in_a_uri_is_the_path(path: str) -> None:
    """A URI has nothing but unreserved characters and slashes, and gives the bytes of the path back."""
    uri = sarif._uri(path)  # noqa: SLF001  (what every location of the file is made of)
    assert re.fullmatch(r"(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})*", uri)
    raw = path.encode("utf-8", "surrogatepass") if not _from_disk(path) else path.encode("utf-8", "surrogateescape")
    assert unquote_to_bytes(uri) == raw
    if not path.startswith("//"):
        assert urlsplit(uri)._replace(path="") == ("", "", "", "", "")


def _from_disk(path: str) -> bool:
    """Tell whether a path could have been read from disk."""
    return all(not "\ud800" <= char <= "\udfff" or "\udc80" <= char <= "\udcff" for char in path)


# YAML documents


YAML_PIECES = [
    "a",
    "b",
    ": ",
    ":",
    "- ",
    "\n",
    "\n  ",
    "\t",
    "{",
    "}",
    "[",
    "]",
    ",",
    "'",
    '"',
    "|\n",
    ">-\n",
    "#",
    "!",
    "!!x ",
]
MORE_PIECES = [
    "&a ",
    "*a",
    "<<: ",
    "? ",
    "---\n",
    "...\n",
    "%YAML 9\n",
    "2026-13-45",
    "2026-01-01",
    "1e9",
    "~",
    "\x00",
    "0x",
]


@pytest.mark.slow
@given(st.lists(st.sampled_from([*YAML_PIECES, *MORE_PIECES]), max_size=25).map("".join) | UNICODE)
@example("a: 2026-13-45")
@example("a: 1\na: 2")
@example("a: !!int x")
@example("a: \x00")
@example("? [a]\n: b")
@example("&a [*a]")
@settings(max_examples=600, deadline=None)
def test_any_document_is_read_or_refused_with_its_line(text: str) -> None:
    """Whatever a file says, it is a mapping whose keys stand in their lines, or an error names a line of the file."""
    lines = re.split("\r\n|[\n\r\x85\u2028\u2029]", text)
    try:
        found = yaml_entries.parse(text, "my.yaml")
    except yaml_entries.DocumentError as error:
        named = re.match(r"my\.yaml:([0-9]+): .", str(error), re.DOTALL)
        assert named is not None
        # What is missing at the end is missing below the last line.
        assert 1 <= int(named[1]) <= len(lines) + 1
        return
    assert isinstance(found, yaml_entries.Entry)


KEYS = st.from_regex(r"[a-z]{1,8}", fullmatch=True).filter(
    lambda key: key not in ("null", "true", "yes", "no", "on", "off", "false", "y", "n")
)
SAID = st.recursive(
    st.booleans()
    | st.integers()
    | st.dates()
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.slow
@given(st.dictionaries(KEYS, SAID, max_size=4), st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_document_says_what_was_written(said: dict[str, Any], flow: bool) -> None:
    """A mapping reads back as it was, and each of its keys knows the line in which it stands."""
    text = yaml.safe_dump(said, default_flow_style=flow or None, allow_unicode=True)
    found = yaml_entries.parse(f"# first\n{text}", "my.yaml")
    assert found == said
    lines = f"# first\n{text}".split("\n")
    for entry in _entries(found):
        assert set(entry.lines) == set(entry)
        for key, line in entry.lines.items():
            assert re.search(rf"\b{key}\b", lines[line - 1])
            assert str(entry.error("why", key)) == f"my.yaml:{line}: why"


def _entries(said: Any) -> list[yaml_entries.Entry]:
    inner = said.values() if isinstance(said, dict) else said if isinstance(said, list) else ()
    return [
        *([said] if isinstance(said, yaml_entries.Entry) else []),
        *(entry for one in inner for entry in _entries(one)),
    ]


# What was decided, on its way to the workers


SCOPED = st.builds(Scope, st.none() | ANY_TEXT, st.none() | ANY_TEXT, st.dates(), ANY_TEXT, st.integers(1, 9**9))
MAYBE = st.none() | ANY_TEXT
FOUND_EARLIER = st.dictionaries(
    st.builds(Key, ANY_TEXT, MAYBE, MAYBE, ANY_TEXT), st.builds(Earlier, st.sampled_from(baseline.FAILING), st.dates())
)
DECISIONS = st.builds(
    Decisions,
    fail_on=st.none() | st.sampled_from(Severity),
    in_context=st.booleans(),
    waivers=st.lists(st.builds(Waiver, ANY_TEXT, SCOPED, ANY_TEXT, ANY_TEXT, MAYBE), max_size=2).map(tuple),
    ignore_waivers=st.booleans(),
    attestations=st.lists(st.builds(Attestation, MAYBE, MAYBE, SCOPED, ANY_TEXT, ANY_TEXT, MAYBE), max_size=2).map(
        tuple
    ),
    baseline=st.none()
    | st.builds(
        Baseline,
        ANY_TEXT,
        st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=2),
        st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=2),
        FOUND_EARLIER,
        st.integers(0, 99),
    ),
    new_only=st.booleans(),
    all_blocking=st.booleans(),
)


@given(DECISIONS)
@settings(max_examples=150, deadline=None)
def test_what_was_decided_reaches_the_workers(decided: Decisions) -> None:
    """Decisions come back as they were, whatever texts are in them."""
    assert pickle.loads(pickle.dumps(decided)) == decided


# Truth


def every(found: tuple[Truth, ...]) -> Truth:
    """Return whether all of several hold, as conditions have it: the least decides."""
    return min(found)


ANYTHING = tuple(product(Truth, repeat=3))
SURE = (Truth.FALSE, Truth.TRUE)


@pytest.mark.parametrize("combine", [every, greatest, lambda found: negated(found[0])], ids=["all", "any", "not"])
def test_what_is_certain_stays_so(combine: Any) -> None:
    """What holds, or does not, holds however that which is uncertain, or so by default only, turns out."""
    for found in ANYTHING:
        whole = combine(found)
        if whole in SURE:
            for outcome in product(*([one] if one in SURE else SURE for one in found)):
                assert combine(outcome) is whole, found


def test_truth_of_what_is_certain_is_that_of_logic() -> None:
    """Among certain truths, several and the opposite are what they are in Python."""
    for found in product(SURE, repeat=3):
        plain = [one is Truth.TRUE for one in found]
        assert (greatest(found) is Truth.TRUE, every(found) is Truth.TRUE) == (any(plain), all(plain))
        assert (negated(found[0]) is Truth.TRUE) is not plain[0]


def test_order_does_not_matter_to_truth() -> None:
    """Several conditions hold the same in any order, and as often as one of them is stated; an opposite has one."""
    for found in ANYTHING:
        assert {greatest(other) for other in permutations(found)} == {greatest(found)}
        assert greatest((*found, found[0])) == greatest(found)
        assert negated(negated(found[0])) is found[0]


def test_what_nobody_can_tell_stays_so() -> None:
    """The opposite of what cannot be told is not told either, and what a person has to look at is never a plain no."""
    for one in (Truth.UNKNOWN, Truth.BY_HAND):
        assert negated(one) is one
        for other in (Truth.FALSE, Truth.FALSE_BY_DEFAULT):
            assert greatest((one, other)) is one
    for found in ANYTHING:
        # Whatever else is in the way, a person who looks does not clear it.
        if max(found) in (Truth.UNKNOWN, Truth.TRUE_BY_DEFAULT):
            assert greatest((*found, Truth.BY_HAND)) is greatest(found)


# The baseline


ROW = st.tuples(
    st.sampled_from(["uat", "prod", ""]),
    st.sampled_from([None, CONNECTED_APP]),
    st.sampled_from([None, "Sync", " Sync", "sync"]) | NAMES,
    st.sampled_from("abc"),
)
CONTROLS = dict.fromkeys("abc", "rule")


@given(st.sets(ROW, max_size=5), ROW, st.sampled_from(baseline.FAILING))
@settings(max_examples=200, deadline=None)
def test_a_finding_is_known_by_org_app_and_control(rows: set[Any], row: Any, verdict: str) -> None:
    """A finding persists where the earlier run had the very same one, and is new wherever anything of it differs."""
    orgs = {"uat": None, "prod": "00D000000000001AAA", "": None}
    said = {
        "schema": baseline.SCHEMA,
        "catalogue": {"version": "1", "rules": CONTROLS},
        "orgs": [{"name": name, "org_id": id_, "taken_at": "2026-11-20T12:00:00+00:00"} for name, id_ in orgs.items()],
        "checks": {"total": len(rows)},
        "results": [
            {"org": org, "kind": kind, "app": app, "control": control, "verdict": verdict}
            for org, kind, app, control in rows
        ],
    }
    loaded = baseline.load(json.dumps(said).encode(), "before.json")
    for org, kind, app, control in {*rows, row}:
        change = loaded.change(Key(org_key(orgs[org], org), kind, app, control), CONTROLS[control], verdict)
        assert change is (Change.PERSISTING if (org, kind, app, control) in rows else Change.NEW)
    assert set(loaded.findings.values()) <= {Earlier(verdict, date(2026, 11, 20))}


@given(st.from_regex(r"00D[A-Za-z0-9]{12}", fullmatch=True), st.from_regex(r"[A-Z0-5]{3}", fullmatch=True), UNICODE)
@settings(max_examples=100, deadline=None)
def test_an_org_is_known_by_its_id_in_either_length(id_: str, suffix: str, name: str) -> None:
    """An id of 15 characters and one of 18 are the same org, whatever it is called; another case is another org."""
    assert org_key(id_, name) == org_key(id_ + suffix, "another name")
    assert org_key(id_, name) != org_key(id_.swapcase(), name)
    assert org_key(None, name) == name
