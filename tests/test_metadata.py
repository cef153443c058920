"""How files of metadata become apps and settings of an org."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_oauthcontrols import sources
from pytest_oauthcontrols.orgs.metadata_types import (
    CONNECTED_APP,
    EXTERNAL_CLIENT_APP,
    GLOBAL_OAUTH,
    METADATA_TYPES,
    OAUTH,
    OAUTH_POLICIES,
)
from pytest_oauthcontrols.orgs.model import Absent, App, Org, Seen, Unreadable, Value
from pytest_oauthcontrols.rules.control import Verdict
from pytest_oauthcontrols.rules.evaluation import evaluate, subjects
from pytest_oauthcontrols.sources.archive import read_archive
from pytest_oauthcontrols.sources.assembly import Origin
from pytest_oauthcontrols.sources.directory import read_directory
from pytest_oauthcontrols.sources.parser import SourceError, UnreadableFile, parse

from .support.catalogue import CATALOGUE
from .support.hostile_files import mutated
from .support.metadata_files import (
    CERTIFICATE,
    DEMO,
    DEMO_FILES,
    MIXED_FILES,
    NAMESPACE,
    NIL,
    PATH,
    child,
    connected_app,
    written,
    xml,
    zipped,
)
from .support.orgs import TAKEN_AT, everything, org_of

ORG_ZIP = Origin("uat", "archive", "org.zip", TAKEN_AT)
PLANTED = "planted-a41f90"


def read_folder(folder: Path, location: str = "force-app") -> Org:
    """Return the org in a folder."""
    return read_directory(folder, Origin("uat", "directory", location, TAKEN_AT))


def app_of(org: Org, name: str) -> App:
    """Return the one app of a name."""
    (found,) = [app for app in org.apps if app.name == name]
    return found


def names(org: Org) -> list[tuple[str, str]]:
    """Return kind and name of every app."""
    return [(app.kind, app.name) for app in org.apps]


def settings_of(inner: str, path: str = PATH) -> dict[str, Seen | Unreadable]:
    """Return what is read of a connected app."""
    component = parse(connected_app(inner), path)
    assert component is not None
    return component.settings


def value_of(found: Mapping[str, Seen | Unreadable], name: str) -> Value:
    """Return the value of a setting, which has to be there and readable."""
    setting = found[name]
    assert isinstance(setting, Seen), setting
    return setting.value


def verdict(app: App, control_id: str) -> Verdict:
    """Return what a control says of an app."""
    (control,) = [one for one in CATALOGUE.controls if one.id == control_id]
    return evaluate(control, app, app.org).verdict


def said(org: Org) -> list[tuple[object, ...]]:
    """Return what every control says of an org and its apps, with the evidence."""
    found = [evaluate(control, app, org) for app, control in subjects(org, CATALOGUE)]
    return [(one.subject, one.control.id, one.verdict, one.message, one.evidence) for one in found]


def secret_holder(type_name: str) -> bytes:
    """Return a file that holds a consumer key and secret."""
    planted = f"<consumerKey>{PLANTED}-key</consumerKey>\n<consumerSecret>{PLANTED}</consumerSecret>"
    if type_name == "ConnectedApp":
        return connected_app(f"<oauthConfig>\n{planted}\n</oauthConfig>")
    return child(type_name, "Ledger", f"\n{planted}")


@pytest.mark.parametrize(
    "path",
    [
        "Stock_Sync.connectedApp",
        "Stock_Sync.connectedApp-meta.xml",
        "connectedApps/Stock_Sync.connectedApp",
        "main/default/connectedApps/Stock_Sync.connectedApp-meta.xml",
        "packages/logistics/src/very/deep/below/Stock_Sync.connectedApp-meta.xml",
        "connectedApps/Stock_Sync.CONNECTEDAPP-META.XML",
    ],
)
def test_both_formats_are_found_at_any_depth(tmp_path: Path, path: str) -> None:
    """A connected app is found by either name that it can have, wherever it lies."""
    org = read_folder(written(tmp_path, {path: connected_app("<label>Stock Sync</label>")}))
    assert [(app.name, app.label, app.source) for app in org.apps] == [
        ("Stock_Sync", "Stock Sync", f"force-app/{path}")
    ]


@pytest.mark.parametrize(
    "path",
    [
        "Old.connectedApp.bak",
        "Old.xml",
        "Old.profile-meta.xml",
        ".connectedApp",
        ".connectedApp-meta.xml",
        "connectedApp",
    ],
)
def test_other_files_are_left_alone(tmp_path: Path, path: str) -> None:
    """A file that no app and no setting is in by its name is not read."""
    org = read_folder(written(tmp_path, {path: connected_app(), "Stock_Sync.connectedApp": connected_app()}))
    assert names(org) == [(CONNECTED_APP, "Stock_Sync")]
    assert not org.notes


@pytest.mark.parametrize(
    "path",
    [
        "externalClientApps/Stock_Sync.eca-meta.xml",
        "extlClntAppGlobalOauthSets/Stock_Sync.ecaGlblOauth",
        "settings/Stock_Sync.settings-meta.xml",
    ],
)
def test_type_is_that_of_the_root_element(path: str) -> None:
    """A connected app is one whatever its file is called and wherever it lies."""
    org = org_of({path: connected_app("<oauthConfig><isPkceRequired>true</isPkceRequired></oauthConfig>")})
    assert names(org) == [(CONNECTED_APP, "Stock_Sync")]
    assert verdict(org.apps[0], "ca-pkce") is Verdict.PASS


def test_components_are_joined_by_their_element() -> None:
    """Two apps whose files are named after each other get the components that name them."""
    org = org_of(
        {
            "Ledger.eca": xml("ExternalClientApplication"),
            "Payslips.eca": xml("ExternalClientApplication"),
            "Ledger.ecaGlblOauth": child(GLOBAL_OAUTH, "Payslips", "<isPkceRequired>true</isPkceRequired>"),
            "Payslips.ecaGlblOauth": child(GLOBAL_OAUTH, "Ledger", "<isPkceRequired>false</isPkceRequired>"),
            "Payslips_oauth.ecaOauth": child(OAUTH, "Ledger"),
        }
    )
    ledger, payslips = org.apps
    assert value_of(ledger.settings, f"{GLOBAL_OAUTH}.isPkceRequired") is False
    assert value_of(payslips.settings, f"{GLOBAL_OAUTH}.isPkceRequired") is True
    assert ledger.read[OAUTH] == "force-app/Payslips_oauth.ecaOauth"
    assert OAUTH not in payslips.read


def test_component_that_names_two_apps_belongs_to_neither() -> None:
    """A component that names one app and then another is a problem, and neither app is taken for one without OAuth."""
    both = "<externalClientApplication>Payslips</externalClientApplication>"
    org = org_of(
        {
            "Ledger.eca": xml("ExternalClientApplication"),
            "Payslips.eca": xml("ExternalClientApplication"),
            "Ledger_glbloauth.ecaGlblOauth": child(GLOBAL_OAUTH, "Ledger", both),
        }
    )
    assert [
        app_of(org, name).settings["oauth"]
        for name in ("Ledger", "Payslips")
        if isinstance(app_of(org, name).settings["oauth"], Seen)
    ] == []
    assert any("force-app/Ledger_glbloauth.ecaGlblOauth:3" in problem for app in org.apps for problem in app.problems)


def test_component_without_its_app_is_assessed_and_noted() -> None:
    """A component of an external client app that no file describes is still assessed, and the org's notes name both."""
    org = org_of({"Gone_glbloauth.ecaGlblOauth": child(GLOBAL_OAUTH, "Gone", "<isPkceRequired>false</isPkceRequired>")})
    assert names(org) == [(EXTERNAL_CLIENT_APP, "Gone")]
    assert verdict(org.apps[0], "eca-pkce") is Verdict.FAIL
    assert org.notes == (
        "force-app/Gone_glbloauth.ecaGlblOauth:3: refers to the external client app Gone, of which no file was found",
    )


