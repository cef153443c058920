"""Shows the catalogue of controls on a terminal."""

from __future__ import annotations

from pytest_oauthcontrols.rules.catalogue import Catalogue


def show(catalogue: Catalogue) -> None:
    """Print each control: id, severity, range, how it is assessed, and its published name; then the risk factors."""
    width = max(len(control.id) for control in catalogue.controls)
    print(f"catalogue {catalogue.version}: {len(catalogue.controls)} controls")
    for control in catalogue.controls:
        print(f"{control.id:<{width}}  {control.severity.value:<8}  {control.cvss_range:<8}  {control.assessed}")
        print(f"  {control.name}")
        notes = {
            "stated at ": control.origin,
            "": control.overridden,
            "left out ": catalogue.left_out.get(control.id, ""),
        }
        for what, said in notes.items():
            if said:
                print(f"  {what}{said}")
    print()
    print(f"{len(catalogue.factors)} risk factors that no API shows, and that can be attested")
    for factor, says in catalogue.factors.items():
        print(factor)
        for one in says:
            print(f"  {one}")
