"""Salesforce, emulated: a TLS server that answers for any number of orgs, and a proxy that leads every host to it.

With the variables of `Emulator.environment`, whatever speaks HTTPS reaches the emulator by Salesforce's own host names,
checks a certificate as it would in earnest, and reaches nothing else; each host that it asks for is written down.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import re
import select
import socket
import socketserver
import ssl
import struct
import threading
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import unquote_plus
from xml.sax.saxutils import escape

import jwt
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from lxml import etree
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

METADATA = "http://soap.sforce.com/2006/04/metadata"
PARTNER = "urn:partner.soap.sforce.com"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
PAGE_SIZE = 2000
"""Records that the answer to a query holds at most."""

ACTIONS = (
    *("login", "token", "versions", "retrieve", "checkRetrieveStatus", "listMetadata", "describeMetadata"),
    *("query", "composite"),
)
"""What a reader of settings may ask for; everything else is unexpected."""

SECRET_COLUMNS = ("AccessToken", "RequestToken", "DeleteToken", "ConsumerSecret", "ConsumerKey", "FIELDS")
"""What no query may name: columns with secrets, and the function that stands for all columns."""

_CERTIFIED = ("*.salesforce.com", "*.my.salesforce.com", "*.sandbox.my.salesforce.com", "localhost", "127.0.0.1")
_LOGIN_HOSTS = ("login.salesforce.com", "test.salesforce.com")
_SOAP = re.compile(r"/services/Soap/([mu])/(\d+\.\d)(?:/.*)?")
_QUERY = re.compile(r"/services/data/v(\d+\.\d)/query(?:/(\w+)-(\d+))?/?")
_COMPOSITE = re.compile(r"/services/data/v(\d+\.\d)/composite/?")
_MOST_QUERIES = 5
"""Queries that a composite request holds at most."""
_HELD = re.compile(r"WHERE PermissionSet\.Permissions(\w+) = true AND Assignee\.IsActive = true")
_PACKAGE = "unpackaged/package.xml"
_USER_ID = "0055g00000AbcdEAAR"
_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
    ' {} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>{}</soapenv:Body></soapenv:Envelope>'
)


class _Type(NamedTuple):
    folder: str
    suffix: str
    since: int
    """First API version that has it."""


TYPES = {
    "ConnectedApp": _Type("connectedApps", "connectedApp", 29),
    "ExternalClientApplication": _Type("externalClientApps", "eca", 59),
    "ExtlClntAppGlobalOauthSettings": _Type("extlClntAppGlobalOauthSets", "ecaGlblOauth", 59),
    "ExtlClntAppOauthSettings": _Type("extlClntAppOauthSettings", "ecaOauth", 59),
    "ExtlClntAppOauthConfigurablePolicies": _Type("extlClntAppOauthPolicies", "ecaOauthPlcy", 59),
    "ExtlClntAppConfigurablePolicies": _Type("extlClntAppPolicies", "ecaPlcy", 60),
    "ExtlClntAppOauthSecuritySettings": _Type("extlClntAppOauthSecuritySettings", "ecaOauthSecurity", 67),
    "ExtlClntAppSamlConfigurablePolicies": _Type("extlClntAppSamlConfigurablePolicies", "ecaSamlPlcy", 63),
    "ExtlClntAppMobileSettings": _Type("extlClntAppMobileSettings", "ecaMobile", 59),
    "ExtlClntAppMobileConfigurablePolicies": _Type("extlClntAppMobilePolicies", "ecaMobilePlcy", 59),
    "ExtlClntAppPushSettings": _Type("extlClntAppPushSettings", "ecaPush", 62),
    "ExtlClntAppPushConfigurablePolicies": _Type("extlClntAppPushPolicies", "ecaPushPlcy", 62),
    "ExtlClntAppNotificationSettings": _Type("extlClntAppNotifSettings", "ecaNotifications", 60),
    "ExtlClntAppCanvasSettings": _Type("extlClntAppCanvasSettings", "ecaCanvas", 66),
    "ExtlClntAppAttestSettings": _Type("extlClntAppAttestSettings", "ecaAttest", 68),
    "ExtlClntAppAttestConfigurablePolicies": _Type("extlClntAppAttestPolicies", "ecaAttestPlcy", 68),
    "OauthCustomScope": _Type("oauthcustomscopes", "oauthcustomscope", 47),
    "OauthTokenExchangeHandler": _Type("oauthtokenexchangehandlers", "oauthtokenexchangehandler", 60),
    "Settings": _Type("settings", "settings", 29),
    "UserAuthCertificate": _Type("userAuthCertificates", "userAuthCertificate", 50),
    "UserProvisioningConfig": _Type("userProvisioningConfigs", "userProvisioningConfig", 34),
}
"""Metadata type to its folder and suffix."""


def mdapi_files(folder: Path) -> dict[str, bytes]:
    """Return the members of a retrieve's archive for the files of a DX project, wherever in `folder` they are."""
    folders = {known.suffix: known.folder for known in TYPES.values()}
    files = {}
    for path in sorted(folder.rglob("*-meta.xml")):
        name = path.name.removesuffix("-meta.xml")
        suffix = name.rpartition(".")[2]
        if suffix in folders:
            files[f"{folders[suffix]}/{name}"] = path.read_bytes()
    return files


