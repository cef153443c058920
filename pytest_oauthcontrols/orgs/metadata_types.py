"""Every setting that can be read: the metadata type that holds it, its type, since when, and its documented default.

Only what stands here is kept of what is read. Consumer keys and secrets and the credentials of push services do not
stand here, so they are never stored. Versions are those of the Metadata API's WSDLs, defaults those of the Metadata API
Developer Guide.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

CONNECTED_APP = "connected_app"
EXTERNAL_CLIENT_APP = "external_client_app"
ORG = "org"

GLOBAL_OAUTH = "ExtlClntAppGlobalOauthSettings"
OAUTH = "ExtlClntAppOauthSettings"
OAUTH_POLICIES = "ExtlClntAppOauthConfigurablePolicies"
POLICIES = "ExtlClntAppConfigurablePolicies"
SAML_POLICIES = "ExtlClntAppSamlConfigurablePolicies"
OAUTH_TYPES = (GLOBAL_OAUTH, OAUTH, OAUTH_POLICIES)
"""Types that configure the OAuth of an external client app: an app without any of the three has none."""


@dataclass(frozen=True)
class Field:
    """What is known of one setting."""

    type: str
    """`boolean`, `integer`, `string`, `certificate`, `list`, `scopes`, `ranges` (of addresses), `object` or `secret`.

    Of a secret only the file and line are kept, never its value."""
    since: int = 0
    """First API version that has it; 0 for those older than any version in use."""
    default: bool | int | str | None = None
    """Documented default that applies where the element is absent; None where none is documented."""
    values: tuple[str, ...] = ()
    """The documented values of an enumeration; empty where any value goes."""
    untold: bool = False
    """Whether absence tells nothing, because Salesforce always writes it; another text or list is then not set."""
    separator: str = ""
    """What separates the values of a list within one element; empty where each has an element of its own."""
    manual: str = ""
    """Why only a person can tell where the element is absent; empty where that is not so."""
    identity: bool = False
    """Whether it names a user."""


@dataclass(frozen=True)
class MetadataType:
    """A type of the Metadata API, or what a query returns of an app or org in its place."""

    name: str
    subject: str
    """What it belongs to: `connected_app`, `external_client_app` or `org`."""
    fields: dict[str, Field]
    suffix: str = ""
    """File name suffix; empty for what is in no file."""
    parent: str = ""
    """The element that names the app it belongs to; empty for an app itself."""
    live: bool = False
    """True for what only a live org shows."""
    since: float = 0
    """First API version that has it; 0 for those older than any version in use."""

    @property
    def prefix(self) -> str:
        """What the names of its settings start with."""
        return "" if self.name in ("ConnectedApp", "ExternalClientApplication") else f"{self.name}."


def _boolean(since: int = 0, default: bool | None = None, manual: str = "") -> Field:
    return Field("boolean", since, default, untold=True, manual=manual)


def _string(since: int = 0, default: str | None = None, *values: str) -> Field:
    return Field("string", since, default, values)


def _integer(since: int = 0, default: int | None = None) -> Field:
    return Field("integer", since, default)


_OBJECT = Field("object")
_LIST = Field("list")
_LINES = Field("list", separator="\n")
_RANGES = Field("ranges")
_TEXT = Field("string")
_CERTIFICATE = Field("certificate")
_SECRET = Field("secret")
_CUSTOM_ATTRIBUTES = {"customAttributes": Field("object", 59), "customAttributes.key": Field("list", 59)}

_SINCE_68 = "only API 68.0 and later show {}; check it in Setup and record the result as an attestation"
_NOT_SET = "nothing that was read shows {}; check it in Setup and record the result as an attestation"

PERMITTED_USERS = ("AllSelfAuthorized", "AdminApprovedPreAuthorized")
IP_RELAXATION = ("ENFORCE", "ENFORCE_RELAXREFRESH", "BYPASS_2FACTOR", "BYPASS")

SCOPES = (
    "Basic",
    "Api",
    "Web",
    "Full",
    "Chatter",
    "CustomApplications",
    "RefreshToken",
    "OpenID",
    "CustomPermissions",
    "Wave",
    "Eclair",
    "Pardot",
    "Lightning",
    "Content",
    "CDPIngest",
    "CDPProfile",
    "CDPQuery",
    "Chatbot",
    "CDPSegment",
    "CDPIdentityResolution",
    "CDPCalculatedInsight",
    "ForgotPassword",
    "UserRegistration",
    "SFAP",
    "Interaction",
    "CDP",
    "EinsteinGPT",
    "PwdlessLogin",
    "MCP",
    "SCRT",
    "DataCloudUserClaims",
    "A2A",
    "CmdbDiscovery",
    "SemanticLayer",
)
"""OAuth scopes by the names that the Metadata API gives back."""

PERMISSIONS = (
    "ApiEnabled",
    "ApiUserOnly",
    "AuthorApex",
    "CustomizeApplication",
    "ManageUsers",
    "ModifyAllData",
    "ViewAllData",
)
"""Permissions of a user that an app runs as, by their API names without `Permissions`."""

HELD = {
    "ApiEnabled": "api_enabled",
    "CanApproveUninstalledApps": "approve_uninstalled_connected_apps",
    "UseAnyApiClient": "use_any_api_client",
}
"""Permissions whose holders are listed, by API names without `Permissions`, to their keys in the configuration."""

_SCOPE_BY_ALIAS = {
    **{scope.lower(): scope for scope in SCOPES},
    **dict.fromkeys(("address", "email", "phone", "profile"), "Basic"),
    "offlineaccess": "RefreshToken",
    "sfapiplatform": "SFAP",
}


def canonical_scope(scope: str) -> str:
    """Return the one name that a scope and its synonyms are known by; an unknown scope as it is."""
    return _SCOPE_BY_ALIAS.get(_spelled(scope), scope)


def is_scope(scope: str) -> bool:
    """Tell whether the Metadata API knows the scope."""
    return _spelled(scope) in _SCOPE_BY_ALIAS


def _spelled(scope: str) -> str:
    """Return a scope without what differs between the spellings of the metadata and of tokens (`refresh_token`)."""
    return scope.lower().replace("_", "")


def scope_spellings() -> tuple[str, ...]:
    """Return every scope and synonym that `is_scope` knows, in lower case."""
    return tuple(_SCOPE_BY_ALIAS)


_ID_TOKEN = {
    "idTokenConfig": _OBJECT,
    "idTokenConfig.idTokenAudience": _TEXT,
    "idTokenConfig.idTokenIncludeAttributes": _boolean(),
    "idTokenConfig.idTokenIncludeStandardClaims": _boolean(),
}

_TYPES = (
    MetadataType(
        "ConnectedApp",
        CONNECTED_APP,
        {
            "label": _TEXT,
            "startUrl": _TEXT,
            "attributes": _OBJECT,
            "canvasConfig": _OBJECT,
            "canvasConfig.accessMethod": _string(0, None, "Get", "Post"),
            "canvasConfig.canvasUrl": _TEXT,
            "ipRanges": _RANGES,
            "mobileAppConfig": _OBJECT,
            "mobileAppConfig.devicePlatform": _TEXT,
            "oauthConfig": _OBJECT,
            "oauthConfig.assetTokenConfig": Field("object", 49),
            "oauthConfig.callbackUrl": _LINES,
            "oauthConfig.certificate": _CERTIFICATE,
            "oauthConfig.consumerSecret": _SECRET,
            **{f"oauthConfig.{name}": known for name, known in _ID_TOKEN.items()},
            "oauthConfig.idTokenConfig.idTokenIncludeCustomPerms": _boolean(),
            "oauthConfig.idTokenConfig.idTokenValidity": _integer(default=2),
            "oauthConfig.isAdminApproved": _boolean(default=False),
            "oauthConfig.isClientCredentialEnabled": _boolean(56, False),
            "oauthConfig.isCodeCredentialEnabled": _boolean(57, False),
            "oauthConfig.isCodeCredentialPostOnly": _boolean(57, False),
            "oauthConfig.isConsumerSecretOptional": _boolean(49, False),
            "oauthConfig.isDPopEnabled": _boolean(68),
            "oauthConfig.isDeviceFlowEnabled": _boolean(
                68, manual=_SINCE_68.format("the device flow of a connected app")
            ),
            "oauthConfig.isEnforceRefreshTokenTTL": _boolean(
                68, manual=_SINCE_68.format("the 30-day idle limit of refresh tokens")
            ),
            "oauthConfig.isIntrospectAllTokens": _boolean(49, False),
            "oauthConfig.isIpBindingEnabled": _boolean(
                68, manual=_SINCE_68.format("the IP allowlist of refresh tokens")
            ),
            "oauthConfig.isNamedUserJwtEnabled": _boolean(58, False),
            "oauthConfig.isPKImTLSEnabled": _boolean(68),
            "oauthConfig.isPkceRequired": _boolean(59, False),
            "oauthConfig.isRefreshTokenRotationEnabled": _boolean(60, False),
            "oauthConfig.isSecretRequiredForRefreshToken": _boolean(51, True),
            "oauthConfig.isSecretRequiredForTokenExchange": _boolean(60),
            "oauthConfig.isTokenExchangeEnabled": _boolean(60, False),
            "oauthConfig.oauthClientCredentialUser": Field("string", 56, identity=True),
            "oauthConfig.scopes": Field("scopes"),
            "oauthConfig.singleLogoutUrl": _TEXT,
            "oauthPolicy": Field("object", 49),
            "oauthPolicy.ipRelaxation": _string(49, "ENFORCE", *IP_RELAXATION),
            "oauthPolicy.isTokenExchangeFlowEnabled": _boolean(60, False),
            "oauthPolicy.refreshTokenPolicy": _string(49, "infinite"),
            "oauthPolicy.singleLogoutUrl": _string(49),
            "permissionSetName": _LIST,
            "profileName": _LIST,
            "samlConfig": _OBJECT,
            "samlConfig.acsUrl": _TEXT,
            "samlConfig.certificate": _CERTIFICATE,
            "samlConfig.encryptionCertificate": _CERTIFICATE,
            "samlConfig.entityUrl": _TEXT,
            "samlConfig.samlSigningAlgoType": _string(50, None, "SHA1", "SHA256"),
            "samlConfig.samlSloUrl": _TEXT,
            "samlConfig.samlSubjectType": _TEXT,
            "sessionPolicy": Field("object", 49),
            "sessionPolicy.policyAction": _string(49),
            "sessionPolicy.sessionLevel": _string(49),
            "sessionPolicy.sessionTimeout": _integer(49),
        },
        "connectedApp",
    ),
    MetadataType(
        "UserProvisioningConfig",
        CONNECTED_APP,
        {"enabled": _boolean(default=False), "reconFilter": _TEXT},
        "userProvisioningConfig",
        "connectedApp",
    ),
    MetadataType(
        "ConnectedApplication",
        CONNECTED_APP,
        {
            "MobileSessionTimeout": _integer(),
            "OptionsAllowAdminApprovedUsersOnly": _boolean(),
            "OptionsHasSessionLevelPolicy": _boolean(),
            "OptionsRefreshTokenValidityMetric": _boolean(),
            "PinLength": _integer(),
            "RefreshTokenValidityPeriod": _integer(),
        },
        live=True,
    ),
    MetadataType(
        "ExternalClientApplication",
        EXTERNAL_CLIENT_APP,
        {
            "label": _TEXT,
            "distributionState": _string(57, None, "Local", "Packaged", "Managed", "AutoInstalled"),
            "isProtected": _boolean(default=False),
        },
        "eca",
    ),
    MetadataType(
        GLOBAL_OAUTH,
        EXTERNAL_CLIENT_APP,
        {
            "callbackUrl": _LINES,
            "certificate": Field("certificate", 60),
            "consumerSecret": _SECRET,
            **_ID_TOKEN,
            "idTokenConfig.idTokenIncludeCustomPermissions": _boolean(61),
            "idTokenConfig.idTokenValidityInMinutes": _integer(default=2),
            "isClientCredentialsFlowEnabled": _boolean(60, False),
            "isCodeCredFlowEnabled": _boolean(61, False),
            "isCodeCredPostOnly": _boolean(61, False),
            "isConsumerSecretOptional": _boolean(58, False),
            "isDPopEnabled": _boolean(68),
            "isDeviceFlowEnabled": _boolean(60, False),
            "isEnforceRefreshTokenTTL": _boolean(67, manual=_NOT_SET.format("the 30-day idle limit of refresh tokens")),
            "isIntrospectAllTokens": _boolean(58, False),
            "isMtlsEnabled": _boolean(68),
            "isNamedUserJwtEnabled": _boolean(61, False),
            "isPkceRequired": _boolean(59, True),
            "isRefreshTokenRotationEnabled": _boolean(60, False),
            "isSecretRequiredForRefreshToken": _boolean(58, True),
            "isSecretRequiredForTokenExchange": _boolean(60),
            "isTokenExchangeEnabled": _boolean(60, False),
        },
        "ecaGlblOauth",
        "externalClientApplication",
    ),
    MetadataType(
        OAUTH,
        EXTERNAL_CLIENT_APP,
        {
            "assetTokenAudiences": _string(61),
            "clientAssertionCertificate": _string(62),
            "commaSeparatedCustomScopes": Field("list", 61, separator=","),
            "commaSeparatedOauthScopes": Field("scopes", 58),
            **_CUSTOM_ATTRIBUTES,
            "singleLogoutUrl": _TEXT,
            "trustedIpRanges": Field("ranges", 58),
        },
        "ecaOauth",
        "externalClientApplication",
    ),
    MetadataType(
        OAUTH_POLICIES,
        EXTERNAL_CLIENT_APP,
        {
            "clientCredentialsFlowUser": Field("string", 60, identity=True),
            "commaSeparatedCustomScopes": Field("list", 61, separator=","),
            "commaSeparatedPermissionSet": Field("list", 58, separator=","),
            "commaSeparatedProfile": Field("list", 62, separator=","),
            **_CUSTOM_ATTRIBUTES,
            "ipRelaxationPolicyType": _string(57, "ENFORCE", *IP_RELAXATION),
            "isClientCredentialsFlowEnabled": _boolean(60, False),
            "isGuestCodeCredFlowEnabled": _boolean(61, False),
            "isTokenExchangeFlowEnabled": _boolean(60, False),
            "namedUserJwtTimeout": _integer(61),
            "permittedUsersPolicyType": Field("string", 57, values=PERMITTED_USERS, untold=True),
            "policyAction": _string(58, None, "Block", "RaiseSessionLevel", "StepUpMFA"),
            "refreshTokenPolicyType": _string(57, None, "Infinite", "Zero", "SpecificLifetime", "SpecificInactivity"),
            "refreshTokenValidityPeriod": _integer(57),
            "refreshTokenValidityUnit": _string(57, None, "Hours", "Days", "Months"),
            "requiredSessionLevel": _string(58, None, "LOW", "STANDARD", "HIGH_ASSURANCE"),
            "sessionTimeoutInMinutes": _integer(58),
            "singleLogoutUrl": _TEXT,
        },
        "ecaOauthPlcy",
        "externalClientApplication",
    ),
    MetadataType(
        POLICIES,
        EXTERNAL_CLIENT_APP,
        {"isEnabled": _boolean(default=True), "isOauthPluginEnabled": _boolean(60)},
        "ecaPlcy",
        "externalClientApplication",
    ),
    MetadataType(
        "ExtlClntAppOauthSecuritySettings",
        EXTERNAL_CLIENT_APP,
        {"tokenIpRanges": _RANGES},
        "ecaOauthSecurity",
        "externalClientApplication",
        since=67,
    ),
    MetadataType(
        SAML_POLICIES,
        EXTERNAL_CLIENT_APP,
        {"singleLogoutUrl": _TEXT},
        "ecaSamlPlcy",
        "externalClientApplication",
        since=63,
    ),
    MetadataType(
        "ExtlClntAppMobileSettings",
        EXTERNAL_CLIENT_APP,
        {"isScreenLockEnabled": _boolean(59)},
        "ecaMobile",
        "externalClientApplication",
    ),
    MetadataType(
        "ExtlClntAppMobileConfigurablePolicies",
        EXTERNAL_CLIENT_APP,
        {"screenLockTimeout": _TEXT},
        "ecaMobilePlcy",
        "externalClientApplication",
    ),
    MetadataType(
        "ExtlClntAppPushConfigurablePolicies",
        EXTERNAL_CLIENT_APP,
        {"isFullContent": _boolean(62)},
        "ecaPushPlcy",
        "externalClientApplication",
        since=62,
    ),
    MetadataType(
        "ExtlClntAppNotificationSettings", EXTERNAL_CLIENT_APP, {}, "ecaNotifications", "externalClientApplication"
    ),
    *(
        MetadataType("RunAsUser", kind, {"Permissions": Field("list", values=PERMISSIONS)}, live=True)
        for kind in (CONNECTED_APP, EXTERNAL_CLIENT_APP)
    ),
    MetadataType(
        "OauthOidcSettings",
        ORG,
        {
            "blockOAuthUnPwFlow": _boolean(56, False),
            "blockOAuthUsrAgtFlow": _boolean(56, False),
            "isPkceRequired": _boolean(59, False),
            "oAuthCdCrdtFlowEnable": _boolean(57, False),
        },
        "settings",
    ),
    MetadataType(
        "ConnectedAppSettings",
        ORG,
        {"enableAdminApprovedAppsOnly": _boolean(47), "enableAdminApprovedAppsOnlyForExternalUser": _boolean(48)},
        "settings",
    ),
    MetadataType(
        "ExternalClientAppSettings",
        ORG,
        {
            "enableClientSecretInRestApiAccess": _boolean(60),
            "enableConsumerSecretApiAccess": _boolean(57),
            "enableExternalClientApps": _boolean(58),
            "enablePackageEcaOauthFromDevOrg": _boolean(60),
        },
        "settings",
    ),
    MetadataType(
        "SecuritySettings",
        ORG,
        {
            "networkAccess": _OBJECT,
            "networkAccess.ipRanges": _RANGES,
            "sessionSettings": _OBJECT,
            "sessionSettings.disableTimeoutWarning": _boolean(),
            "sessionSettings.forceLogoutOnSessionTimeout": _boolean(),
            "sessionSettings.forceRelogin": _boolean(),
            "sessionSettings.lockSessionsToIp": _boolean(),
            "sessionSettings.sessionTimeout": Field("string", untold=True),
        },
        "settings",
    ),
    MetadataType("OauthToken", ORG, {"AppName": _LIST}, live=True),
    MetadataType("InstalledApps", ORG, {"Label": _LIST}, live=True),
    MetadataType("PermissionHolders", ORG, {name: Field("list", identity=True) for name in HELD}, live=True),
)

METADATA_TYPES = {(known.subject, known.name): known for known in _TYPES}
"""Every type by what it belongs to and its name."""

_DECLARED = {
    "declared.allowed_attributes": _LIST,
    "declared.allowed_scopes": Field("scopes"),
    "declared.partner": _boolean(default=False),
    "declared.client_type": _string(0, None, "public", "private"),
    "declared.purpose": _string(0, None, "iot", "server", "cli"),
    "inventory": _OBJECT,
    "inventory.criticality": _string(0, None, "low", "medium", "high", "critical"),
    "inventory.documents": _LIST,
    "inventory.gaps": _TEXT,
}
"""What the user says of an app in the configuration."""

_DERIVED = {
    "client_type": _string(0, None, "public", "private"),
    "client_type_basis": _string(0, None, "declared", "shown", "inferred", "assumed"),
    "consumer_secret_committed": _boolean(),
    "oauth": _boolean(),
    "refresh_tokens": _boolean(),
    "signs_users_on": _boolean(),
}
"""What follows from other settings.

What kind of client an app is (RFC 6749, 2.1), and how that is known; whether a file of the app holds a consumer secret;
whether it has OAuth settings; whether a refresh token can be issued to it; whether users sign on elsewhere through it.
"""

_DERIVED_OF_EXTERNAL = {"custom_attributes": _LIST, "custom_scopes": _LIST}
"""What of an external client app the policies and the developer's settings say together."""


@cache
def fields_of(subject: str) -> dict[str, tuple[str, Field]]:
    """Return name to component and field, for every setting that can be read of `subject`.

    Of an app, the settings of its org can be read too.
    """
    subjects = (subject,) if subject == ORG else (subject, ORG)
    found = {
        known.prefix + name: (known.name, spec)
        for known in _TYPES
        if known.subject in subjects
        for name, spec in known.fields.items()
        if spec.type != "secret"
    }
    if subject != ORG:
        said = _DECLARED | _DERIVED | (_DERIVED_OF_EXTERNAL if subject == EXTERNAL_CLIENT_APP else {})
        found |= {name: (name.partition(".")[0], spec) for name, spec in said.items()}
    return found
