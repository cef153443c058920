"""What input that is broken, hostile or mistaken gets: one clear line, never a traceback and never a silent pass."""

from __future__ import annotations

import base64
import os
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pytest_oauthcontrols.sources.parser import MAX_FILE

from .support.hostile_files import LAUGHS
from .support.metadata_files import BAD_PATH, DEMO_FILES, GOOD, GOOD_PATH, child, connected_app, xml, zipped
from .support.runs import Outcome, folder, outcome, run, run_apart, usage_error

PLANTED = "planted-7d20c3"

ENDLESS_PERIOD = (
    f"<oauthPolicy><refreshTokenPolicy>specific_lifetime:{'9' * 5000}:DAYS</refreshTokenPolicy></oauthPolicy>"
)


def failing_case(found: Outcome, beginning: str) -> str:
    """Return the message of the failing case of Price_Feed, a line of its own that begins with the file.

    The run ends with failures, and the app that is fine is assessed.
    """
    assert found.code == pytest.ExitCode.TESTS_FAILED
    assert found.verdicts["Price_Feed", "readable"] == "unverifiable"
    message = found.messages["Price_Feed", "readable"]
    assert message.startswith(f"cannot be verified: {beginning}")
    (line,) = [line for line in found.output.splitlines() if line == message]
    assert_good_app_is_assessed(found)
    return line


def assert_good_app_is_assessed(found: Outcome) -> None:
    """Check that the app that is fine has its verdicts."""
    assert found.verdicts["Stock_Sync", "ca-pkce"] == "pass"
    assert ("Stock_Sync", "readable") not in found.verdicts
    assert len([app for app, _ in found.verdicts if app == "Stock_Sync"]) > 20
    assert [control for app, control in found.verdicts if app is None]


@pytest.mark.parametrize(
    "org",
    ["./nowhere", "../nowhere/at/all", "./nowhere.zip", "./" + "n" * 300, "./loop", "./notes.txt", "./org.json"],
)
def test_path_that_is_none(pytester: pytest.Pytester, org: str) -> None:
    """A path that leads nowhere, or to something that holds no metadata, is a usage error that names it."""
    (pytester.path / "loop").symlink_to("loop")
    (pytester.path / "notes.txt").write_text("nothing", "utf-8")
    (pytester.path / "org.json").write_text("{}", "utf-8")
    assert usage_error(run(pytester, org=org)).startswith(f"{org}: ")


@pytest.mark.parametrize("org", ["uat", "Demo", "org"])
def test_name_that_is_no_org(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, org: str) -> None:
    """A name that no org has is a usage error that says what can be given, also where a folder has that name."""
    monkeypatch.setenv("PATH", str(pytester.path))
    folder(pytester, {GOOD_PATH: GOOD})
    message = usage_error(run(pytester, org=org))
    assert message.startswith(f"the Salesforce CLI (sf), which is asked for '{org}', is not installed; install it, or")
    assert f"./{org} for a folder" in message


@pytest.mark.parametrize(
    "content",
    [{}, {"README.md": b"# Nothing"}, {".sfdx/connectedApps/Copy.connectedApp": GOOD}],
    ids=["empty", "other", "hidden"],
)
def test_folder_without_metadata(pytester: pytest.Pytester, content: dict[str, bytes]) -> None:
    """A folder without any metadata of an app or org is a usage error that says so."""
    folder(pytester, {"keep/empty.txt": b"", **content})
    assert usage_error(run(pytester)).startswith("org: no connected app, external client app or settings of an org")


def test_archive_without_metadata(pytester: pytest.Pytester) -> None:
    """A zip without any metadata of an app or org is a usage error that says so."""
    zipped(pytester.path / "org.zip", {"README.md": b"# Nothing"})
    message = usage_error(run(pytester, org="./org.zip"))
    assert message.startswith("org.zip: no connected app, external client app or settings of an org")


def test_settings_without_an_app(pytester: pytest.Pytester) -> None:
    """A folder with settings of the org and no app is assessed, and the run says that there are 0 apps."""
    folder(pytester, {"settings/OauthOidc.settings": xml("OauthOidcSettings", "<isPkceRequired>true</isPkceRequired>")})
    found = run(pytester)
    assert found.code == pytest.ExitCode.TESTS_FAILED
    assert {app for app, _ in found.verdicts} == {None}
    assert "\norg: 0 apps, " in found.output
    assert "\n  0 apps were found: " in found.output


