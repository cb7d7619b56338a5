"""docs/load-bearing.md is what the registry says."""

from tests.broken.table import PAGE, updated


def test_house_load_bearing_page_is_up_to_date() -> None:
    """The table is made, not written: `make load-bearing` renews it."""
    page = PAGE.read_text("utf-8")
    assert page == updated(page), "run: make load-bearing"
