"""Comments on a phone, with GitLab's paddings: nothing is cut off, and nothing has to be scrolled sideways."""

import pytest
from playwright.sync_api import Browser
from scripts import gallery, note_pictures

from tests.chromium import open_page

_WIDER = """
[...document.querySelectorAll('h1, h3, h4, p, li, table')]
  .filter(one => one.scrollWidth > one.clientWidth + 1 && !one.closest('details'))
  .map(one => one.innerText.slice(0, 60))
"""


@pytest.mark.parametrize("situation", gallery.SITUATIONS, ids=lambda one: one.name)
def test_a_comment_fits_a_phone(chromium: Browser, situation: gallery.Situation) -> None:
    page = open_page(chromium, viewport={"width": note_pictures.PHONE, "height": 844})
    page.set_content(note_pictures.page(gallery.note_of(situation), "light"))
    assert page.evaluate(_WIDER) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= note_pictures.PHONE
    page.close()