def test_provisioning_without_its_app_is_noted_only() -> None:
    """User provisioning of a connected app that is not there makes no app up, and is noted."""
    provisioning = xml("UserProvisioningConfig", "<connectedApp>Gone</connectedApp><enabled>true</enabled>")
    org = org_of({"Gone_Users.userProvisioningConfig": provisioning, PATH: connected_app()})
    assert names(org) == [(CONNECTED_APP, "Stock_Sync")]
    assert [note for note in org.notes if "Gone_Users.userProvisioningConfig" in note and "connected app Gone" in note]


def test_one_of_several_provisionings_is_enough() -> None:
    """An app with two user provisionings, one of them on, has user provisioning and no problem."""
    said_of = {"First": "false", "Second": "true"}
    org = org_of(
        {
            PATH: connected_app(),
            **{
                f"{name}.userProvisioningConfig": xml(
                    "UserProvisioningConfig", f"<connectedApp>Stock_Sync</connectedApp><enabled>{enabled}</enabled>"
                )
                for name, enabled in said_of.items()
            },
        }
    )
    assert value_of(org.apps[0].settings, "UserProvisioningConfig.enabled") is True
    assert org.apps[0].problems == ()


def test_settings_of_the_org_are_read() -> None:
    """Settings of the org are the org's, and make no app."""
    org = org_of(
        {
            "settings/OauthOidc.settings-meta.xml": xml(
                "OauthOidcSettings", "<blockOAuthUnPwFlow>true</blockOAuthUnPwFlow>"
            ),
            "settings/Security.settings": xml(
                "SecuritySettings",
                "<networkAccess><ipRanges><start>203.0.113.1</start><end>203.0.113.9</end></ipRanges></networkAccess>"
                "<sessionSettings><sessionTimeout>TwoHours</sessionTimeout></sessionSettings>",
            ),
            "settings/Case.settings-meta.xml": xml(
                "CaseSettings", "<closeCaseThroughStatusChange>true</closeCaseThroughStatusChange>"
            ),
        }
    )
    assert org.apps == ()
    assert {name: value_of(org.settings, name) for name in org.settings} == {
        "OauthOidcSettings.blockOAuthUnPwFlow": True,
        "SecuritySettings.networkAccess": "present",
        "SecuritySettings.networkAccess.ipRanges": ("203.0.113.1-203.0.113.9",),
        "SecuritySettings.sessionSettings": "present",
        "SecuritySettings.sessionSettings.sessionTimeout": "TwoHours",
    }
    assert org.notes == ()


@pytest.mark.parametrize(
    ("other", "readable"),
    [("true", True), ("false", False), ("perhaps", False), ("", True)],
    ids=["agree", "disagree", "unknown value", "left out"],
)
def test_settings_of_the_org_that_are_there_twice(other: str, *, readable: bool) -> None:
    """Copies of the org's settings decide what they agree on; of anything else both files are named."""
    org = org_of(
        {
            "app/settings/OauthOidc.settings": xml(
                "OauthOidcSettings",
                "<blockOAuthUnPwFlow>true</blockOAuthUnPwFlow><isPkceRequired>true</isPkceRequired>",
            ),
            "base/settings/OauthOidc.settings": xml(
                "OauthOidcSettings",
                f"<blockOAuthUnPwFlow>true</blockOAuthUnPwFlow><isPkceRequired>{other}</isPkceRequired>",
            ),
        }
    )
    assert org.value("OauthOidcSettings.blockOAuthUnPwFlow") is True
    setting = org.setting("OauthOidcSettings.isPkceRequired", "OauthOidcSettings")
    assert isinstance(setting, Seen) is readable
    if isinstance(setting, Unreadable):
        assert "base/settings/OauthOidc.settings" in setting.reason
        assert ("force-app/app/settings/OauthOidc.settings" in setting.reason) is (other == "false")


def test_a_partial_copy_of_the_orgs_settings_takes_nothing_away() -> None:
    """A file that holds one setting only, as those deployed before a package do, leaves the others to the whole one."""
    org = org_of(
        {
            "app/settings/Security.settings": xml(
                "SecuritySettings",
                "<networkAccess><ipRanges><start>192.0.2.0</start><end>192.0.2.255</end></ipRanges></networkAccess>"
                "<sessionSettings><sessionTimeout>TwoHours</sessionTimeout></sessionSettings>",
            ),
            "unpackaged/pre/settings/Security.settings": xml(
                "SecuritySettings",
                "<sessionSettings><enableOauthCorsPolicy>true</enableOauthCorsPolicy></sessionSettings>",
            ),
        }
    )
    assert org.value("SecuritySettings.sessionSettings.sessionTimeout") == "TwoHours"
    assert org.value("SecuritySettings.networkAccess.ipRanges") == ("192.0.2.0-192.0.2.255",)


def test_broken_settings_of_the_org_are_named_though_another_file_is_fine() -> None:
    """A file of settings that cannot be read is named, also where a second file of the same settings was read."""
    org = org_of(
        {
            "app/settings/OauthOidc.settings": b"<OauthOidcSettings>",
            "base/settings/OauthOidc.settings": xml("OauthOidcSettings", "<isPkceRequired>true</isPkceRequired>"),
        }
    )
    assert "force-app/app/settings/OauthOidc.settings:1" in everything(org)


@pytest.mark.parametrize("between", ["\n", "\r\n", "&#13;", "&#10;", "&#13;&#10;", "\n\n  \n", "&#xD;\n"])
@pytest.mark.parametrize("kind", [CONNECTED_APP, EXTERNAL_CLIENT_APP])
def test_callback_urls_are_split_on_any_line_end(kind: str, between: str) -> None:
    """Several callback URLs in one element are several, whatever stands between them."""
    element = f"<callbackUrl> https://stock.example/a{between}com.stock.app:/b </callbackUrl>"
    if kind == CONNECTED_APP:
        org = org_of({PATH: connected_app(f"<oauthConfig>{element}</oauthConfig>")})
    else:
        org = org_of({"a.ecaGlblOauth": child(GLOBAL_OAUTH, "Stock_Sync", element)})
    assert org.apps[0].callback_urls == ("https://stock.example/a", "com.stock.app:/b")