def component_id(type_name: str, full_name: str) -> str:
    """Return the id that a component has unless another is given: the same in each run, 18 characters."""
    digits = int(hashlib.sha256(f"{type_name}/{full_name}".encode()).hexdigest(), 16) % 10**12
    return f"{'0H4' if type_name == 'ConnectedApp' else '0Xt'}{digits:012}CAA"


class Listed(NamedTuple):
    """A component as `listMetadata` tells of it."""

    type: str
    full_name: str
    namespace: str = ""
    manageable_state: str = "unmanaged"
    id: str = ""
    """Empty for that of `component_id`."""


class Asked(NamedTuple):
    """A request that was made."""

    method: str
    host: str
    path: str
    action: str
    """One of `ACTIONS`, of a query with the object that is read (`query:OauthToken`); of others whatever they are."""


# What Salesforce answers.


def _xml(values: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in values.items())


def _soap(body: str, namespace: str = METADATA) -> Response:
    return Response(_ENVELOPE.format(f'xmlns="{namespace}"', body), content_type="text/xml;charset=UTF-8")


def _fault(code: str, text: str, *, login: bool = False) -> Response:
    """Return a SOAP fault, which is always a status 500; that of the login has a namespace and a detail of its own."""
    namespace, detail = METADATA, ""
    said = escape(f"{code}: {text}")
    if login:
        namespace = "urn:fault.partner.soap.sforce.com"
        detail = (
            f'<detail><sf:LoginFault xsi:type="sf:LoginFault"><sf:exceptionCode>{code}</sf:exceptionCode>'
            f"<sf:exceptionMessage>{escape(text)}</sf:exceptionMessage></sf:LoginFault></detail>"
        )
    body = f"<faultcode>sf:{code}</faultcode><faultstring>{said}</faultstring>{detail}"
    envelope = _ENVELOPE.format(f'xmlns:sf="{namespace}"', f"<soapenv:Fault>{body}</soapenv:Fault>")
    return Response(envelope, 500, content_type="text/xml;charset=UTF-8")


def _json(said: Any, status: int = 200) -> Response:
    return Response(json.dumps(said), status, content_type="application/json;charset=UTF-8")


def _rest_error(status: int, code: str, message: str) -> Response:
    return _json([{"message": message, "errorCode": code}], status)


def _oauth_error(error: str, description: str) -> Response:
    return _json({"error": error, "error_description": description}, 400)


def _html(status: int, text: str) -> Response:
    content = f"<!DOCTYPE html>\n<html><head><title>{text}</title></head><body><h1>{text}</h1></body></html>\n"
    return Response(content, status, content_type="text/html;charset=UTF-8")