@pytest.mark.parametrize("path", [BAD_PATH, "externalClientApps/Price_Feed.eca-meta.xml"])
@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"To be done.\n", 1, "not well-formed XML"),
        (b"", 1, "not well-formed XML"),
        (b"\n\n\n", r"\d", "not well-formed XML"),
        (GOOD[: GOOD.index(b"</oauthConfig>")], r"\d", "not well-formed XML"),
        (GOOD[: GOOD.index(b"callback<")], r"\d", "not well-formed XML"),
        (GOOD.replace(b"</label>", b"</lable>"), 3, "not well-formed XML"),
        (GOOD + GOOD, r"\d", "not well-formed XML"),
        (GOOD.replace(b"Stock Sync", b"Caf\xe9"), 3, "not well-formed XML"),
        (GOOD.replace(b"Stock Sync", b"Stock\x1b[31mSync"), 3, "not well-formed XML"),
        (GOOD.replace(b"Stock Sync", b"Stock &sync;"), 3, "not well-formed XML"),
        (GOOD.replace(b"UTF-8", b"UTF-99"), 1, "not well-formed XML"),
        (GOOD.decode().encode("utf-16")[:-60], r"\d", "not well-formed XML"),
        (b"\x00\x01\x02\xff" * 100, 1, "not well-formed XML"),
        (connected_app("<a>" * 5000 + "</a>" * 5000), 3, "not well-formed XML"),
        (xml("Profile"), 2, "the root element 'Profile'"),
        (GOOD.replace(b"/2006/04/", b"/2099/04/"), 2, "the root element"),
        (b"<!DOCTYPE ConnectedApp>" + GOOD.partition(b"?>")[2], 1, "declares a document type"),
    ],
    ids=[
        *("text", "empty", "blank", "truncated", "cut-in-a-value", "crossed-tags", "two-roots", "latin-1", "control"),
        *("unknown-entity", "unknown-encoding", "half-utf-16", "binary", "too-deep", "unknown-root", "other-namespace"),
        "document-type",
    ],
)
def test_file_that_cannot_be_read(
    pytester: pytest.Pytester, path: str, content: bytes, line: int | str, words: str
) -> None:
    """A file of an app that cannot be read is a failing case that names file and line; the rest is assessed."""
    folder(pytester, {GOOD_PATH: GOOD, path: content})
    message = failing_case(run(pytester), f"org/{path}:")
    assert re.search(rf": org/{re.escape(path)}:{line}: .*{words}", message)


@pytest.mark.parametrize(
    "inner",
    [
        f"<!DOCTYPE x [<!ENTITY lol0 'ha'>{LAUGHS}]><ConnectedApp><label>&lol9;</label></ConnectedApp>",
        f"<!DOCTYPE x [<!ENTITY lol0 'ha'>{LAUGHS}]><ConnectedApp note='&lol9;'/>",
        "<!DOCTYPE x [<!ENTITY a '&b;'><!ENTITY b '&a;'>]><ConnectedApp><label>&a;</label></ConnectedApp>",
        f"<!DOCTYPE x [<!ENTITY a '{'ha' * 50_000}'>]><ConnectedApp><label>{'&a;' * 50_000}</label></ConnectedApp>",
        "<!DOCTYPE x [<!ENTITY a SYSTEM 'FILE'>]><ConnectedApp><label>&a;</label></ConnectedApp>",
        "<!DOCTYPE x [<!ENTITY % a SYSTEM 'FILE'>%a;]><ConnectedApp/>",
        "<!DOCTYPE x SYSTEM 'FILE'><ConnectedApp/>",
        "<!DOCTYPE x PUBLIC '-//Stock//Sync' 'http://127.0.0.1:9/x.dtd'><ConnectedApp><label>&a;</label></ConnectedApp>",
    ],
    ids=[
        *("laughs", "laughs-in-attribute", "endless", "quadratic", "external-entity", "parameter-entity"),
        *("external-dtd", "remote-dtd"),
    ],
)
def test_file_with_entities(pytester: pytest.Pytester, inner: str) -> None:
    """Entities are neither expanded nor fetched: the file is a failing case, and what they name is nowhere."""
    secret = pytester.path / "secret.txt"
    secret.write_text(f"<!ENTITY a '{PLANTED}'>", "utf-8")
    folder(pytester, {GOOD_PATH: GOOD, BAD_PATH: inner.replace("FILE", secret.as_uri()).encode()})
    found = run(pytester, "--junitxml=junit.xml")
    message = failing_case(found, f"org/{BAD_PATH}:")
    assert len(message) < 300
    written_to = ("results.json", "junit.xml")
    assert PLANTED not in found.output + "".join((pytester.path / name).read_text("utf-8") for name in written_to)


@pytest.mark.parametrize("parse", ["xml", "text"])
def test_inclusion_is_not_followed(pytester: pytest.Pytester, parse: str) -> None:
    """An inclusion of another file is an element that means nothing."""
    secret = pytester.path / "secret.txt"
    secret.write_text(f"<label>{PLANTED}</label>", "utf-8")
    include = f'<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="{secret.as_uri()}" parse="{parse}"/>'
    folder(pytester, {BAD_PATH: connected_app(f"<label>Price{include}Feed</label>{include}")})
    found = run(pytester)
    assert found.verdicts["Price_Feed", "ca-oauth-settings"] == "manual"
    assert PLANTED not in found.output + (pytester.path / "results.json").read_text("utf-8")


