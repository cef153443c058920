"""What a project's own tests and conftest files import."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from types import UnionType
from typing import Any

import pytest

import pytest_oauthcontrols
from pytest_oauthcontrols import DocumentError, OAuthControlsError
from pytest_oauthcontrols.decisions.baseline import BaselineError
from pytest_oauthcontrols.orgs.snapshot import SnapshotError
from pytest_oauthcontrols.sources import SourceError

EXPORTED = {name: getattr(pytest_oauthcontrols, name) for name in pytest_oauthcontrols.__all__}


def _functions(exported: Any) -> Iterator[Callable[..., Any]]:
    """Yield an exported function, or the public methods and properties of an exported class."""
    if inspect.isfunction(exported):
        yield exported
    if not inspect.isclass(exported):
        return
    for class_ in exported.__mro__:
        for name, member in vars(class_).items():
            function = getattr(member, "fget", None) or getattr(member, "func", None) or member
            if not name.startswith("_") and inspect.isfunction(function):
                yield function


def _of_package(value: Any) -> bool:
    module = "" if isinstance(value, UnionType) else getattr(value, "__module__", "builtins")
    return not module or module.startswith("pytest_oauthcontrols")


@pytest.mark.parametrize("name", EXPORTED)
def test_every_type_that_is_named_can_be_imported(name: str) -> None:
    """A project can import each type that what it imports takes, returns or raises."""
    for function in _functions(EXPORTED[name]):
        raised = inspect.cleandoc(function.__doc__ or "").partition("Raises")[2]
        annotated = " ".join(map(str, function.__annotations__.values()))
        for word in re.findall(r"\b[A-Z]\w+", f"{annotated} {raised}"):
            if word in function.__globals__ and _of_package(function.__globals__[word]):
                assert EXPORTED.get(word) is function.__globals__[word], f"{function.__qualname__} names {word}"


def test_every_error_has_one_base() -> None:
    """Whoever catches the base catches every error about a file, an org or an option."""
    for error in (DocumentError, SnapshotError, BaselineError, SourceError):
        assert issubclass(error, OAuthControlsError)