@pytest.mark.parametrize(
    ("written_as", "known_as"),
    [
        ("Api", "Api"),
        ("api", "Api"),
        ("SFApiPlatform", "SFAP"),
        ("SFAP", "SFAP"),
        ("OfflineAccess", "RefreshToken"),
        ("Profile", "Basic"),
        ("Email", "Basic"),
        ("Payroll", "Payroll"),
    ],
)
def test_scopes_have_one_name(written_as: str, known_as: str) -> None:
    """A scope and its synonyms are one, in both kinds of app; a scope that is not known stays as it is."""
    org = org_of(
        {
            PATH: connected_app(
                f"<oauthConfig><scopes>OpenID</scopes><scopes>{written_as}</scopes><scopes>Full</scopes></oauthConfig>"
            ),
            "Ledger.ecaOauth": child(
                OAUTH,
                "Ledger",
                f"<commaSeparatedOauthScopes>OpenID,{written_as} , Full</commaSeparatedOauthScopes>",
            ),
        }
    )
    expected = ("OpenID", known_as, "Full")
    assert value_of(app_of(org, "Stock_Sync").settings, "oauthConfig.scopes") == expected
    assert value_of(app_of(org, "Ledger").settings, f"{OAUTH}.commaSeparatedOauthScopes") == expected


@pytest.mark.parametrize(
    ("element", "there"),
    [
        (f'<samlConfig {NIL}="true"/>', False),
        (f'<samlConfig {NIL}="1"/>', False),
        (f'<samlConfig {NIL}="true"><acsUrl>https://stock.example</acsUrl></samlConfig>', False),
        (f'<samlConfig {NIL}="false"/>', True),
        ("<samlConfig/>", True),
    ],
)
def test_nil_group_is_not_there(element: str, *, there: bool) -> None:
    """A group of settings that is nil is absent, and so is all that stands in it; an empty one is there."""
    found = settings_of(element)
    assert ("samlConfig" in found) is there
    assert "samlConfig.acsUrl" not in found


@pytest.mark.parametrize(
    "element",
    [
        f'<isPkceRequired {NIL}="true"/>',
        "<isPkceRequired/>",
        "<isPkceRequired></isPkceRequired>",
        "<isPkceRequired>\n  </isPkceRequired>",
        "<isPkceRequired><!-- true --></isPkceRequired>",
        "<isPkceRequired><![CDATA[]]></isPkceRequired>",
        "<!-- <isPkceRequired>true</isPkceRequired> -->",
    ],
)
def test_element_without_a_value_is_absent(element: str) -> None:
    """An element that holds nothing is as good as none: absent, neither on nor off."""
    org = org_of({PATH: connected_app(f"<oauthConfig>{element}</oauthConfig>")})
    name = "oauthConfig.isPkceRequired"
    assert org.apps[0].setting(name, "ConnectedApp") == Absent(name, f"force-app/{PATH}", line=3)


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("<label>Stock<!-- was: Store --> Sync</label>", "Stock Sync"),
        ("<label><![CDATA[Stock & <Sync>]]></label>", "Stock & <Sync>"),
        ("<label>Stock &amp; &lt;Sync&gt;</label>", "Stock & <Sync>"),
        ("<label>Caf&#233; &#x2192; Bar</label>", "Café → Bar"),
        ("<label>\n   Stock Sync\n  </label>", "Stock Sync"),
        ("<!-- <label>Old</label> --><label>Stock Sync</label>", "Stock Sync"),
        ("<label>Stock<?note to self?> Sync</label>", "Stock Sync"),
    ],
)
def test_text_is_what_xml_says_it_is(element: str, expected: str) -> None:
    """Comments and instructions count for nothing, CDATA and character references for what they stand for."""
    assert value_of(settings_of(element), "label") == expected


def test_comments_between_elements_change_nothing() -> None:
    """A file full of comments says what it says without them."""
    found = settings_of(
        "<!-- a --><oauthConfig><!-- b --><isPkceRequired>true</isPkceRequired><!-- c --></oauthConfig><!-- d -->"
    )
    assert found["oauthConfig.isPkceRequired"] == Seen("oauthConfig.isPkceRequired", True, PATH, 3)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte-order-mark"])
def test_line_ends_and_marks_change_nothing(line_end: str, mark: bytes) -> None:
    """A file with CRLF line ends or a byte order mark has the same settings in the same lines."""
    inner = "<label>Stock Sync</label>\n<oauthConfig>\n<isPkceRequired>\ntrue\n</isPkceRequired>\n</oauthConfig>"
    component = parse(mark + connected_app(inner).replace(b"\n", line_end.encode()), PATH)
    assert component is not None
    assert {name: (value_of(component.settings, name), one.line) for name, one in seen(component.settings).items()} == {
        "label": ("Stock Sync", 3),
        "oauthConfig": ("present", 4),
        "oauthConfig.isPkceRequired": (True, 5),
    }


def seen(found: Mapping[str, Seen | Unreadable]) -> dict[str, Seen]:
    """Return the settings that were seen."""
    return {name: one for name, one in found.items() if isinstance(one, Seen)}


def test_line_far_down_is_right() -> None:
    """The line is right beyond the 65,535 lines that libxml2 once counted to."""
    found = settings_of("\n" * 70_000 + "<label>Stock Sync</label>")
    assert seen(found)["label"].line == 70_003


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_declared_encoding_is_read(encoding: str) -> None:
    """A file in another encoding than UTF-8 is read as it declares."""
    text = f'<?xml version="1.0" encoding="{encoding}"?><ConnectedApp><label>Café</label></ConnectedApp>'
    component = parse(text.encode(encoding), PATH)
    assert component is not None
    assert value_of(component.settings, "label") == "Café"


@pytest.mark.parametrize(
    "root",
    ["<ConnectedApp>{}</ConnectedApp>", f'<m:ConnectedApp xmlns:m="{NAMESPACE}">{{}}</m:ConnectedApp>'],
    ids=["none", "prefix"],
)
def test_elements_need_no_namespace(root: str) -> None:
    """A file, or an element, without the namespace of metadata is read as if it had it."""
    prefix = "m:" if "xmlns:m" in root else ""
    inner = f"<{prefix}oauthConfig><{prefix}isPkceRequired>true</{prefix}isPkceRequired></{prefix}oauthConfig>"
    component = parse(root.format(inner).encode(), PATH)
    assert component is not None
    assert value_of(component.settings, "oauthConfig.isPkceRequired") is True


def test_elements_of_a_foreign_namespace_are_none_of_ours() -> None:
    """An element of another namespace sets nothing, though its name is that of a setting."""
    found = settings_of(
        '<oauthConfig xmlns:x="https://stock.example/ns"><x:isPkceRequired>true</x:isPkceRequired></oauthConfig>'
        '<label xmlns="https://stock.example/ns">Stock Sync</label>'
    )
    assert set(found) == {"oauthConfig"}


def test_root_of_a_foreign_namespace_is_no_app() -> None:
    """A root element of another namespace makes the file unreadable."""
    with pytest.raises(UnreadableFile, match=r"Stock_Sync\.connectedApp:1: the root element"):
        parse(b'<ConnectedApp xmlns="https://stock.example/ns"/>', PATH)


