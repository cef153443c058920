"""The shop."""

from shop import Shop


def test_price(app: Shop) -> None:
    """Tea has a price."""
    assert app.price("tea") == 450