def test_utf_16_is_read(pytester: pytest.Pytester) -> None:
    """A file in UTF-16, as some editors save it, is assessed like any other, whatever its declaration says."""
    declared = GOOD.decode().replace("UTF-8", "UTF-16").encode("utf-16")
    folder(pytester, {GOOD_PATH: declared, BAD_PATH: GOOD.decode().encode("utf-16")})
    found = run(pytester)
    assert found.verdicts["Price_Feed", "ca-pkce"] == "pass"
    assert_good_app_is_assessed(found)


def test_broken_app_that_another_file_refers_to(pytester: pytest.Pytester) -> None:
    """An app that cannot be read is a failing case, also where a file that can be read belongs to it."""
    provisioning = xml("UserProvisioningConfig", "<connectedApp>Price_Feed</connectedApp><enabled>true</enabled>")
    content = {GOOD_PATH: GOOD, BAD_PATH: b"<ConnectedApp>", "Users.userProvisioningConfig": provisioning}
    folder(pytester, content)
    failing_case(run(pytester), f"org/{BAD_PATH}:")


def test_component_without_its_app(pytester: pytest.Pytester) -> None:
    """A component of an external client app that no file describes is named with the app that it refers to."""
    path = "extlClntAppGlobalOauthSets/Gone_glbloauth.ecaGlblOauth"
    inner = "<isPkceRequired>false</isPkceRequired>"
    folder(pytester, {GOOD_PATH: GOOD, path: child("ExtlClntAppGlobalOauthSettings", "Gone", inner)})
    found = run(pytester)
    (line,) = [line for line in found.output.splitlines() if line.startswith("  note: ")]
    assert line == f"  note: org/{path}:3: refers to the external client app Gone, of which no file was found"
    assert found.verdicts["Gone", "eca-pkce"] == "fail"
    assert_good_app_is_assessed(found)


def test_component_that_names_no_app(pytester: pytest.Pytester) -> None:
    """A component without the name of its app is a failing case, and no app is taken for one without OAuth."""
    path = "extlClntAppGlobalOauthSets/Price_Feed.ecaGlblOauth"
    content = xml("ExtlClntAppGlobalOauthSettings", "<isPkceRequired>true</isPkceRequired>")
    folder(pytester, {GOOD_PATH: GOOD, path: content, "Ledger.eca": xml("ExternalClientApplication")})
    found = run(pytester)
    message = failing_case(found, f"org/{path}:")
    assert "has no externalClientApplication element" in message
    assert found.verdicts["Ledger", "eca-pkce"] == "unverifiable"
    assert f"org/{path}:2" in found.messages["Ledger", "eca-pkce"]


def test_two_files_for_one_app(pytester: pytest.Pytester) -> None:
    """Two files that describe an app differently are a failing case that names both; the app is assessed."""
    folder(
        pytester, {BAD_PATH: connected_app("<oauthConfig/>"), f"{BAD_PATH}-meta.xml": connected_app(), GOOD_PATH: GOOD}
    )
    found = run(pytester)
    message = failing_case(found, f"org/{BAD_PATH}-meta.xml describes Price_Feed too, with other settings; ")
    assert f"org/{BAD_PATH} was assessed, remove one of the two" in message
    assert found.verdicts["Price_Feed", "ca-pkce"] == "fail"


def test_two_apps_of_one_name(pytester: pytest.Pytester) -> None:
    """A connected app and an external client app of the same name are two apps, each with its own cases."""
    folder(pytester, {GOOD_PATH: GOOD, "Stock_Sync.eca": xml("ExternalClientApplication")})
    found = run(pytester)
    assert {"ca-pkce", "eca-pkce"} <= {control for app, control in found.verdicts if app == "Stock_Sync"}
    assert_good_app_is_assessed(found)


@pytest.mark.parametrize(
    ("path", "content", "setting", "control"),
    [
        (
            BAD_PATH,
            connected_app("<oauthConfig/>\n<oauthPolicy>\n<ipRelaxation>FOO</ipRelaxation></oauthPolicy>"),
            "oauthPolicy.ipRelaxation",
            "ca-ip-relaxation",
        ),
        (
            BAD_PATH,
            connected_app("<samlConfig>\n\n<samlSigningAlgoType>FOO</samlSigningAlgoType></samlConfig>"),
            "samlConfig.samlSigningAlgoType",
            "ca-saml-sha256",
        ),
        (
            "Price_Feed.ecaOauthPlcy",
            child(
                "ExtlClntAppOauthConfigurablePolicies",
                "Price_Feed",
                "\n\n<permittedUsersPolicyType>FOO</permittedUsersPolicyType>",
            ),
            "ExtlClntAppOauthConfigurablePolicies.permittedUsersPolicyType",
            "sbs-oauth-002",
        ),
    ],
    ids=["ip-relaxation", "saml-algorithm", "permitted-users"],
)
def test_unknown_value(pytester: pytest.Pytester, path: str, content: bytes, setting: str, control: str) -> None:
    """A value that Salesforce does not document fails its control and is shown with its file and line."""
    folder(pytester, {GOOD_PATH: GOOD, path: content})
    found = run(pytester)
    assert found.verdicts["Price_Feed", control] == "fail"
    assert f" {setting} = FOO at org/{path}:5 " in " ".join(found.output.split())
    assert_good_app_is_assessed(found)