@pytest.mark.parametrize(
    ("file_name", "name"),
    [
        ("Stock%2FSync.connectedApp-meta.xml", "Stock/Sync"),
        ("Caf%C3%A9.connectedApp", "Café"),
        ("100%25.connectedApp", "100%"),
        ("Stock.Sync.connectedApp-meta.xml", "Stock.Sync"),
        ("harbor__Stock_Sync.connectedApp", "harbor__Stock_Sync"),
    ],
)
def test_full_name_is_the_decoded_stem(tmp_path: Path, file_name: str, name: str) -> None:
    """An app goes by its file's name without the suffix, percent escapes decoded; its label is something else."""
    org = read_folder(written(tmp_path, {file_name: connected_app("<label>Sync of stocks</label>")}))
    assert [(app.name, app.label) for app in org.apps] == [(name, "Sync of stocks")]


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ("<isPkceRequired>true</isPkceRequired>\n<isPkceRequired>1</isPkceRequired>", True),
        ("<isPkceRequired>true</isPkceRequired>\n<isPkceRequired>false</isPkceRequired>", None),
        ("<isPkceRequired>false</isPkceRequired>\n<isPkceRequired>true</isPkceRequired>", None),
        ("<isPkceRequired>yes</isPkceRequired>\n<isPkceRequired>true</isPkceRequired>", None),
        ("<isPkceRequired>true</isPkceRequired>\n<isPkceRequired>yes</isPkceRequired>", None),
        (
            "<isPkceRequired>true</isPkceRequired>\n</oauthConfig><oauthConfig><isPkceRequired>false</isPkceRequired>",
            None,
        ),
    ],
    ids=["agree", "true-false", "false-true", "bad-true", "true-bad", "two-groups"],
)
def test_repeated_element_has_to_say_the_same(elements: str, expected: Value | None) -> None:
    """An element that is there twice counts where both say the same; otherwise it is unreadable, with a line."""
    setting = settings_of(f"<oauthConfig>{elements}</oauthConfig>")["oauthConfig.isPkceRequired"]
    if expected is None:
        assert isinstance(setting, Unreadable)
        assert setting.reason.startswith((f"{PATH}:3: ", f"{PATH}:4: "))
    else:
        assert setting == Seen("oauthConfig.isPkceRequired", expected, PATH, 3)


def test_contradiction_names_both_lines() -> None:
    """The reason why a setting that is there twice is unreadable names the file and both lines."""
    found = settings_of("<label>Stock</label>\n\n<label>Store</label>")["label"]
    assert isinstance(found, Unreadable)
    assert found.reason.startswith(f"{PATH}:5: label stands here a second time")
    assert "line 3" in found.reason


def test_repeated_elements_of_a_list_add_up() -> None:
    """Elements of a list, and address ranges, are collected in their order."""
    found = settings_of(
        "<profileName>Sales User</profileName><profileName>Support User</profileName>"
        "<ipRanges><start>203.0.113.0</start><end>203.0.113.9</end></ipRanges>"
        "<ipRanges><start>2001:db8::</start><end>2001:db8::ff</end></ipRanges>"
    )
    assert value_of(found, "profileName") == ("Sales User", "Support User")
    assert value_of(found, "ipRanges") == ("203.0.113.0-203.0.113.9", "2001:db8::-2001:db8::ff")


def test_every_setting_knows_its_file_and_line(tmp_path: Path) -> None:
    """Each setting of the demo org stands in the file and line that it names."""
    org = sources.read("demo", tmp_path)
    derived = {"oauth", "client_type", "client_type_basis", "refresh_tokens", "signs_users_on"}
    derived |= {"consumer_secret_committed", "custom_attributes", "custom_scopes"}
    found = [one for subject in (org, *org.apps) for name, one in seen(subject.settings).items() if name not in derived]
    assert len(found) > 150
    for setting in found:
        assert setting.line is not None
        lines = (DEMO.parent / setting.source).read_text("utf-8").splitlines()
        assert f"<{setting.name.rpartition('.')[2]}" in lines[setting.line - 1], setting


@pytest.mark.parametrize(
    ("element", "name", "shown"),
    [
        ("<oauthConfig>\n<isPkceRequired>yes</isPkceRequired></oauthConfig>", "oauthConfig.isPkceRequired", "'yes'"),
        ("<oauthConfig>\n<isPkceRequired>TRUE</isPkceRequired></oauthConfig>", "oauthConfig.isPkceRequired", "'TRUE'"),
        ("<oauthConfig>\n<isPkceRequired>2</isPkceRequired></oauthConfig>", "oauthConfig.isPkceRequired", "'2'"),
        (
            "<sessionPolicy>\n<sessionTimeout>ten</sessionTimeout></sessionPolicy>",
            "sessionPolicy.sessionTimeout",
            "'ten'",
        ),
        (
            "<sessionPolicy>\n<sessionTimeout>1.5</sessionTimeout></sessionPolicy>",
            "sessionPolicy.sessionTimeout",
            "'1.5'",
        ),
        (
            "<sessionPolicy>\n<sessionTimeout>٣٠</sessionTimeout></sessionPolicy>",
            "sessionPolicy.sessionTimeout",
            "'٣٠'",
        ),
    ],
)
def test_value_that_is_none_is_unreadable(element: str, name: str, shown: str) -> None:
    """A boolean or a number that is none is unreadable, and the reason shows it with file and line."""
    setting = settings_of(element)[name]
    assert isinstance(setting, Unreadable)
    assert setting.reason.startswith(f"{PATH}:4: {name} is {shown}")
    assert not setting.manual


@pytest.mark.parametrize(
    "ends",
    [
        "<start>203.0.113.9</start><end>203.0.113.1</end>",
        "<start>203.0.113.1</start><end>2001:db8::1</end>",
        "<start>203.0.113.300</start><end>203.0.113.301</end>",
        "<start>vpn.stock.example</start><end>203.0.113.1</end>",
        "<start>203.0.113.0/24</start><end>203.0.113.0/24</end>",
        "<start>203.0.113.1</start>",
        "<start/><end/>",
        "",
    ],
)
def test_bad_address_range_is_unreadable(ends: str) -> None:
    """A range that is none makes all ranges unreadable, also those before and after it."""
    good = "<ipRanges><start>203.0.113.0</start><end>203.0.113.255</end></ipRanges>"
    setting = settings_of(f"{good}\n<ipRanges>{ends}</ipRanges>\n{good}")["ipRanges"]
    assert isinstance(setting, Unreadable)
    assert setting.reason.startswith(f"{PATH}:4: ipRanges from ")


def test_address_ranges_of_both_kinds_are_read_alike() -> None:
    """The ranges of an external client app have other element names and mean the same."""
    ends = "<startIpAddress>203.0.113.0</startIpAddress><endIpAddress>203.0.113.9</endIpAddress>"
    org = org_of({"Ledger.ecaOauth": child(OAUTH, "Ledger", f"<trustedIpRanges>{ends}</trustedIpRanges>")})
    assert value_of(org.apps[0].settings, f"{OAUTH}.trustedIpRanges") == ("203.0.113.0-203.0.113.9",)


def test_same_app_in_two_files_is_one() -> None:
    """An app that two files describe alike, line ends and comments aside, is one app without a problem."""
    inner = "<oauthConfig>\n<isPkceRequired>true</isPkceRequired>\n</oauthConfig>"
    again = connected_app(f"<!-- copy -->\n{inner}").replace(b"\n", b"\r\n")
    org = org_of({PATH: connected_app(inner), "copy/Stock_Sync.connectedApp-meta.xml": again})
    assert names(org) == [(CONNECTED_APP, "Stock_Sync")]
    assert org.apps[0].problems == ()


