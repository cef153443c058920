"""What a project has: its configuration, and the catalogue as plugins, configuration and options leave it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_oauthcontrols.config import configuration
from pytest_oauthcontrols.config.configuration import Configuration
from pytest_oauthcontrols.config.tailoring import select
from pytest_oauthcontrols.errors import OAuthControlsError
from pytest_oauthcontrols.rules.catalogue import Catalogue, in_order, load
from pytest_oauthcontrols.rules.selection import Selection
from pytest_oauthcontrols.text import plain
from pytest_oauthcontrols.yaml_entries import DocumentError


def catalogue_of(config: pytest.Config) -> Catalogue:
    """Return the catalogue as a run would have it, but for what tests state."""
    try:
        return configured(config, with_plugins(config, load())).catalogue
    except OAuthControlsError as error:
        raise pytest.UsageError(plain(str(error))) from None


def configuration_file(config: pytest.Config) -> tuple[Path, str]:
    """Return the configuration's path, and how it is shown: the given one, else the nearest."""
    given = config.option.sf_config
    if given is not None:
        return config.invocation_params.dir / given, given
    here = config.invocation_params.dir / configuration.FILE_NAME
    return here if here.exists() else config.rootpath / configuration.FILE_NAME, configuration.FILE_NAME


def configured(config: pytest.Config, catalogue: Catalogue) -> Configuration:
    """Return the project's configuration, with what options select; raises `DocumentError` where it is wrong."""
    path, shown = configuration_file(config)
    if config.option.sf_config is None and not path.exists():
        for folder in (config.invocation_params.dir, config.rootpath):
            if (folder / path.name).with_suffix(".yml").exists():
                raise DocumentError(f"{path.stem}.yml: is not read: rename it to {path.name}")
        configured = Configuration("", catalogue)
    else:
        configured = configuration.load(path, shown, catalogue)
    selection = _selection(config, configured.tailoring.selection)
    return replace(
        configured,
        catalogue=select(configured.catalogue, selection),
        tailoring=replace(configured.tailoring, selection=selection),
    )


def _selection(config: pytest.Config, said: Selection) -> Selection:
    """Return what is selected and ignored: where an option says it, whatever the configuration says."""
    option = config.option
    if option.sf_select:
        said = said._replace(select=_parts(option.sf_select), selected_by="--sf-select")
    if option.sf_ignore:
        said = said._replace(ignore=_parts(option.sf_ignore), ignored_by="--sf-ignore")
    return said


def _parts(given: list[str]) -> tuple[str, ...]:
    return tuple(part.strip() for one in given for part in one.split(",") if part.strip())


def with_plugins(config: pytest.Config, catalogue: Catalogue) -> Catalogue:
    """Return the catalogue with what plugins add to it and change of it, each marked as theirs."""
    controls = list(catalogue.controls)
    config.hook.pytest_oauthcontrols_controls(config=config, controls=controls)
    shipped = {control.id: control for control in catalogue.controls}
    for number, control in enumerate(controls):
        if control.id not in shipped:
            controls[number] = replace(control, origin=control.origin or "a plugin")
        elif control is not shipped[control.id]:
            controls[number] = replace(control, overridden=control.overridden or "changed by a plugin")
    for id_, number in Counter(control.id for control in controls).items():
        if number > 1:
            raise DocumentError(f"plugins have made {number} controls with the id '{id_}'")
    return replace(catalogue, controls=in_order(controls))