@pytest.mark.parametrize(
    ("inner", "control", "words"),
    [
        ("<isPkceRequired>yes</isPkceRequired>", "ca-pkce", "'yes', neither true nor false"),
        ("<isPkceRequired>true</isPkceRequired><isPkceRequired>0</isPkceRequired>", "ca-pkce", "a second time"),
        ("</oauthConfig><ipRanges><start>a</start></ipRanges><oauthConfig>", "ca-trusted-ip-ranges", "no range"),
    ],
)
def test_value_that_is_none(pytester: pytest.Pytester, inner: str, control: str, words: str) -> None:
    """A value that is none, or that is contradicted, cannot be verified, and the message names file and line."""
    folder(pytester, {GOOD_PATH: GOOD, BAD_PATH: connected_app(f"<oauthConfig>\n{inner}</oauthConfig>")})
    found = run(pytester)
    assert found.verdicts["Price_Feed", control] == "unverifiable"
    assert f"org/{BAD_PATH}:4: " in found.messages["Price_Feed", control]
    assert words in found.messages["Price_Feed", control]
    assert_good_app_is_assessed(found)


def certificate_of_version(version: int) -> str:
    """Return a certificate that states a version that there is not."""
    text = DEMO_FILES["connectedApps/Warehouse_Sync.connectedApp-meta.xml"].decode()
    pem = text.partition("<certificate>")[2].partition("</certificate>")[0]
    known = x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    changed = known.replace(b"\xa0\x03\x02\x01\x02", bytes([0xA0, 3, 2, 1, version]), 1)
    assert changed != known
    return base64.b64encode(changed).decode()


@pytest.mark.parametrize(
    ("inner", "control", "verdict"),
    [
        (
            f"<oauthConfig><certificate>{certificate_of_version(9)}</certificate></oauthConfig>",
            "ca-digital-signature",
            "unverifiable",
        ),
        ("<oauthConfig><certificate>-----BEGIN x</certificate></oauthConfig>", "ca-digital-signature", "unverifiable"),
        (
            "<oauthConfig/><ipRanges><start>fe80::1%a-b</start><end>fe80::9%a-b</end></ipRanges>",
            "ca-trusted-ip-ranges",
            "unverifiable",
        ),
        (
            "<label>Salesforce CLI</label><oauthConfig/>" + ENDLESS_PERIOD,
            "sbs-dep-006",
            "fail",
        ),
    ],
    ids=["version-of-certificate", "half-a-certificate", "scope-of-address", "endless-period"],
)
def test_value_that_no_control_may_choke_on(pytester: pytest.Pytester, inner: str, control: str, verdict: str) -> None:
    """A value that is well-formed and makes no sense gets a verdict, never a pass."""
    folder(pytester, {GOOD_PATH: GOOD, BAD_PATH: connected_app(inner)})
    found = run(pytester)
    assert found.verdicts["Price_Feed", control] == verdict
    assert_good_app_is_assessed(found)


@pytest.mark.slow
def test_pipe_and_folder_named_like_metadata(pytester: pytest.Pytester) -> None:
    """A pipe is not waited for but is a failing case; a folder is looked into."""
    org = folder(pytester, {GOOD_PATH: GOOD, "Till.connectedApp/Till.connectedApp": GOOD, "Dock.eca/keep.txt": b""})
    os.mkfifo(org / "connectedApps" / "Price_Feed.connectedApp")
    found = run_apart(pytester)
    assert failing_case(found, f"org/{BAD_PATH}:").endswith("is not a file")
    assert {app for app, _ in found.verdicts} == {None, "Stock_Sync", "Price_Feed", "Till"}


def test_pipe_named_like_a_zip(pytester: pytest.Pytester) -> None:
    """A pipe in place of a zip is not waited for but is a usage error."""
    os.mkfifo(pytester.path / "org.zip")
    assert "org.zip: " in usage_error(run_apart(pytester, org="./org.zip"))


def test_link_that_leads_nowhere(pytester: pytest.Pytester) -> None:
    """A link named like metadata whose file is gone is a failing case."""
    org = folder(pytester, {GOOD_PATH: GOOD})
    (org / BAD_PATH).symlink_to("gone")
    failing_case(run(pytester), f"org/{BAD_PATH}:")


def lock(path: Path) -> None:
    """Take away the permission to read; skips the test where its user can read everything all the same."""
    path.chmod(0)
    if os.access(path, os.R_OK):
        path.chmod(0o700)
        pytest.skip("this user reads everything")


def test_folder_without_permission(pytester: pytest.Pytester) -> None:
    """A folder that may not be read is a usage error that names it: what is in it would be missing."""
    org = folder(pytester, {GOOD_PATH: GOOD, "locked/Price_Feed.connectedApp": GOOD})
    lock(org / "locked")
    found = run(pytester)
    (org / "locked").chmod(0o700)
    assert usage_error(found) == "org/locked/: cannot be read: Permission denied"


