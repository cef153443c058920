"""What all tests share."""

import importlib
import pkgutil

# Imported here because pytester forgets what a run in process imported: half of the package would then be there twice,
# and the C parts of cryptography, lxml and PyYAML stand no second import.
import cryptography.x509  # noqa: F401
import hypothesis  # noqa: F401

import pytest_oauthcontrols

for module in pkgutil.walk_packages(pytest_oauthcontrols.__path__, "pytest_oauthcontrols."):
    importlib.import_module(module.name)

pytest_plugins = ["pytester"]
