"""How the shop reaches Salesforce."""

from pytest_oauthcontrols import Org


def test_org_knows_the_app_that_takes_orders(org: Org) -> None:
    """The shop logs in as this app."""
    assert "Warehouse_Sync" in {app.name for app in org.apps}
