"""A control is added by the steps of CONTRIBUTING.md, and no test has to be changed for it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from .support.checkout import NOT_COPIED, PROJECT, run

ADDED = {
    "pytest_oauthcontrols/controls/new-pkce-of-the-app.yaml": """\
id: new-pkce-of-the-app
name: The App Itself Requires PKCE
page: shr_new_pkce_of_the_app
applies_to: [connected_app, external_client_app]
recommended: The app requires PKCE, whatever its org requires.
cvss: {severity: critical, range: [9.0, 10.0], basis: page}
assessed: automatically
decided_by:
  connected_app:
  - when: {oauth: false}
    not_applicable: The app has no OAuth settings.
  - require:
    - oauthConfig.isPkceRequired: true
      finding: The app does not require PKCE.
  external_client_app:
  - when: {oauth: false}
    not_applicable: The app has no OAuth settings.
  - require:
    - ExtlClntAppGlobalOauthSettings.isPkceRequired: true
      finding: The app does not require PKCE.
overview: The app's own setting for PKCE, read apart from that of its org.
threat: Somebody else redeems the authorization code.
impact: Whoever redeems the code has the access that the user gave to the app.
guidance: Require PKCE of each app, so that a change to the org leaves no app without it.
remediation: In Setup > App Manager > Edit, require PKCE.
may_break: Clients that send no code challenge can no longer log in.
""",
    "tests/controls/new-pkce-of-the-app.yaml": """\
published:
  name: The App Itself Requires PKCE
  page: shr_new_pkce_of_the_app
  severity: critical
  cvss: 9.0-10.0
examples:
- verdict: pass
  says: Configured as recommended
  ConnectedApp: <oauthConfig><isPkceRequired>true</isPkceRequired></oauthConfig>
- verdict: fail
  says: The app does not require PKCE.
  ConnectedApp: <oauthConfig><isPkceRequired>false</isPkceRequired></oauthConfig>
- verdict: not_applicable
  says: no OAuth settings
  ConnectedApp: <samlConfig/>
- verdict: unverifiable
  says: API version 58.0
  live: 58.0
  ConnectedApp: <oauthConfig/>
never:
  manual: An API shows it.
""",
}
"""The two files of a control, with which there are more cases, and findings first of all, of both kinds of app."""


@pytest.mark.slow
def test_new_control_takes_two_files(tmp_path: Path) -> None:
    """With the two files of a control, and after what is generated was written anew, the quick tests pass."""
    copy = tmp_path / "project"
    shutil.copytree(PROJECT, copy, ignore=NOT_COPIED)
    for name, text in ADDED.items():
        (copy / name).write_text(text, "utf-8")
    # The copy goes before the checkout, which is what the environment has installed.
    done = run(sys.executable, "-m", "nox", "-s", "generate", "quick", folder=copy, PYTHONPATH=str(copy))
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    for page in ("docs/3-controls.md", "pytest_oauthcontrols/oauthcontrols.schema.json"):
        assert "new-pkce-of-the-app" in (copy / page).read_text("utf-8")
