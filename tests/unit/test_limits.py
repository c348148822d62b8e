"""Limits and times that clients choose."""

import pytest
from scripts import limits_page

from mltrail_server.domain.clock import iso


def test_the_page_of_limits_is_up_to_date() -> None:
    assert limits_page.page() == limits_page.PAGE.read_text(), "run: python -m scripts.limits_page"


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [(-(2**63), "0001-01-01T00:00:00.000Z"), (0, "1970-01-01T00:00:00.000Z"), (2**63 - 1, "9999-12-31T23:59:59.000Z")],
)
def test_every_time_that_a_client_may_send_can_be_shown(milliseconds: int, shown: str) -> None:
    assert iso(milliseconds) == shown