@pytest.mark.parametrize("location", ["force-app", ".", "/srv/metadata"])
@pytest.mark.parametrize("elsewhere", ["a_templates", "z_templates"])
def test_app_in_its_own_folder_goes_first(tmp_path: Path, location: str, elsewhere: str) -> None:
    """Of two files that describe an app differently, the one in connectedApps/ is assessed; the other is a problem."""
    inner = "<oauthConfig><isPkceRequired>{}</isPkceRequired></oauthConfig>"
    written(
        tmp_path,
        {
            "connectedApps/Stock_Sync.connectedApp": connected_app(inner.format("false")),
            f"{elsewhere}/Stock_Sync.connectedApp": connected_app(inner.format("true")),
        },
    )
    (app,) = read_folder(tmp_path, location).apps
    assert app.source.endswith("connectedApps/Stock_Sync.connectedApp")
    assert verdict(app, "ca-pkce") is Verdict.FAIL
    assert [problem.endswith("remove one of the two") for problem in app.problems] == [True]
    assert app.problems[0].partition(" ")[0].endswith(f"{elsewhere}/Stock_Sync.connectedApp")


PKCE = "<oauthConfig><isPkceRequired>{}</isPkceRequired></oauthConfig>"
PROJECT = b'{"packageDirectories": [{"path": "other"}, {"path": "./force-app/", "default": true}]}'


@pytest.mark.parametrize("archived", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize("project", ["", "work/crm/"], ids=["at the root", "further down"])
@pytest.mark.parametrize("secure", ["a_backup", "other"])
def test_the_copy_in_the_package_directory_counts(tmp_path: Path, project: str, secure: str, *, archived: bool) -> None:
    """Of copies of an app that differ the one in the default package directory counts; `readable` names the other."""
    content = {
        f"{project}sfdx-project.json": PROJECT,
        f"{project}force-app/main/Stock_Sync.connectedApp-meta.xml": connected_app(PKCE.format("false")),
        f"{project}{secure}/connectedApps/Stock_Sync.connectedApp-meta.xml": connected_app(PKCE.format("true")),
    }
    org = (
        read_archive(zipped(tmp_path / "org.zip", content), ORG_ZIP)
        if archived
        else read_folder(written(tmp_path, content))
    )
    (app,) = org.apps
    assert verdict(app, "ca-pkce") is Verdict.FAIL
    (problem,) = app.problems
    assert problem.partition(" ")[0].endswith(f"{project}{secure}/connectedApps/Stock_Sync.connectedApp-meta.xml")
    assert org.notes == ()


@pytest.mark.parametrize(
    ("project", "noted"),
    [
        (b"{", True),
        (b"[]", True),
        (b'{"packageDirectories": 5}', True),
        (b'{"packageDirectories": [{"default": true}]}', True),
        (b'{"packageDirectories": [{"path": 5}]}', True),
        (b'{"packageDirectories": [{"path": "../elsewhere"}, {"path": "/srv"}, {"path": "."}]}', False),
        (b"{}", False),
        (b"[" * 100_000, True),
    ],
    ids=["cut", "list", "number", "no path", "path is a number", "elsewhere", "none", "deep"],
)
def test_a_project_file_that_does_not_help_is_said_and_no_more(tmp_path: Path, project: bytes, *, noted: bool) -> None:
    """A project file that cannot be understood is noted; its folders count as if there were none."""
    content = {
        "sfdx-project.json": project,
        PATH: connected_app(PKCE.format("false")),
        "a_backup/Stock_Sync.connectedApp": connected_app(PKCE.format("true")),
    }
    org = read_folder(written(tmp_path, content))
    assert verdict(org.apps[0], "ca-pkce") is Verdict.FAIL
    assert [note.startswith("force-app/sfdx-project.json: ") for note in org.notes] == [True] * noted


def test_the_project_file_is_part_of_what_was_read(tmp_path: Path) -> None:
    """Another package directory can mean another verdict, so the digest of the reading covers the project file."""
    written(tmp_path, {PATH: connected_app(), "sfdx-project.json": PROJECT})
    before = read_folder(tmp_path).sha256
    written(tmp_path, {"sfdx-project.json": PROJECT.replace(b"other", b"more")})
    assert read_folder(tmp_path).sha256 != before


def test_two_different_components_of_an_app_are_a_problem() -> None:
    """Two files with the Global settings of one app that say different things are a problem of the app."""
    org = org_of(
        {
            "Ledger.eca": xml("ExternalClientApplication"),
            "Ledger.ecaGlblOauth": child(GLOBAL_OAUTH, "Ledger", "<isPkceRequired>true</isPkceRequired>"),
            "Ledger_glbloauth.ecaGlblOauth": child(GLOBAL_OAUTH, "Ledger", "<isPkceRequired>false</isPkceRequired>"),
        }
    )
    (problem,) = org.apps[0].problems
    assert "force-app/Ledger_glbloauth.ecaGlblOauth" in problem
    assert "force-app/Ledger.ecaGlblOauth" in problem


@pytest.mark.parametrize(
    ("state", "packaged"),
    [("Managed", True), ("AutoInstalled", True), ("Local", False), ("Packaged", False)],
)
def test_global_settings_of_a_package_need_a_person(state: str, *, packaged: bool) -> None:
    """Global settings that are not there are manual for an app from a package, and unreadable for one of one's own."""
    org = org_of(
        {
            "harbor__Vault.eca": xml("ExternalClientApplication", f"<distributionState>{state}</distributionState>"),
            "Vault_oauth.ecaOauth": child(OAUTH, "harbor__Vault"),
        }
    )
    (app,) = org.apps
    setting = app.setting(f"{GLOBAL_OAUTH}.isPkceRequired", GLOBAL_OAUTH)
    assert isinstance(setting, Unreadable)
    assert setting.manual is packaged
    assert app.managed is packaged
    assert verdict(app, "eca-pkce") is (Verdict.MANUAL if packaged else Verdict.UNVERIFIABLE)


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        (None, Verdict.UNVERIFIABLE),
        ("", Verdict.UNVERIFIABLE),
        ("<isOauthPluginEnabled>true</isOauthPluginEnabled>", Verdict.UNVERIFIABLE),
        ("<isOauthPluginEnabled>perhaps</isOauthPluginEnabled>", Verdict.UNVERIFIABLE),
        ("<isOauthPluginEnabled>false</isOauthPluginEnabled>", Verdict.NOT_APPLICABLE),
    ],
)
def test_only_its_policies_show_that_an_app_has_no_oauth(policies: str | None, expected: Verdict) -> None:
    """An external client app without an OAuth file has no OAuth only where its policies say so."""
    content = {"Ledger.eca": xml("ExternalClientApplication", "<distributionState>Local</distributionState>")}
    if policies is not None:
        content["Ledger.ecaPlcy"] = child("ExtlClntAppConfigurablePolicies", "Ledger", policies)
    (app,) = org_of(content).apps
    assert {verdict(app, control) for control in ("eca-pkce", "eca-scopes", "sbs-oauth-002")} == {expected}