def _half(answer: Response) -> Response:
    """Return an answer that ends in the middle of the body that its headers promise."""
    content = answer.get_data()
    answer.set_data(content[: len(content) // 2])
    answer.headers["Content-Length"] = str(len(content))
    return answer


# What happens to an answer on its way, for `FakeOrg.fail`.


class Call(NamedTuple):
    """A request that waits for its answer."""

    emulator: Emulator
    request: Request
    action: str
    answer: Callable[[], Response]
    """Returns what the org answers when nothing is amiss."""


Answer = Callable[[Call], Response]


def fault(code: str, text: str) -> Answer:
    """Answer with a SOAP fault."""
    return lambda call: _fault(code, text, login=call.action == "login")


def rest_error(status: int, code: str, message: str) -> Answer:
    """Answer with an error of the REST API."""
    return lambda call: _rest_error(status, code, message)


def oauth_error(error: str, description: str) -> Answer:
    """Answer with an error of the token endpoint."""
    return lambda call: _oauth_error(error, description)


def page(status: int = 503) -> Answer:
    """Answer with the web page that people see during maintenance."""
    return lambda call: _html(status, "We are down for maintenance.")


def raw(status: int, content_type: str, body: str | bytes) -> Answer:
    """Answer with anything."""
    return lambda call: Response(body, status, content_type=content_type)


def redirect(url: str) -> Answer:
    """Send on to another address."""
    return lambda call: Response("", 302, headers={"Location": url})


def cut() -> Answer:
    """Answer as always, but end the connection after half of the body."""
    return lambda call: _half(call.answer())


def hang(seconds: float) -> Answer:
    """Answer as always, but late; the end of the emulator ends the wait."""

    def answer(call: Call) -> Response:
        call.emulator.proxy.closing.wait(seconds)
        return call.answer()

    return answer


def reset(*, midway: bool = False) -> Answer:
    """Reset the connection without an answer, or after half of it."""

    def answer(call: Call) -> Response:
        call.emulator.proxy.resets.add(int(call.request.environ["REMOTE_PORT"]))
        if midway:
            return _half(call.answer())
        return Response(map(_drop, [call.request.environ["werkzeug.socket"]]))

    return answer


def _drop(connection: socket.socket) -> bytes:
    """End a connection where the first bytes of an answer would be sent."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError  # for the server this is a client that has gone, of which it makes no ado


# An org.


@dataclass
class _Retrieve:
    """A retrieve that was asked for."""

    properties: str
    messages: str
    archive: bytes
    looks: int = 0
    delivered: bool = False


@dataclass(eq=False)
class FakeOrg:
    """An org: what is in it, who may log in, what goes wrong, and what it was asked."""

    my_domain: str = "acme.my.salesforce.com"
    org_id: str = "00D5g000004XyzAEAS"
    token: str = field(default="00D5g000004XyzA!AQ8AQPlanted.Opaque_Token.1a2b3c4d5e6f7g8h9i0j")
    """The access token of the session; opaque, or a JWT (`eyJ...`)."""
    versions: list[str] = field(default_factory=lambda: [f"{number}.0" for number in range(60, 69)])

    username: str = "auditor@acme.example"
    password: str = field(default="correct-horse")
    security_token: str = field(default="PlantedSecurityToken1")
    consumer_key: str = "3MVG9.PlantedConsumerKey"
    consumer_secret: str = field(default="PlantedConsumerSecret")
    public_key: RSAPublicKey | None = None
    """Belongs to the key that signs assertions of the JWT bearer flow."""

    files: dict[str, bytes] = field(default_factory=dict)
    """Name in the archive of a retrieve (`connectedApps/Acme.connectedApp`) to content."""
    archive: bytes | None = None
    """Delivered in the place of the archive that would be made of the files."""
    listed: list[Listed] = field(default_factory=list)
    """Components that exist although no retrieve delivers them."""
    messages: list[tuple[str, str]] = field(default_factory=list)
    """File name and problem of what a retrieve says besides its own messages."""
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Object to the records that a query returns, whatever it asks for; objects that are not here have none.

    What a query for the holders of a permission returns is by object and permission:
    `PermissionSetAssignment:ApiEnabled`.
    """
    polls: int = 0
    """How often a retrieve is looked at before it has ended."""
    failure: tuple[str, str] | None = None
    """Code and message of the end of each retrieve."""
    unknown_types: set[str] = field(default_factory=set)
    """Metadata types and objects that the org does not have."""
    unknown_columns: set[str] = field(default_factory=set)
    """Columns that the org does not have; of several, a query is refused for one after the other."""
    denied_types: set[str] = field(default_factory=set)
    """Metadata types and objects that the user has no permission for."""

    requests: list[Asked] = field(default_factory=list, init=False)
    """Everything that was asked, in order."""
    unexpected: list[Asked] = field(default_factory=list, init=False)
    """What no reader of settings should ask: whatever writes, runs or shows a secret. It was refused."""
    sent: list[str] = field(default_factory=list, init=False)
    """Method and URL, with its escapes undone, and in the next line the body of every request."""

    emulator: Emulator = field(init=False, repr=False)
    """What it was added to."""

    planned: list[tuple[str, Answer, bool]] = field(default_factory=list, init=False, repr=False)
    """Failures that are to come: the action, the answer, and whether it stays."""
    _expired: bool = field(default=False, init=False, repr=False)
    _retrieves: dict[str, _Retrieve] = field(default_factory=dict, init=False, repr=False)
    _results: dict[str, tuple[str, list[dict[str, Any]]]] = field(default_factory=dict, init=False, repr=False)

    def fail(self, match: str, *answers: Answer, always: bool = False) -> None:
        """Give these answers to the next requests of an action (`query`, `query:OauthToken`), one each.

        With `always` the last of them is given to every request from then on.
        """
        if match.partition(":")[0] not in ACTIONS:
            raise ValueError(f"'{match}' is no action; there are {', '.join(ACTIONS)}")
        self.planned += [(match, answer, always and answer is answers[-1]) for answer in answers]

    def expire(self) -> None:
        """End the session; the next login gives another token."""
        self._expired = True

    @property
    def sandbox(self) -> bool:
        """Whether it is a sandbox."""
        return "--" in self.my_domain or ".sandbox." in self.my_domain

    @property
    def login_host(self) -> str:
        """The host where users log in who do not know their My Domain; that of the other kind of org knows no user."""
        return "test.salesforce.com" if self.sandbox else "login.salesforce.com"

    def take_planned(self, action: str) -> Answer | None:
        """Return the failure that is planned for a request, if there is one."""
        for place, (match, answer, always) in enumerate(self.planned):
            if action == match or action.startswith(f"{match}:"):
                if not always:
                    del self.planned[place]
                return answer
        return None

    def route(self, request: Request) -> tuple[str, Callable[[], Response] | None]:
        """Return the action of a request and what answers it; None where that is nothing that a reader should ask."""
        soap, query = _SOAP.fullmatch(request.path), _QUERY.fullmatch(request.path)
        if request.method == "POST" and soap is not None:
            return self._route_soap(request, soap[1], soap[2])
        if request.method == "GET" and query is not None:
            return self._route_query(request, *query.groups())
        composite = _COMPOSITE.fullmatch(request.path)
        if request.method == "POST" and composite is not None:
            return self._route_composite(request, composite[1])
        if request.method == "POST" and request.path == "/services/oauth2/token":
            return "token", partial(self._token, request)
        if request.method == "GET" and request.path.rstrip("/") == "/services/data":
            return "versions", self._versions
        return f"{request.method} {request.path}", None

    # Logins and sessions

    def _log_in(self) -> str:
        """Return the token of a session."""
        if self._expired:
            self._expired = False
            self.token += "X"
        return self.token

    def _login(self, host: str, version: str, operation: etree._Element) -> Response:
        """Answer the login of the SOAP API, which versions 31.0 to 64.0 have, whichever of them are in `versions`."""
        if float(version) < 31:
            return _fault("UNSUPPORTED_API_VERSION", "Invalid Api version specified on URL", login=True)
        if float(version) >= 65:
            text = f"The SOAP Login operation is not available in the API version specified ({version})."
            return _fault("INVALID_OPERATION", text, login=True)
        given = (operation.findtext("{*}username"), operation.findtext("{*}password"))
        known = (self.username, self.password + self.security_token)
        if host not in (self.my_domain, self.login_host) or given != known:
            text = "Invalid username, password, security token; or user locked out."
            return _fault("INVALID_LOGIN", text, login=True)
        address = f"https://{self.my_domain}/services/Soap"
        user = {"organizationId": self.org_id, "sessionSecondsValid": "7200", "userName": self.username}
        result = _xml(
            {
                "metadataServerUrl": f"{address}/m/{version}/{self.org_id}",
                "passwordExpired": "false",
                "sandbox": str(self.sandbox).lower(),
                "serverUrl": f"{address}/u/{version}/{self.org_id}",
                "sessionId": self._log_in(),
                "userId": _USER_ID,
            }
        )
        result += f"<userInfo>{_xml(user)}</userInfo>"
        return _soap(f"<loginResponse><result>{result}</result></loginResponse>", PARTNER)

    def _token(self, request: Request) -> Response:
        """Answer the token endpoint of OAuth."""
        grant = request.form.get("grant_type")
        if grant == JWT_BEARER:
            problem = self._assertion_problem(_host(request), request.form.get("assertion", ""))
        elif grant == "client_credentials":
            problem = self._client_problem(request)
        else:
            problem = ("unsupported_grant_type", "grant type not supported")
        if problem is not None:
            return _oauth_error(*problem)
        return _json(
            {
                "access_token": self._log_in(),
                "scope": "api",
                "instance_url": f"https://{self.my_domain}",
                "id": f"https://{self.login_host}/id/{self.org_id}/{_USER_ID}",
                "token_type": "Bearer",
            }
        )

    def _assertion_problem(self, host: str, assertion: str) -> tuple[str, str] | None:
        """Say what is wrong with an assertion; its audience is Salesforce's login host whatever host it is sent to."""
        if self.public_key is None:
            return "invalid_grant", "user hasn't approved this consumer"
        try:
            claims = jwt.decode(
                assertion,
                self.public_key,
                algorithms=["RS256"],
                audience=f"https://{self.login_host}",
                issuer=self.consumer_key,
                options={"require": ["exp"]},
            )
        except jwt.InvalidAudienceError:
            return "invalid_grant", "audience is invalid"
        except jwt.PyJWTError:
            return "invalid_grant", "invalid assertion"
        if claims.get("sub") != self.username or host not in (self.my_domain, self.login_host):
            return "invalid_grant", "user hasn't approved this consumer"
        return None

    def _client_problem(self, request: Request) -> tuple[str, str] | None:
        """Say what is wrong with client credentials, which only the org's own host takes."""
        given = request.authorization
        if _host(request) != self.my_domain:
            return "invalid_grant", "request not supported on this domain"
        if given is None or given.type != "basic" or given.username != self.consumer_key:
            return "invalid_client_id", "client identifier invalid"
        return None if given.password == self.consumer_secret else ("invalid_client", "invalid client credentials")

    # Metadata API

    def _route_soap(self, request: Request, api: str, version: str) -> tuple[str, Callable[[], Response] | None]:
        root = _parse(request.get_data())
        operation = None if root is None else root.find("{*}Body/*")
        if root is None or operation is None:
            return "no SOAP", None
        action = etree.QName(operation).localname
        if api == "u":
            return action, partial(self._login, _host(request), version, operation) if action == "login" else None
        answers = {
            "retrieve": self._retrieve,
            "checkRetrieveStatus": self._check_retrieve_status,
            "listMetadata": self._list_metadata,
            "describeMetadata": self._describe_metadata,
        }
        if action not in answers:
            return action, None
        token = root.findtext("{*}Header/{*}SessionHeader/{*}sessionId") or ""
        return action, partial(self._metadata, answers[action], version, token, operation)

    def _metadata(
        self, answer: Callable[[etree._Element], Response], version: str, token: str, operation: etree._Element
    ) -> Response:
        """Answer a call of the Metadata API; below version 68.0 it takes no access tokens that are JWTs."""
        if version not in self.versions:
            return _fault("UNSUPPORTED_API_VERSION", "Invalid Api version specified on URL")
        if self._expired or token != self.token or (token.startswith("eyJ") and float(version) < 68):
            return _fault("INVALID_SESSION_ID", "Invalid Session ID found in SessionHeader: Illegal Session")
        return answer(operation)

    def _problem(self, type_name: str, version: float) -> str | None:
        """Return what a retrieve says of a type that it cannot deliver."""
        if type_name not in TYPES or type_name in self.unknown_types:
            return f"Entity type: '{type_name}' is unknown"
        if TYPES[type_name].since > version:
            return f"Entity type '{type_name}' is not available in this api version"
        if type_name in self.denied_types:
            return f"You do not have the proper permissions to access {type_name}."
        return None

    def _retrieve(self, operation: etree._Element) -> Response:
        """Start a retrieve; the version in the package goes before that of the request."""
        version = operation.findtext(".//{*}version") or operation.findtext(".//{*}apiVersion") or "0"
        messages = list(self.messages)
        chosen = {name for name in self.files if _component(name) is None}  # what belongs to no type always comes
        for asked in operation.iter("{*}types"):
            type_name = asked.findtext("{*}name") or ""
            problem = self._problem(type_name, float(version))
            if problem is not None:
                messages.append((_PACKAGE, problem))
                continue
            found = {known.full_name: name for name, known in self._components() if known.type == type_name}
            for member in (one.text or "" for one in asked.iterfind("{*}members")):
                if member == "*":
                    chosen.update(found.values())
                elif member in found:
                    chosen.add(found[member])
                else:
                    messages.append((_PACKAGE, f"Entity of type '{type_name}' named '{member}' cannot be found"))
        package = "".join(etree.tostring(one, encoding="unicode") for one in operation.iter("{*}types"))
        package = f'<Package xmlns="{METADATA}">{package}<version>{version}</version></Package>'
        files = {name: self.files[name] for name in sorted(chosen)} | {"package.xml": package.encode()}
        single = (operation.findtext(".//{*}singlePackage") or "").lower() in ("true", "1")
        process = f"09S5g{len(self._retrieves) + 1:010}EAA"
        self._retrieves[process] = _Retrieve(
            "".join(
                f"<fileProperties>{_properties(known, f'unpackaged/{name}')}</fileProperties>"
                for name, known in [*self._components(), ("package.xml", Listed("Package", _PACKAGE))]
                if name in files
            ),
            "".join(f"<messages>{_xml({'fileName': name, 'problem': text})}</messages>" for name, text in messages),
            self.archive if self.archive is not None else _zip(files, "" if single else "unpackaged/"),
        )
        result = _xml({"done": "false", "id": process, "state": "Queued"})
        return _soap(f"<retrieveResponse><result>{result}</result></retrieveResponse>")

    def _check_retrieve_status(self, operation: etree._Element) -> Response:
        """Say how far a retrieve is; once its archive was delivered, the org no longer knows it."""
        process = operation.findtext("{*}asyncProcessId") or ""
        known = self._retrieves.get(process)
        if known is None or known.delivered:
            return _fault("INVALID_ID_FIELD", "The retrieve's result is not there, or was deleted when it was fetched")
        known.looks += 1
        nothing = '<zipFile xsi:nil="true"/>'
        if known.looks <= self.polls:
            status = "Pending" if known.looks == 1 else "InProgress"
            result = _xml({"done": "false", "id": process, "status": status, "success": "false"}) + nothing
        elif self.failure is not None:
            code, text = self.failure
            end = {"errorMessage": text, "errorStatusCode": code, "id": process, "status": "Failed", "success": "false"}
            result = _xml({"done": "true", **end}) + nothing
        else:
            # Whoever does not say is sent the archive.
            known.delivered = operation.findtext("{*}includeZip") not in ("false", "0")
            archive = f"<zipFile>{b64encode(known.archive).decode()}</zipFile>" if known.delivered else nothing
            end = {"status": "Succeeded", "success": "true"}
            result = f"<done>true</done>{known.properties}<id>{process}</id>{known.messages}{_xml(end)}{archive}"
        return _soap(f"<checkRetrieveStatusResponse><result>{result}</result></checkRetrieveStatusResponse>")

    def _list_metadata(self, operation: etree._Element) -> Response:
        """List components of up to three types, whether or not a retrieve can deliver them."""
        types = [element.text or "" for element in operation.iterfind("{*}queries/{*}type")]
        version = operation.findtext("{*}asOfVersion") or "0"
        if len(types) > 3:
            return _fault("EXCEEDED_MAX_TYPES_LIMIT", "The request exceeded the maximum number of types: 3")
        for name in types:
            if name not in TYPES or name in self.unknown_types:
                return _fault("INVALID_TYPE", f"Unknown type:{name}")
            if TYPES[name].since > float(version):
                return _fault("INVALID_TYPE", f"Cannot use: {name} in this version")
        existing = [known for _, known in self._components()] + self.listed
        results = "".join(
            f"<result>{_properties(known, _path(known))}</result>"
            for name in types
            for known in existing
            if known.type == name and name not in self.denied_types
        )
        return _soap(f"<listMetadataResponse>{results}</listMetadataResponse>")

    def _describe_metadata(self, operation: etree._Element) -> Response:
        """List the types of an API version."""
        version = float(operation.findtext("{*}asOfVersion") or "0")
        objects = "".join(
            f"<metadataObjects><directoryName>{known.folder}</directoryName><inFolder>false</inFolder>"
            f"<metaFile>false</metaFile><suffix>{known.suffix}</suffix><xmlName>{name}</xmlName></metadataObjects>"
            for name, known in TYPES.items()
            if known.since <= version and name not in self.unknown_types
        )
        end = _xml({"organizationNamespace": "", "partialSaveAllowed": "true", "testRequired": "false"})
        return _soap(f"<describeMetadataResponse><result>{objects}{end}</result></describeMetadataResponse>")

    def _components(self) -> list[tuple[str, Listed]]:
        """Return name and component of each file that belongs to a type."""
        found = ((name, _component(name)) for name in self.files)
        return [(name, known) for name, known in found if known is not None]

    # REST API

    def _versions(self) -> Response:
        """List the API versions, which takes no session."""
        return _json(
            [
                {"label": f"Release of {version}", "url": f"/services/data/v{version}", "version": version}
                for version in self.versions
            ]
        )

    def _route_query(
        self, request: Request, version: str, result: str | None, offset: str | None
    ) -> tuple[str, Callable[[], Response] | None]:
        if result is not None:
            name = self._results[result][0] if result in self._results else "unknown"
            return f"query:{name}", partial(self._query, request, version, name, result, int(offset or 0))
        soql = request.args.get("q", "")
        asked = re.match(r"\s*SELECT\s.+?\sFROM\s+(\w+)", soql, re.IGNORECASE | re.DOTALL)
        if asked is None or re.search(rf"\b({'|'.join(SECRET_COLUMNS)})\b", soql, re.IGNORECASE):
            return f"forbidden query: {soql}", None
        return f"query:{asked[1]}", partial(self._query, request, version, asked[1], None, 0)

    def _route_composite(self, request: Request, version: str) -> tuple[str, Callable[[], Response] | None]:
        """Route several requests in one: nothing but queries, each of which has to stand on its own."""
        said = request.get_json(silent=True)
        if not isinstance(said, dict):
            return "forbidden composite request", None
        asked = said.get("compositeRequest")
        if not isinstance(asked, list) or said.get("allOrNone") is not False or not 0 < len(asked) <= _MOST_QUERIES:
            return "forbidden composite request", None
        answers = []
        for one in asked:
            inner = Request.from_values(one["url"], method=one["method"], headers=dict(request.headers))
            action, answer = self.route(inner)
            if answer is None or not action.startswith("query:") or one.keys() - {"method", "url", "referenceId"}:
                return f"forbidden composite request: {action}", None
            answers.append((one["referenceId"], action, inner, answer))
        return f"composite:{answers[0][1].partition(':')[2]}", partial(self._composite, request, version, answers)

    def _composite(
        self, request: Request, version: str, asked: list[tuple[str, str, Request, Callable[[], Response]]]
    ) -> Response:
        """Answer several queries at once; failures that are planned for a query are those of its part of the answer."""
        refusal = self._refused(request, version)
        if refusal is not None:
            return refusal
        parts: list[dict[str, Any]] = []
        for reference, action, inner, answer in asked:
            failure = self.take_planned(action)
            given = answer() if failure is None else failure(Call(self.emulator, inner, action, answer))
            body = given.get_json(silent=True)
            parts.append(
                {"body": body, "httpHeaders": {}, "httpStatusCode": given.status_code, "referenceId": reference}
            )
        return _json({"compositeResponse": parts})

    def _refused(self, request: Request, version: str) -> Response | None:
        """Return why a request of the REST API is refused, whatever it asks for."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if version not in self.versions:
            return _rest_error(404, "NOT_FOUND", "The requested resource does not exist")
        if scheme != "Bearer" or not token or " " in token:
            return _rest_error(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE")
        if self._expired or token != self.token:
            return _rest_error(401, "INVALID_SESSION_ID", "Session expired or invalid")
        return None

    def _query(self, request: Request, version: str, name: str, result: str | None, offset: int) -> Response:
        """Answer one page of a query."""
        refusal = self._refused(request, version)
        if refusal is not None:
            return refusal
        if name in self.unknown_types | self.denied_types:
            return _rest_error(400, "INVALID_TYPE", f"sObject type '{name}' is not supported.")
        for column in self.unknown_columns:
            if re.search(rf"\b{column}\b", request.args.get("q", "")):
                return _rest_error(400, "INVALID_FIELD", f"No such column '{column}' on entity '{name}'.")
        if result is None:
            result = f"01g5g{len(self._results) + 1:010}AAA"
            soql = request.args["q"]
            held = _HELD.search(soql)
            rows = self.rows.get(name if held is None else f"{name}:{held[1]}", [])
            rows = [_record(row, name, version, soql) for row in rows]
            self._results[result] = (name, rows)
        if result not in self._results:
            return _rest_error(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        rows = self._results[result][1]
        end = offset + PAGE_SIZE
        said = {"totalSize": len(rows), "done": end >= len(rows), "records": rows[offset:end]}
        if end < len(rows):
            said["nextRecordsUrl"] = f"/services/data/v{version}/query/{result}-{end}"
        return _json(said)


def _host(request: Request) -> str:
    return request.host.partition(":")[0].lower()


def _parse(content: bytes) -> etree._Element | None:
    try:
        return etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        return None


def _record(row: dict[str, Any], name: str, version: str, soql: str) -> dict[str, Any]:
    """Return a record with what Salesforce says of its kind."""
    attributes = {"type": name, "url": f"/services/data/v{version}/sobjects/{name}/{row.get('Id')}"}
    if re.search(r"\sGROUP\s+BY\s|^\s*SELECT\s+\w+\(", soql, re.IGNORECASE):
        attributes = {"type": "AggregateResult"}
    return {"attributes": attributes, **row}


def _component(name: str) -> Listed | None:
    """Return the component that a member of an archive is."""
    folder, _, file_name = name.rpartition("/")
    full_name, _, suffix = file_name.rpartition(".")
    for type_name, known in TYPES.items():
        if (known.folder, known.suffix) == (folder, suffix):
            namespace = full_name.partition("__")[0] if "__" in full_name else ""
            return Listed(type_name, full_name, namespace, "installed" if namespace else "unmanaged")
    return None


def _path(component: Listed) -> str:
    known = TYPES[component.type]
    return f"{known.folder}/{component.full_name}.{known.suffix}"


def _properties(component: Listed, file_name: str) -> str:
    """Return the FileProperties of a component."""
    person, date = "Release Manager", "2026-01-05T10:00:00.000Z"
    return _xml(
        {
            "createdById": _USER_ID,
            "createdByName": person,
            "createdDate": date,
            "fileName": file_name,
            "fullName": component.full_name,
            "id": component.id or component_id(component.type, component.full_name),
            "lastModifiedById": _USER_ID,
            "lastModifiedByName": person,
            "lastModifiedDate": date,
            "manageableState": component.manageable_state,
            **({"namespacePrefix": component.namespace} if component.namespace else {}),
            "type": component.type,
        }
    )


def _zip(files: Mapping[str, bytes], prefix: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(prefix + name, data)
    return content.getvalue()


# The server and the proxy.


class Proxy(socketserver.ThreadingTCPServer):
    """An HTTP proxy that leads every host of salesforce.com to the emulator, and no other host anywhere."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.port = port
        """The emulator's."""
        self.hosts: list[str] = []
        """Every host that was asked for, in order; with its port where that is not 443, as a URL where it is no TLS."""
        self.closing = threading.Event()
        self.resets: set[int] = set()
        """Ports by which the emulator knows the tunnels that end with a reset."""


class _Tunnel(socketserver.StreamRequestHandler):
    """One client of the proxy."""

    server: Proxy
    timeout = 10
    disable_nagle_algorithm = True  # what waits to be sent would be lost in a reset

    def handle(self) -> None:
        with suppress(OSError):  # either side may go at any time
            self._handle()

    def _handle(self) -> None:
        method, _, target = self.rfile.readline().decode("latin-1").rpartition(" ")[0].partition(" ")
        while self.rfile.readline().strip():
            pass  # headers, up to the empty line
        if not target:
            return  # a client that went before it said anything
        host = target.removesuffix(":443")
        self.server.hosts.append(host)
        if method != "CONNECT" or host == target or not f".{host}".endswith(".salesforce.com"):
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", self.server.port), self.timeout) as emulator:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with suppress(OSError):
                self._pass_on(emulator)
            port = emulator.getsockname()[1]
            if port in self.server.resets:
                self.server.resets.remove(port)
                # Without lingering, what ends the connection is a reset.
                no_lingering = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_lingering)
                self.connection.close()

    def _pass_on(self, emulator: socket.socket) -> None:
        """Pass on what either side sends, until one of them ends the connection."""
        other = {self.connection: emulator, emulator: self.connection}
        while not self.server.closing.is_set():
            for end in select.select(list(other), [], [], 0.1)[0]:
                data = end.recv(1 << 16)
                if not data:
                    return
                other[end].sendall(data)


class _Server(HTTPServer):
    def thread_target(self) -> None:
        assert self.server is not None
        self.server.serve_forever(poll_interval=0.02)


class Emulator:
    """Salesforce, as far as it is emulated: any number of orgs, and the proxy that leads to them."""

    def __init__(self, proxy: Proxy, ca_file: Path) -> None:
        self.proxy = proxy
        self.ca_file = ca_file
        """The authority that the certificate is from; PEM."""
        self.orgs: list[FakeOrg] = []
        self.strays: list[Asked] = []
        """Requests to a host that is no org's."""
        address = f"http://127.0.0.1:{proxy.server_address[1]}"
        self.environment = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), address)
        """Variables that lead a program to the emulator; there must be no `NO_PROXY` beside them."""
        self.environment["REQUESTS_CA_BUNDLE"] = str(ca_file)
        self._lock = threading.Lock()

    def set_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Lead this process, and those that it starts, to the emulator."""
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)

    def add(self, org: FakeOrg) -> FakeOrg:
        """Add an org and return it."""
        if any(org.my_domain == other.my_domain for other in self.orgs):
            raise ValueError(f"there is an org at {org.my_domain} already")
        org.emulator = self
        self.orgs.append(org)
        return org

    @property
    def unexpected(self) -> list[Asked]:
        """Everything that no reader of settings should ask of any host."""
        return [*self.strays, *(asked for org in self.orgs for asked in org.unexpected)]

    def answer(self, request: Request) -> Response:
        """Answer a request, or fail as it was planned."""
        host = _host(request)
        with self._lock:
            org = next(iter(self._candidates(host, request)), None)
            if org is None:
                self.strays.append(Asked(request.method, host, request.path, "stray"))
                return _html(404, "URL No Longer Exists")
            action, answer = org.route(request)
            if host in _LOGIN_HOSTS and action not in ("login", "token"):
                answer = None
            asked = Asked(request.method, host, request.path, action)
            org.requests.append(asked)
            body = request.get_data(as_text=True)
            org.sent.append(f"{request.method} https://{host}{unquote_plus(request.environ['REQUEST_URI'])}\n{body}")
            if answer is None:
                org.unexpected.append(asked)
                return Response(f"unexpected: {action}\n", 400, content_type="text/plain")
            failure = org.take_planned(action)
        call = Call(self, request, action, partial(self._locked, answer))
        return call.answer() if failure is None else failure(call)

    def _locked(self, answer: Callable[[], Response]) -> Response:
        with self._lock:
            return answer()

    def _candidates(self, host: str, request: Request) -> Iterable[FakeOrg]:
        """Return the orgs that a request may be for, the likeliest first.

        A login host knows whom a login is for; where that is nobody, the first org refuses it.
        """
        if host not in _LOGIN_HOSTS or request.method != "POST":
            return [org for org in self.orgs if org.my_domain == host]
        names = set(_names(request))
        return sorted(self.orgs, key=lambda org: not names & {org.username, org.consumer_key})


def _names(request: Request) -> Iterator[str]:
    """Yield the names in a login: of the user, of the client."""
    root = _parse(request.get_data())
    if root is not None:
        yield root.findtext("{*}Body/{*}login/{*}username") or ""
    with suppress(jwt.PyJWTError):
        claims = jwt.decode(request.form.get("assertion", ""), options={"verify_signature": False})
        yield from (str(claims.get(name)) for name in ("sub", "iss"))


@contextmanager
def emulator() -> Iterator[Emulator]:
    """Run an emulator; an exception in it is raised at the end."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*_CERTIFIED).configure_cert(tls)
    log = logging.getLogger("werkzeug")
    level = log.level
    log.setLevel(logging.WARNING)  # else each request is written to standard error
    with (
        TemporaryDirectory() as folder,
        _Server("127.0.0.1", 0, tls, threaded=True) as server,
        Proxy(server.port) as proxy,
    ):
        ca_file = Path(folder) / "ca.pem"
        authority.cert_pem.write_to_path(str(ca_file))
        running = Emulator(proxy, ca_file)
        server.expect_request(re.compile(".*", re.DOTALL)).respond_with_handler(running.answer)
        threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield running
        finally:
            proxy.closing.set()
            proxy.shutdown()
            log.setLevel(level)
        server.check_handler_errors()
