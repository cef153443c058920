"""Everything that `oauthcontrols.yaml` can contain, key by key.

The loader checks the file against it, and the JSON schema and the reference in the documentation are made from it:
`nox -s generate` renews both.
"""

from __future__ import annotations

from pytest_oauthcontrols.config.credentials import (
    AccessToken,
    ClientCredentials,
    JwtBearer,
    JwtBearerFile,
    Password,
    SalesforceCli,
    Source,
)
from pytest_oauthcontrols.config.kinds import (
    CONDITION,
    CONTROL_FILES,
    CONTROLS,
    DAY,
    FLAG,
    OAUTH_SCOPES,
    RISK_FACTOR,
    TEXT,
    TEXTS,
    USERNAMES,
    Key,
    choice,
    control_id,
    entries,
    mapping,
)
from pytest_oauthcontrols.config.logins import LITERAL, SECRET, Way, logins
from pytest_oauthcontrols.orgs.metadata_types import HELD
from pytest_oauthcontrols.rules.cvss import Severity
from pytest_oauthcontrols.rules.finding import READABLE

FILE_NAME = "oauthcontrols.yaml"

SUMMARY = (
    "How pytest-oauthcontrols logs in to orgs, what you know about their apps, which findings are accepted, and which"
    " controls are assessed."
)

SEVERITIES = tuple(severity.value for severity in Severity)
IN_CONTEXT = " in context"
"""Follows a severity where the gate goes by the score in context."""

# Keys that several mappings have

USERNAME = Key(LITERAL, "The user to log in as.", required=True, examples=("auditor@acme.example",))
CONSUMER_KEY = Key(LITERAL, "Consumer key of the app to log in through.", required=True)
LOGIN = Key(
    LITERAL,
    "`login` for production, `test` for sandboxes, or the host of My Domain.",
    default="login",
    examples=("login", "test", "acme.my.salesforce.com"),
)
APP = "Full name of an app, or a shell pattern (`*`, `?`, `[...]`) for full names. Case matters."
ORG = Key(TEXT, "Name of an org, or a shell pattern for names. Without it, every org.", examples=("uat*",))
HELD_PERMISSIONS = {key: key.replace("_", " ").title().replace("Api", "API") for key in HELD.values()}
"""Key of each permission to its name in Setup."""
EXPIRES = Key(DAY, "The last day on which it holds.", required=True, examples=("2027-03-31",))

# How to log in

WAYS_TO_LOG_IN = {
    "cli": Way(
        "An org that the Salesforce CLI is logged in to.",
        SalesforceCli,
        {
            "cli": Key(LITERAL, "Alias or username that the Salesforce CLI knows.", required=True),
        },
    ),
    "private_key_file": Way(
        "JWT bearer flow, with the private key in a file.",
        JwtBearerFile,
        {
            "username": USERNAME,
            "consumer_key": CONSUMER_KEY,
            "private_key_file": Key(LITERAL, "Path of the private key (PEM), relative to this file.", required=True),
            "login": LOGIN,
        },
    ),
    "private_key": Way(
        "JWT bearer flow, with the private key in an environment variable.",
        JwtBearer,
        {
            "username": USERNAME,
            "consumer_key": CONSUMER_KEY,
            "private_key": Key(SECRET, "The private key (PEM).", required=True),
            "login": LOGIN,
        },
    ),
    "consumer_secret": Way(
        "Client credentials flow.",
        ClientCredentials,
        {
            "consumer_key": CONSUMER_KEY,
            "consumer_secret": Key(SECRET, "Consumer secret of the app.", required=True),
            "my_domain": Key(
                LITERAL, "Host of the org's My Domain.", required=True, examples=("acme.my.salesforce.com",)
            ),
        },
    ),
    "access_token": Way(
        "An access token that something else obtained.",
        AccessToken,
        {
            "access_token": Key(SECRET, "The access token.", required=True),
            "instance_url": Key(
                LITERAL, "Address of the org.", required=True, examples=("https://acme.my.salesforce.com",)
            ),
        },
    ),
    "password": Way(
        "SOAP login with a password. Use it as a last resort: Salesforce retires it in June 2027.",
        Password,
        {
            "username": USERNAME,
            "password": Key(SECRET, "Password of the user.", required=True),
            "security_token": Key(SECRET, "Security token of the user. A trusted network needs none."),
            "login": LOGIN,
        },
    ),
    "source": Way(
        "No login: metadata in files.",
        Source,
        {
            "source": Key(LITERAL, "Path of a folder, a .zip or a snapshot, relative to this file.", required=True),
        },
    ),
}

# The keys of the file