def test_oauth_files_count_whatever_the_policies_say() -> None:
    """An app whose policies turn OAuth off, and which has an OAuth file, is assessed by it; the others are missing."""
    org = org_of(
        {
            "Ledger.eca": xml("ExternalClientApplication"),
            "Ledger.ecaPlcy": child(
                "ExtlClntAppConfigurablePolicies", "Ledger", "<isOauthPluginEnabled>false</isOauthPluginEnabled>"
            ),
            "Ledger.ecaGlblOauth": child(GLOBAL_OAUTH, "Ledger", "<isPkceRequired>false</isPkceRequired>"),
        }
    )
    assert verdict(org.apps[0], "eca-pkce") is Verdict.FAIL
    assert verdict(org.apps[0], "eca-scopes") is Verdict.UNVERIFIABLE


POLICIES_ONLY = child(
    OAUTH_POLICIES, "harbor__Vault", "<permittedUsersPolicyType>AllSelfAuthorized</permittedUsersPolicyType>"
)


@pytest.mark.parametrize("name", ["harbor__Vault", "Vault"])
def test_only_policies_of_an_app_with_a_namespace_show_a_package(name: str) -> None:
    """Where only an administrator's policies of an app with a namespace are there, its publisher keeps the rest."""
    org = org_of({"Vault.ecaOauthPlcy": POLICIES_ONLY.replace(b"harbor__Vault", name.encode())})
    (app,) = org.apps
    packaged = name == "harbor__Vault"
    assert app.managed is packaged
    expected = Verdict.MANUAL if packaged else Verdict.UNVERIFIABLE
    assert {verdict(app, control) for control in ("eca-pkce", "eca-scopes", "eca-jwt-bearer")} == {expected}
    assert verdict(app, "sbs-oauth-002") is Verdict.FAIL
    if packaged:
        assert verdict(app, "sbs-dep-006") is Verdict.NOT_APPLICABLE


def test_a_broken_file_of_an_app_does_not_show_a_package() -> None:
    """An app whose own file is there and cannot be read is not taken for one of a package."""
    org = org_of({"harbor__Vault.eca": b"<External", "Vault.ecaOauthPlcy": POLICIES_ONLY})
    assert not org.apps[0].managed
    assert verdict(org.apps[0], "eca-pkce") is Verdict.UNVERIFIABLE


def test_components_that_name_the_app_with_the_orgs_namespace_belong_to_it() -> None:
    """Children that name acme__ExtApp belong to the app whose own file is called ExtApp, and are one app with it."""
    org = org_of(
        {
            "ExtApp.eca": xml("ExternalClientApplication", "<distributionState>Packaged</distributionState>"),
            "ExtApp.ecaGlblOauth": child(GLOBAL_OAUTH, "acme__ExtApp", "<isPkceRequired>false</isPkceRequired>"),
            "ExtApp.ecaOauth": child(
                OAUTH, "acme__ExtApp", "<commaSeparatedOauthScopes>Full</commaSeparatedOauthScopes>"
            ),
        }
    )
    assert names(org) == [(EXTERNAL_CLIENT_APP, "ExtApp")]
    assert verdict(org.apps[0], "eca-pkce") is Verdict.FAIL
    assert verdict(org.apps[0], "eca-scopes") is Verdict.FAIL
    assert org.notes == ()


def test_a_broken_component_with_the_orgs_namespace_belongs_to_the_app() -> None:
    """Provisioning that names a connected app with the org's namespace belongs to it too."""
    provisioning = xml("UserProvisioningConfig", "<connectedApp>acme__Stock_Sync</connectedApp><enabled>true</enabled>")
    org = org_of({PATH: connected_app(), "Users.userProvisioningConfig": provisioning})
    assert value_of(org.apps[0].settings, "UserProvisioningConfig.enabled") is True


@pytest.mark.parametrize(
    ("namespace", "others"),
    [
        ("harbor", {"harbor__ExtApp.eca": xml("ExternalClientApplication")}),
        ("acme", {"ExtApp_2.ecaOauthPlcy": child(OAUTH_POLICIES, "harbor__ExtApp")}),
        ("harbor", {"ExtApp_2.ecaOauthPlcy": child(OAUTH_POLICIES, "ExtApp")}),
    ],
    ids=["a file of that name", "a second namespace", "a component of its own"],
)
def test_an_app_of_a_package_is_not_taken_for_one_of_the_same_name(namespace: str, others: Mapping[str, bytes]) -> None:
    """Components that name a namespace belong to another app where something shows that there is one."""
    org = org_of(
        {
            "ExtApp.eca": xml("ExternalClientApplication"),
            "ExtApp_1.ecaOauthPlcy": child(OAUTH_POLICIES, f"{namespace}__ExtApp"),
            **others,
        }
    )
    assert len(names(org)) > 1
    assert all(not app.problems for app in org.apps)


@pytest.mark.parametrize("type_name", [GLOBAL_OAUTH, OAUTH, OAUTH_POLICIES])
@pytest.mark.parametrize("content", ["truncated", "without parent", "document type"])
def test_broken_component_never_means_no_oauth(type_name: str, content: str) -> None:
    """A component that cannot be read may be that of any app that has none: it is never said to have no OAuth."""
    suffix = next(known.suffix for known in METADATA_TYPES.values() if known.name == type_name)
    broken = {
        "truncated": child(type_name, "Ledger")[:-8],
        "without parent": xml(type_name),
        "document type": b"<!DOCTYPE x>" + child(type_name, "Ledger").partition(b"?>\n")[2],
    }[content]
    org = org_of(
        {
            "Ledger.eca": xml("ExternalClientApplication"),
            f"Mystery.{suffix}": broken,
            "Payslips.eca": xml("ExternalClientApplication"),
            "Payslips.ecaGlblOauth": child(GLOBAL_OAUTH, "Payslips", "<isPkceRequired>true</isPkceRequired>"),
            "Payslips.ecaOauth": child(OAUTH, "Payslips"),
            "Payslips.ecaOauthPlcy": child(OAUTH_POLICIES, "Payslips"),
        }
    )
    ledger = app_of(org, "Ledger")
    assert isinstance(ledger.settings["oauth"], Unreadable)
    assert f"force-app/Mystery.{suffix}:" in ledger.settings["oauth"].reason
    found = [evaluate(control, ledger, org) for control in CATALOGUE.of(EXTERNAL_CLIENT_APP)]
    # The file that cannot be read may be the app's, and may hold its secret.
    assert [one.control.id for one in found if one.verdict is Verdict.PASS] == []
    assert not [one.control.id for one in found if "has no OAuth" in one.message]
    assert not app_of(org, "Mystery").readable
    assert verdict(app_of(org, "Payslips"), "eca-pkce") is Verdict.PASS
    assert not app_of(org, "Payslips").problems


@pytest.mark.parametrize("path", [PATH, "Ledger.eca", "Ledger.ecaGlblOauth"])
def test_app_that_cannot_be_read_is_not_without_oauth(path: str) -> None:
    """Whether an app has OAuth cannot be told where its file cannot be read."""
    (app,) = org_of({path: b"<ConnectedApp>"}).apps
    assert not app.readable
    assert app.problems[0].startswith(f"force-app/{path}:1: not well-formed XML")
    assert isinstance(app.settings["oauth"], Unreadable)