def test_file_without_permission(pytester: pytest.Pytester) -> None:
    """A file that may not be read is a failing case."""
    org = folder(pytester, {GOOD_PATH: GOOD, BAD_PATH: GOOD})
    lock(org / BAD_PATH)
    assert failing_case(run(pytester), f"org/{BAD_PATH}:").endswith("cannot be read: Permission denied")


def test_file_that_is_too_large(pytester: pytest.Pytester) -> None:
    """A file that is larger than any metadata is a failing case and is not read into memory."""
    org = folder(pytester, {GOOD_PATH: GOOD})
    with (org / BAD_PATH).open("wb") as stream:
        stream.truncate(600_000_000)
    assert "is larger than" in failing_case(run(pytester), f"org/{BAD_PATH}:")


def archive(path: Path, change: Callable[[bytearray], None], method: int = zipfile.ZIP_DEFLATED) -> None:
    """Write a zip of two apps, the second of them changed in its bytes; both headers of a member begin with PK."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr(GOOD_PATH, GOOD)
        target.writestr(BAD_PATH, connected_app("<oauthConfig/>" * 50), method)
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)


def headers(content: bytearray) -> tuple[int, int]:
    """Return where the two headers of the second app begin, the one beside its content first."""
    return content.rindex(b"PK\x03\x04"), content.rindex(b"PK\x01\x02")


def encrypt(content: bytearray) -> None:
    """Set the bit that says that the app is encrypted."""
    local, central = headers(content)
    content[local + 6] |= 1
    content[central + 8] |= 1


def compress_strangely(content: bytearray) -> None:
    """Name a method of compression that there is not."""
    local, central = headers(content)
    content[local + 8] = content[central + 10] = 97


def damage(content: bytearray) -> None:
    """Change bytes in the middle of the compressed content."""
    local, central = headers(content)
    start = (local + central) // 2
    content[start : start + 12] = b"\xff" * 12


def misname(content: bytearray) -> None:
    """Claim that the name beside the content is UTF-8, which it is not."""
    local, _ = headers(content)
    content[local + 7] |= 8
    content[local + 30] = 0xFF


def mistake_checksum(content: bytearray) -> None:
    """Change the checksum of the content."""
    content[headers(content)[1] + 16] ^= 0xFF


@pytest.mark.parametrize(
    ("change", "method"),
    [
        (encrypt, zipfile.ZIP_DEFLATED),
        (compress_strangely, zipfile.ZIP_DEFLATED),
        (misname, zipfile.ZIP_DEFLATED),
        (mistake_checksum, zipfile.ZIP_DEFLATED),
        (damage, zipfile.ZIP_STORED),
        (damage, zipfile.ZIP_DEFLATED),
        (damage, zipfile.ZIP_BZIP2),
        (damage, zipfile.ZIP_LZMA),
    ],
)
def test_member_that_cannot_be_unpacked(
    pytester: pytest.Pytester, change: Callable[[bytearray], None], method: int
) -> None:
    """A member of a zip that is encrypted, damaged or strangely packed is a failing case; the others are assessed."""
    archive(pytester.path / "org.zip", change, method)
    message = failing_case(run(pytester, org="./org.zip"), f"org.zip!/{BAD_PATH}:")
    assert "is encrypted" in message or "cannot be unpacked" in message


def cut(content: bytearray) -> None:
    """Take the end away."""
    del content[len(content) // 2 :]


def cut_short(content: bytearray) -> None:
    """Take the last bytes away."""
    del content[-5:]


def empty(content: bytearray) -> None:
    """Leave nothing."""
    content.clear()


def write_text(content: bytearray) -> None:
    """Hold a text instead."""
    content[:] = b"To be done.\n"


def write_tarball(content: bytearray) -> None:
    """Hold the beginning of another kind of archive instead."""
    content[:] = b"\x1f\x8b\x08\x00" + bytes(600)


def need_later_version(content: bytearray) -> None:
    """Claim that a later version of the format is needed."""
    content[headers(content)[1] + 6] = 99


def misname_listing(content: bytearray) -> None:
    """Claim that the name in the list of contents is UTF-8, which it is not."""
    _, central = headers(content)
    content[central + 9] |= 8
    content[central + 46] = 0xFF


@pytest.mark.parametrize(
    "change",
    [cut, cut_short, empty, write_text, write_tarball, need_later_version, misname_listing],
)
def test_archive_that_cannot_be_read(pytester: pytest.Pytester, change: Callable[[bytearray], None]) -> None:
    """A zip that is none, or is cut short or damaged, is a usage error that names it."""
    archive(pytester.path / "org.zip", change)
    assert usage_error(run(pytester, org="./org.zip")).startswith("org.zip: ")


def test_archive_with_a_gap(pytester: pytest.Pytester) -> None:
    """A zip from which a stretch is missing is refused, or each of its apps is a failing case."""

    def cut_out(content: bytearray) -> None:
        del content[40:400]

    archive(pytester.path / "org.zip", cut_out)
    found = run(pytester, org="./org.zip")
    apps = {case: verdict for case, verdict in found.verdicts.items() if case[0] is not None}
    if found.code == pytest.ExitCode.USAGE_ERROR:
        assert usage_error(found).startswith("org.zip: ")
    else:
        assert apps == {("Stock_Sync", "readable"): "unverifiable", ("Price_Feed", "readable"): "unverifiable"}


@pytest.mark.parametrize(
    "name",
    [
        "../Price_Feed.connectedApp",
        "connectedApps/../../Price_Feed.connectedApp",
        "../README.md",
        "/etc/Price_Feed.connectedApp",
        "C:/Price_Feed.connectedApp",
        "C:\\Price_Feed.connectedApp",
        "..\\Price_Feed.connectedApp",
        "connectedApps\\..\\..\\Price_Feed.connectedApp",
        "\\\\files\\share\\Price_Feed.connectedApp",
    ],
)
def test_archive_with_names_that_lead_out_of_it(pytester: pytest.Pytester, name: str) -> None:
    """A zip with a name that leads out of it is a usage error that names both, and nothing is unpacked."""
    zipped(pytester.path / "org.zip", {GOOD_PATH: GOOD, name: GOOD})
    message = usage_error(run(pytester, org="./org.zip"))
    assert message.startswith(f"org.zip: holds '{name}', a name that leads out of the archive")
    assert sorted(path.name for path in pytester.path.iterdir()) == ["org.zip"]


def test_archive_with_backslashes(pytester: pytest.Pytester) -> None:
    """A zip whose names have backslashes between folders, as some programs write them, is read."""
    zipped(pytester.path / "org.zip", {GOOD_PATH.replace("/", "\\"): GOOD})
    assert_good_app_is_assessed(run(pytester, org="./org.zip"))


def test_name_in_an_archive_does_not_reach_the_terminal(pytester: pytest.Pytester) -> None:
    """A name with escape characters in a zip that is refused is printed with them spelled out."""
    zipped(pytester.path / "org.zip", {"../\x1b[31mPrice\x9b_Feed\u202e.connectedApp": GOOD})
    assert "\\x1b[31mPrice\\x9b_Feed\\u202e" in usage_error(run(pytester, org="./org.zip"))


def write_large(path: Path, piece: bytes, times: int, method: int) -> None:
    """Write a zip whose second app is large and packs well."""
    with zipfile.ZipFile(path, "w", method, compresslevel=1) as target:
        target.writestr(GOOD_PATH, GOOD, zipfile.ZIP_STORED)
        with target.open(BAD_PATH, "w") as stream:
            stream.write(b"<ConnectedApp>")
            for _ in range(times):
                stream.write(piece)
            stream.write(b"</ConnectedApp>")


def understate(path: Path) -> None:
    """State that the second app has 100 bytes."""
    content = bytearray(path.read_bytes())
    local, central = headers(content)
    content[local + 22 : local + 26] = content[central + 24 : central + 28] = (100).to_bytes(4, "little")
    path.write_bytes(content)


def overstate(path: Path) -> None:
    """State that the second app has 600 MB."""
    content = bytearray(path.read_bytes())
    local, central = headers(content)
    content[local + 22 : local + 26] = content[central + 24 : central + 28] = (600_000_000).to_bytes(4, "little")
    path.write_bytes(content)


PEAK = """
import re, sys
from pathlib import Path
import pytest
code = pytest.main(["--sf-org=./org.zip", "--sf-json=results.json", "-p", "no:cacheprovider"])
print("peak", re.search("VmHWM: *([0-9]+) kB", Path("/proc/self/status").read_text().expandtabs(1))[1])
sys.exit(code)
"""
"""Prints its own peak memory in kB; `getrusage` would count that of the process that started it too."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize(
    ("piece", "times", "method", "change"),
    [
        (b" " * 1_000_000, 600, zipfile.ZIP_DEFLATED, None),
        (b" " * 1_000_000, 600, zipfile.ZIP_DEFLATED, understate),
        (b" ", 1, zipfile.ZIP_STORED, overstate),
        (b" " * 1_000_000, 300, zipfile.ZIP_BZIP2, None),
        (b"<a/>" * 250_000, MAX_FILE // 1_000_000, zipfile.ZIP_DEFLATED, None),
    ],
    ids=["holds-600-MB", "states-less", "states-600-MB", "holds-300-MB-bzip2", "nothing-but-tags"],
)
def test_large_member_takes_little_memory(
    pytester: pytest.Pytester, piece: bytes, times: int, method: int, change: Callable[[Path], None] | None
) -> None:
    """A member that holds or states hundreds of megabytes, or is all tags, is no pass and takes no 512 MiB.

    Where it can be read nevertheless, it is seen that no consumer secret is in it.
    """
    path = pytester.path / "org.zip"
    write_large(path, piece, times, method)
    if change is not None:
        change(path)
    result = pytester.run(sys.executable, "-c", PEAK, timeout=60)
    found = outcome(pytester, result)
    assert int(found.output.rpartition("peak ")[2]) < 512 * 1024
    assert found.code == pytest.ExitCode.TESTS_FAILED
    of_app = {control: verdict for (app, control), verdict in found.verdicts.items() if app == "Price_Feed"}
    passed = {control for control, verdict in of_app.items() if verdict == "pass"}
    assert passed == (set() if "readable" in of_app else {"sbs-dep-005"})
    assert_good_app_is_assessed(found)


