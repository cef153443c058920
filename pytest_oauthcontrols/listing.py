"""Shows the catalogue of controls on a terminal."""

from __future__ import annotations

from pytest_oauthcontrols.catalogue import load


def show() -> None:
    """Print each control: id, severity, range, how it is assessed, and its published name; then the risk factors."""
    catalogue = load()
    width = max(len(control.id) for control in catalogue.controls)
    print(f"catalogue {catalogue.version}: {len(catalogue.controls)} controls")
    for control in catalogue.controls:
        print(f"{control.id:<{width}}  {control.severity.value:<8}  {control.cvss_range:<8}  {control.assessed}")
        print(f"  {control.name}")
    print()
    print(f"{len(catalogue.factors)} risk factors that no API shows, and that can be attested")
    for factor, says in catalogue.factors.items():
        print(factor)
        for one in says:
            print(f"  {one}")