def test_broken_app_stays_though_its_provisioning_is_fine() -> None:
    """A connected app that cannot be read is there with its problem, also where another file refers to it."""
    org = org_of(
        {
            PATH: b"<ConnectedApp>",
            "Users.userProvisioningConfig": xml(
                "UserProvisioningConfig", "<connectedApp>Stock_Sync</connectedApp><enabled>true</enabled>"
            ),
        }
    )
    assert [app.name for app in org.apps if app.problems] == ["Stock_Sync"]


def test_broken_app_is_not_said_to_be_missing() -> None:
    """Of an app whose file is there and cannot be read, nothing says that no file was found."""
    org = org_of({"Ledger.eca": b"<External", "Ledger.ecaGlblOauth": child(GLOBAL_OAUTH, "Ledger")})
    assert app_of(org, "Ledger").problems
    assert "no file was found" not in everything(org)


@pytest.mark.parametrize("type_name", ["ConnectedApp", GLOBAL_OAUTH])
def test_consumer_key_and_secret_are_never_kept(type_name: str) -> None:
    """A consumer key or secret in a file is nowhere in what is kept, but the file and line of the secret are kept."""
    org = org_of({"Ledger.connectedApp": secret_holder(type_name)})
    assert PLANTED not in everything(org)
    assert PLANTED not in repr(pickle.loads(pickle.dumps([org]))[0].apps[0].settings)
    assert PLANTED not in repr(said(org))
    found = org.apps[0].settings["consumer_secret_committed"]
    assert found == Seen(found.name, True, "force-app/Ledger.connectedApp", 5, "a consumer secret")


def test_push_credentials_are_not_even_read(tmp_path: Path) -> None:
    """Files with credentials of push services are left alone."""
    push = child("ExtlClntAppPushSettings", "Ledger", f"<password>{PLANTED}</password>")
    org = read_folder(written(tmp_path, {"Ledger.ecaPush": push, "Ledger.eca": xml("ExternalClientApplication")}))
    assert PLANTED not in everything(org)
    assert (org.apps[0].problems, org.notes) == ((), ())


@pytest.mark.parametrize("kind", [CONNECTED_APP, EXTERNAL_CLIENT_APP])
@pytest.mark.parametrize(
    ("inner", "client_type", "why"),
    [
        ("<callbackUrl>https://stock.example/callback</callbackUrl>", "private", "assumed: nothing shows"),
        ("<callbackUrl>stockfield://oauth/done</callbackUrl>", "public", "inferred: every callback URL"),
        ("<callbackUrl>com.stock.field:/oauth</callbackUrl>", "public", "inferred: every callback URL"),
        (
            "<callbackUrl>https://stock.example/a\ncom.stock.field:/oauth</callbackUrl>",
            "private",
            "assumed: nothing shows",
        ),
        (
            "<callbackUrl>http://localhost:1717/OauthRedirect</callbackUrl>",
            "public",
            "inferred: every callback URL is a loopback URL",
        ),
        (
            "<callbackUrl>HTTP://LOCALHOST/done</callbackUrl>",
            "public",
            "inferred: every callback URL is a loopback URL",
        ),
        (
            "<callbackUrl>http://127.0.0.1:8080/done</callbackUrl>",
            "public",
            "inferred: every callback URL is a loopback URL",
        ),
        (
            "<callbackUrl>http://[::1]:8080/done</callbackUrl>",
            "public",
            "inferred: every callback URL is a loopback URL",
        ),
        ("<callbackUrl>https://localhost.stock.example/done</callbackUrl>", "private", "assumed: nothing shows"),
        ("<callbackUrl>https://stock.example/localhost</callbackUrl>", "private", "assumed: nothing shows"),
        ("<callbackUrl>localhost:8080/done</callbackUrl>", "public", "inferred: every callback URL is a loopback URL"),
        ("<callbackUrl>stock:8080</callbackUrl>", "private", "assumed: nothing shows"),
        ("<callbackUrl>https://[stock</callbackUrl>", "private", "assumed: nothing shows"),
        (
            f"<callbackUrl>stockfield://done</callbackUrl><certificate>{CERTIFICATE}</certificate>",
            "private",
            "shown by its certificate",
        ),
        (
            "<callbackUrl>stockfield://done</callbackUrl><certificate>Stock_Key</certificate>",
            "public",
            "inferred: every callback URL",
        ),
        (
            "<callbackUrl>stockfield://done</callbackUrl><certificate>${CERT}</certificate>",
            "public",
            "inferred: every callback URL",
        ),
        ("<isPkceRequired>true</isPkceRequired>", "private", "assumed: nothing shows"),
    ],
)
def test_client_type_follows_from_callback_urls(kind: str, inner: str, client_type: str, why: str) -> None:
    """An app is public where every callback ends on a device and nothing shows a secret; the evidence says why."""
    if kind == CONNECTED_APP:
        org = org_of({PATH: connected_app(f"<oauthConfig>{inner}</oauthConfig>")})
    else:
        org = org_of({"a.ecaGlblOauth": child(GLOBAL_OAUTH, "Stock_Sync", inner)})
    found = org.apps[0].settings["client_type"]
    assert isinstance(found, Seen)
    assert found.value == client_type
    assert found.shown is not None
    assert found.shown.startswith(f"{client_type} (")
    assert why in found.shown


def test_client_type_is_unknown_without_callback_settings() -> None:
    """The client type of an app whose callback URLs were not read cannot be told."""
    org = org_of({"Ledger.eca": xml("ExternalClientApplication"), "Ledger.ecaOauth": child(OAUTH, "Ledger")})
    assert isinstance(org.apps[0].settings["client_type"], Unreadable)


@pytest.mark.parametrize("prefix", ["", "unpackaged/"])
def test_folder_and_zip_are_the_same(tmp_path: Path, prefix: str) -> None:
    """A folder and a zip of it have the same digest and the same verdicts."""
    content = {prefix + path: data for path, data in DEMO_FILES.items()}
    folder = read_folder(written(tmp_path / "folder", content))
    archive = read_archive(zipped(tmp_path / "org.zip", content), ORG_ZIP)
    assert folder.sha256 == archive.sha256
    assert [one[:3] for one in said(folder)] == [one[:3] for one in said(archive)]
    assert [app.source.partition("/")[2] for app in folder.apps] == [
        app.source.partition("!/")[2] for app in archive.apps
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {PATH: connected_app("<label>Store</label>")},
        {"connectedApps/Store.connectedApp": connected_app("<label>Stock</label>")},
        {PATH: connected_app("<label>Stock</label>"), "Other.eca": b""},
    ],
    ids=["content", "name", "one-more"],
)
def test_digest_tells_readings_apart(changed: dict[str, bytes]) -> None:
    """The digest is another one when a file's content or name changes, or a file is added."""
    org = org_of({PATH: connected_app("<label>Stock</label>")})
    assert org.sha256 != org_of(changed).sha256