ORGS_APPS_AND_FINDINGS = {
    "orgs": Key(
        logins(WAYS_TO_LOG_IN),
        "Orgs by the names that `--sf-org` takes, each with one way to log in. `${NAME}` in a value stands for the"
        " environment variable NAME: keep secrets there.",
    ),
    "apps": Key(
        entries(
            {
                "app": Key(TEXT, APP, required=True, examples=("Nightly_ETL", "Field_Service_*")),
                "client_type": Key(
                    choice("public", "private"),
                    "Whether the client can keep a secret (private) or not (public). Without it, the callback URLs"
                    " decide.",
                ),
                "purpose": Key(
                    choice("iot", "server", "cli"), "What runs the app: a device, a server, or a command line."
                ),
                "allowed_scopes": Key(
                    OAUTH_SCOPES, "The OAuth scopes that the app needs. Any other scope is one too many."
                ),
                "allowed_attributes": Key(
                    TEXTS, "Keys of the custom attributes that the app may send. An empty list allows none."
                ),
                "partner": Key(
                    FLAG,
                    "Whether a partner provides the app to more than two production orgs: then the controls"
                    " `partner-*` apply.",
                ),
            },
            says_nothing="says nothing about the app",
        ),
        "What you know about apps. If several entries match an app, later ones override earlier ones, key by key.",
    ),
    "inventory": Key(
        entries(
            {
                "app": Key(TEXT, APP, required=True, examples=("Nightly_ETL", "Field_Service_*")),
                "criticality": Key(
                    choice("low", "medium", "high", "critical"), "How bad a misuse of the app would be."
                ),
                "documents": Key(TEXTS, "What the vendor has published about its security: addresses or titles."),
                "gaps": Key(TEXT, "What the vendor does not publish about its security."),
            }
        ),
        "Your record of vendors. If there is one, an app that no entry matches is missing from it.",
    ),
    "permission_holders": Key(
        mapping(
            {
                key: Key(USERNAMES, f"Users who may hold {label}; an empty list allows nobody.")
                for key, label in HELD_PERMISSIONS.items()
            }
        ),
        "Users who may hold a permission, by their usernames, in any case. Another active user who holds it is a"
        " finding.",
    ),
    "gate": Key(
        choice(*SEVERITIES, "never", *(f"{severity}{IN_CONTEXT}" for severity in SEVERITIES)),
        "The least severity that fails a run. With `in context`, the severity of the score in context counts instead"
        " of the published one. `--sf-fail-on` and `--sf-severity` override it.",
        default="low",
    ),
    "waivers": Key(
        entries(
            {
                "control": Key(
                    control_id(own=True, also=(READABLE.id,)),
                    "The control whose findings are accepted. `readable` is the check that an app could be read.",
                    required=True,
                    examples=("ca-pkce",),
                ),
                "app": Key(TEXT, f"{APP} Leave it out for a control of the org itself."),
                "org": ORG,
                "reason": Key(TEXT, "Why the risk is accepted.", required=True),
                "owner": Key(TEXT, "Who accepts the risk.", required=True, examples=("Jane Doe",)),
                "ticket": Key(TEXT, "Where the decision is recorded.", examples=("SEC-1204",)),
                "expires": EXPIRES,
            },
            app_fits_control=True,
        ),
        "Accepted risks. Findings that a waiver covers are reported, and do not fail the run.",
    ),
    "attestations": Key(
        entries(
            {
                "control": Key(
                    control_id(own=True),
                    "The control that is met. Instead of a factor.",
                    examples=("org-idp-mfa",),
                ),
                "factor": Key(
                    RISK_FACTOR,
                    "The risk factor that is present. Instead of a control. `pytest --sf-controls` lists them.",
                ),
                "app": Key(TEXT, f"{APP} Leave it out for a control of the org itself, and for a factor of all apps."),
                "org": ORG,
                "statement": Key(TEXT, "What the check found.", required=True),
                "by": Key(TEXT, "Who checked.", required=True, examples=("John Roe",)),
                "evidence": Key(TEXT, "Where the proof is kept.", examples=("https://wiki.example/mfa-2026",)),
                "expires": EXPIRES,
            },
            one_of=("control", "factor"),
            app_fits_control=True,
        ),
        "What somebody has checked because no API shows it: that a control is met, or that a risk factor is present.",
    ),
}
"""What is read when the project's controls are known."""

PROJECT_CONTROLS = {
    "controls": Key(
        CONTROL_FILES,
        "Files of your own controls, relative to this file. The name of a file is the id of its control.",
    ),
    "overrides": Key(
        entries(
            {
                "control": Key(control_id(own=False), "The published control.", required=True, examples=("ca-pkce",)),
                "severity": Key(choice(*SEVERITIES), "The severity, instead of the published one."),
                "not_applicable_when": Key(CONDITION, "Where this condition holds, the control does not apply."),
                "reason": Key(TEXT, "Why. Every report shows it.", required=True),
            },
            says_nothing="overrides nothing",
        ),
        "Published controls that you rate differently, or that do not apply to some of your apps.",
    ),
    "select": Key(CONTROLS, "The controls to assess, instead of all. `--sf-select` overrides it."),
    "ignore": Key(CONTROLS, "The controls to leave out. `--sf-ignore` overrides it."),
}
"""What makes the catalogue the project's."""

KEYS = {**ORGS_APPS_AND_FINDINGS, **PROJECT_CONTROLS}