CONFIGURATIONS = {
    "unknown key": (
        "apps:\n- app: Stock_*\n  client_tpye: public\n",
        "3",
        "unknown key 'client_tpye'; did you mean 'client_type'?",
    ),
    "unknown section": ("aps: []\n", "1", "unknown key 'aps'; did you mean 'apps'?"),
    "bad value": (
        "apps:\n- app: Stock_*\n  client_type: secret\n",
        "3",
        "'client_type' must be one of public, private",
    ),
    "value of another type": ("apps:\n- app: Stock_*\n  client_type: yes\n", "3", "'client_type' must be a text"),
    "unknown scope": (
        "apps:\n- app: Stock_*\n  allowed_scopes:\n  - Apo\n",
        "3",
        "there is no scope 'Apo'; did you mean 'Api'?",
    ),
    "scopes that are no list": (
        "apps:\n- app: Stock_*\n  allowed_scopes: Api\n",
        "3",
        "'allowed_scopes' must be a list",
    ),
    "duplicate key": (
        "apps:\n- app: Stock_*\n  purpose: iot\n  purpose: server\n",
        "4",
        "'purpose' is repeated",
    ),
    "duplicate section": ("apps: []\n\napps: []\n", "3", "'apps' is repeated"),
    "nothing said": ("apps:\n\n- app: Stock_*\n", "3", "says nothing about the app"),
    "no pattern": ("apps:\n- purpose: iot\n", "2", "'app' is missing"),
    "apps that are no list": ("\napps:\n  Stock_Sync: public\n", "2", "'apps' must be a list of mappings"),
    "not YAML": ("apps: [\n", "2", "not YAML"),
    "tab": ("apps:\n\t- app: Stock_*\n", "2", "not YAML"),
    "control character": ("apps: []\n# \x07\n", r"\d", "not YAML"),
    "no such date": ("apps:\n- app: 2026-13-45\n  purpose: iot\n", "2", ""),
    "no such number": ("apps:\n- app: !!int stock\n  purpose: iot\n", "2", ""),
    "no such time": ("apps:\n- app: !!timestamp soon\n  purpose: iot\n", "2", ""),
    "text as a mapping": ("apps:\n- !!map stock\n", "2", ""),
    "list as a mapping": ("apps:\n- !!map [stock]\n", "2", ""),
    "code": ("apps: !!python/object/apply:os.getcwd []\n", "1", "not YAML"),
    "list": ("- app: Stock_*\n", "1", "the file must be a mapping"),
    "text": ("Stock_Sync is public\n", "1", "the file must be a mapping"),
    "escape character": ('"\\e[31mapps": []\n', "1", r"unknown key '\x1b[31mapps'"),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_configuration_that_is_not_understood(pytester: pytest.Pytester, name: str) -> None:
    """A mistake in oauthcontrols.yaml is a usage error of one line with file and line."""
    text, line, words = CONFIGURATIONS[name]
    folder(pytester, {GOOD_PATH: GOOD})
    (pytester.path / "oauthcontrols.yaml").write_text(text, "utf-8")
    message = usage_error(run(pytester))
    assert re.match(rf"oauthcontrols\.yaml:{line}: .", message)
    assert words in message


def test_configuration_that_is_named_is_held_to_the_same(pytester: pytest.Pytester) -> None:
    """A mistake in the file that --sf-config names is a usage error with that file's name."""
    folder(pytester, {GOOD_PATH: GOOD})
    (pytester.path / "more.yaml").write_text("apps:\n- ap: x\n", "utf-8")
    assert usage_error(run(pytester, "--sf-config=more.yaml")).startswith("more.yaml:2: unknown key 'ap'")


@pytest.mark.parametrize("content", ["apps: []".encode("utf-16"), b"# caf\xe9\n"], ids=["utf-16", "latin-1"])
def test_configuration_that_is_not_utf_8(pytester: pytest.Pytester, content: bytes) -> None:
    """A configuration in another encoding is a usage error that says so."""
    folder(pytester, {GOOD_PATH: GOOD})
    (pytester.path / "oauthcontrols.yaml").write_bytes(content)
    assert usage_error(run(pytester)) == "oauthcontrols.yaml:1: is not UTF-8"


def test_configuration_that_is_too_deep(pytester: pytest.Pytester) -> None:
    """A configuration nested beyond all measure is a usage error and does not bring the process down."""
    folder(pytester, {GOOD_PATH: GOOD})
    (pytester.path / "oauthcontrols.yaml").write_text("apps: " + "[" * 100_000, "utf-8")
    assert usage_error(run_apart(pytester)).startswith("oauthcontrols.yaml:1: ")


@pytest.mark.parametrize(("given", "why"), [("none.yaml", "No such file"), ("org", "Is a directory")])
def test_configuration_that_is_not_there(pytester: pytest.Pytester, given: str, why: str) -> None:
    """A file that --sf-config names and that is not there is a usage error."""
    folder(pytester, {GOOD_PATH: GOOD})
    message = usage_error(run(pytester, f"--sf-config={given}"))
    assert message.startswith(f"{given}: cannot be read: {why}")


def test_pattern_without_an_app_is_noted(pytester: pytest.Pytester) -> None:
    """A pattern of the configuration that no app's name matches is named with file and line."""
    folder(pytester, {GOOD_PATH: GOOD})
    (pytester.path / "oauthcontrols.yaml").write_text("apps:\n- app: stock_*\n  purpose: server\n", "utf-8")
    found = run(pytester)
    assert "  note: oauthcontrols.yaml:2: no app is called 'stock_*'" in found.output.splitlines()
    assert_good_app_is_assessed(found)


@pytest.mark.parametrize(
    "given",
    [
        "org",
        "org/connectedApps/Stock_Sync.connectedApp/results.json",
        "r" * 300,
        "/proc/results.json",
        "/dev/null/r.json",
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="/proc and /dev are Linux's")
def test_results_in_an_unwritable_place(pytester: pytest.Pytester, given: str) -> None:
    """A results file that cannot be written is a usage error before anything is read."""
    folder(pytester, {GOOD_PATH: GOOD})
    result = pytester.runpytest("--sf-org=./org", f"--sf-json={given}")
    assert usage_error(outcome(pytester, result)).startswith(f"--sf-json={given}: ")


STRANGE_NAMES = {
    "html": ("%3Cimg src=x onerror=alert(1)%3E", "<img src=x onerror=alert(1)>"),
    "escape": ("%1B%5B31mRed", "\\x1b[31mRed"),
    "line break": ("Price%0AFAILED Feed", "Price\\nFAILED Feed"),
    "carriage return": ("Price%0DFeed", "Price\\rFeed"),
    "C1": ("Price%C2%9B31mFeed", "Price\\x9b31mFeed"),
    "right to left": ("Price%E2%80%AEdeeF", "Price\\u202edeeF"),
    "nothing": ("%00", "\\x00"),
    "raw": ("Price\x1b[31mFeed", "Price\\x1b[31mFeed"),
    "no UTF-8": ("Price\udcffFeed", "Price\\udcffFeed"),
}


@pytest.mark.parametrize("name", STRANGE_NAMES)
def test_strange_name_of_an_app(pytester: pytest.Pytester, name: str) -> None:
    """An app's name that a terminal or page would act upon is spelled out, and its node ids are plain."""
    stem, shown = STRANGE_NAMES[name]
    folder(pytester, {f"connectedApps/{stem}.connectedApp": connected_app("<oauthConfig/>"), GOOD_PATH: GOOD})
    found = run(pytester, "-v", "-rA", "--junitxml=junit.xml")
    assert f"\n  {shown}: " in found.output
    ids = re.findall(r"::test_control\[(.*?)\] (?:PASSED|FAILED|SKIPPED)", found.output)
    assert len(ids) > 40
    assert [one for one in ids if not re.fullmatch(r"[A-Za-z0-9_.-]+", one)] == []
    assert_good_app_is_assessed(found)


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("&lt;script&gt;alert(1)&lt;/script&gt;", "<script>alert(1)</script>"),
        ("Price\x9b31mFeed", "Price\\x9b31mFeed"),
        ("Price\u202edeeF", "Price\\u202edeeF"),
        ("Price&#10;FAILED Feed", "Price\\nFAILED Feed"),
        ("Price&#13;Feed", "Price\\rFeed"),
    ],
)
def test_strange_label_of_an_app(pytester: pytest.Pytester, label: str, shown: str) -> None:
    """A label that a terminal would act upon is spelled out."""
    folder(pytester, {BAD_PATH: connected_app(f"<label>{label}</label><oauthConfig/>"), GOOD_PATH: GOOD})
    found = run(pytester)
    assert f"\n  {shown}: " in found.output
    assert_good_app_is_assessed(found)


def test_strange_values_in_messages(pytester: pytest.Pytester) -> None:
    """A value, a parent's name and a root element that a terminal would act upon are spelled out."""
    folder(
        pytester,
        {
            GOOD_PATH: GOOD,
            BAD_PATH: connected_app("<oauthConfig><isPkceRequired>\x9b31m</isPkceRequired></oauthConfig>"),
            "Till.ecaOauth": child("ExtlClntAppOauthSettings", "Gone\u202e\x9b31m"),
            "Dock\x1b.eca": b"<",
        },
    )
    found = run(pytester, "-rA")
    assert "oauthConfig.isPkceRequired is '\\x9b31m', neither true nor false" in found.output
    assert "refers to the external client app Gone\\u202e\\x9b31m" in found.output
    assert "org/Dock\\x1b.eca:1: not well-formed XML" in found.output
    assert_good_app_is_assessed(found)