@pytest.mark.parametrize("source", ["folder", "zip"])
@pytest.mark.parametrize("hidden", [".sfdx/", ".git/modules/", "node_modules/harbor/", "main/.cache/", "node_modules/"])
def test_hidden_folders_are_left_out(tmp_path: Path, source: str, hidden: str) -> None:
    """What tools keep in hidden folders and node_modules is not the org's, in a folder as in a zip of it."""
    content = {PATH: connected_app(), f"{hidden}connectedApps/Copy.connectedApp": connected_app()}
    if source == "folder":
        org = read_folder(written(tmp_path, content))
    else:
        org = read_archive(zipped(tmp_path / "org.zip", content), ORG_ZIP)
    assert names(org) == [(CONNECTED_APP, "Stock_Sync")]


def test_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    """A link to a folder, outside or to the folder itself, is not followed."""
    outside = written(tmp_path / "outside", {"Foreign.connectedApp": connected_app()})
    folder = written(tmp_path / "org", {PATH: connected_app()})
    (folder / "more").symlink_to(outside, target_is_directory=True)
    (folder / "connectedApps" / "again").symlink_to(folder, target_is_directory=True)
    org = read_folder(folder)
    assert names(org) == [(CONNECTED_APP, "Stock_Sync")]
    assert org.apps[0].problems == ()


@given(st.permutations(sorted(MIXED_FILES)))
@settings(max_examples=20, deadline=None)
def test_order_of_files_does_not_matter(order: list[str]) -> None:
    """The same files in another order are the same org, settings, problems and notes included."""
    assert everything(org_of({path: MIXED_FILES[path] for path in order})) == everything(org_of(MIXED_FILES))


def test_snapshot_keeps_every_verdict(tmp_path: Path) -> None:
    """What reaches the workers of a distributed run says the same of every case, word for word."""
    org = sources.read("demo", tmp_path)
    (copy,) = pickle.loads(pickle.dumps([org]))
    assert said(copy) == said(org)
    assert everything(copy) == everything(org)


def test_snapshot_keeps_what_is_wrong() -> None:
    """Problems, notes and strange names survive the way to the workers."""
    org = org_of(
        {"connectedApps/%1B%5BmRed\udcff.connectedApp": b"<", "a.ecaOauth": child(OAUTH, "Gone"), "b.settings": b""}
    )
    (copy,) = pickle.loads(pickle.dumps([org]))
    assert everything(copy) == everything(org)
    assert said(copy) == said(org)


BOOLEANS = sorted(
    (known.name, known.parent, name)
    for known in METADATA_TYPES.values()
    if known.suffix
    for name, spec in known.fields.items()
    if spec.type == "boolean"
)
ALMOST_TRUE = [
    "true",
    "1",
    "TRUE",
    "True",
    "yes",
    "on",
    "t",
    "01",
    "1.0",
    "tru e",
    "\uff54\uff52\uff55\uff45",
    "\uff11",
    "false",
    "0",
    "true true",
]


@given(
    boolean=st.sampled_from(BOOLEANS),
    text=st.sampled_from(ALMOST_TRUE) | st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=8),
    space=st.sampled_from(["", " ", "\n\t", "\r\n"]),
)
def test_boolean_is_true_only_where_the_text_says_so(boolean: tuple[str, str, str], text: str, space: str) -> None:
    """No text but true and 1 turns a boolean setting on."""
    type_name, parent, name = boolean
    *groups, last = name.split(".")
    inner = f"<{last}>{space}{escape(text)}{space}</{last}>"
    for group in reversed(groups):
        inner = f"<{group}>{inner}</{group}>"
    content = xml(type_name, (f"<{parent}>Ledger</{parent}>" if parent else "") + inner)
    component = None
    with suppress(UnreadableFile):
        component = parse(content, PATH)
    found = [] if component is None else [one for one in seen(component.settings).values() if one.value is True]
    assert bool(found) is (text.strip() in ("true", "1"))


def failure(content: bytes) -> str:
    """Return why a file cannot be read; empty where it can."""
    try:
        parse(content, PATH)
    except UnreadableFile as error:
        return str(error)
    return ""


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_arbitrary_bytes_are_no_file(content: bytes) -> None:
    """Bytes of no meaning are an unreadable file, named with a line, and nothing worse."""
    assert failure(content).startswith(f"{PATH}:")


@given(mutated(sorted(DEMO_FILES.values())))
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_mutated_file_is_read_or_named(content: bytes) -> None:
    """A damaged file is read, or it is unreadable and named with a line; every control then has something to say."""
    reason = failure(content)
    assert not reason or reason.partition(" ")[0].strip(":").rpartition(":")[2].isdecimal()
    org = org_of({PATH: content, "Ledger.eca": xml("ExternalClientApplication")})
    assert len(said(org)) == len(list(subjects(org, CATALOGUE)))


def small_zip(method: int) -> bytes:
    """Return a zip of two apps."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name in ("Stock_Sync", "Price_Feed"):
            archive.writestr(f"connectedApps/{name}.connectedApp", connected_app("<oauthConfig/>" * 30))
    return buffer.getvalue()


@st.composite
def flipped(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """Return a file in which a few bytes are others."""
    content = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 3))):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(content)


ZIPS = [small_zip(method) for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)]


@given(flipped(ZIPS) | mutated(ZIPS))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_mutated_zip_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    """A damaged zip is read, with problems of its apps, or refused with one line that names it."""
    path = tmp_path / "org.zip"
    path.write_bytes(content)
    try:
        org = read_archive(path, ORG_ZIP)
    except SourceError as error:
        refusal = str(error)
    else:
        refusal = "org.zip: " if org.apps else ""
    assert refusal.startswith("org.zip: ")


@pytest.mark.parametrize(
    "text", ["REPLACE_CERT", "${CERT}", "none", "__CERTIFICATE_PEM__", "Acme_Signing", "MIIB", "AAAA"]
)
def test_a_placeholder_is_not_a_certificate(text: str) -> None:
    """Only what can be parsed is a certificate; the reason names file and line, and does not repeat the text."""
    found = settings_of(f"<oauthConfig><certificate>{text}</certificate></oauthConfig>")["oauthConfig.certificate"]
    assert found == Unreadable("oauthConfig.certificate", f"{PATH}:3: oauthConfig.certificate is not a certificate")


@pytest.mark.parametrize(
    "text",
    [
        CERTIFICATE,
        "\n".join(CERTIFICATE[place : place + 64] for place in range(0, len(CERTIFICATE), 64)),
        f"-----BEGIN CERTIFICATE-----\n{CERTIFICATE}\n-----END CERTIFICATE-----",
        f"-----BEGIN CERTIFICATE----- {CERTIFICATE} -----END CERTIFICATE-----",
        f"subject=CN = sample\n-----BEGIN CERTIFICATE-----\n{CERTIFICATE}\n-----END CERTIFICATE-----\n" * 2,
    ],
    ids=["base64", "in lines", "PEM", "PEM in one line", "a bundle"],
)
def test_certificates_are_read_in_either_form(text: str) -> None:
    """A certificate in base64 or PEM is one, and reports do not print it."""
    found = settings_of(f"<oauthConfig><certificate>{text}</certificate></oauthConfig>")["oauthConfig.certificate"]
    assert isinstance(found, Seen)
    assert found.shown == "a certificate"
