"""Walk the pages as a person would who clicks on everything: each link is followed, each form is sent."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

_MOST_PAGES = 600


class _Page(HTMLParser):
    """What a page links to, and its forms with the values of their fields."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[tuple[str, str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        for name in ("href", "src", "data-curves"):
            if name in attributes:
                self.links.append(attributes[name])
        if tag == "form":
            self.forms.append((attributes.get("method", "get").lower(), attributes.get("action", ""), {}))
        if tag in ("input", "button", "select", "textarea") and "name" in attributes and self.forms:
            self.forms[-1][2].setdefault(attributes["name"], attributes.get("value", ""))


class Walker:
    """Goes from page to page below `root` and keeps what it found; other hosts are left alone. `follow` is an
    expression for the addresses to go on to.
    """

    def __init__(self, client: FlaskClient, base_url: str, root: str = "", *, follow: str = ".*") -> None:
        self._client, self._base_url, self.root = client, base_url, root
        self._follow = re.compile(follow)
        self.seen: set[str] = set()
        self.forms: set[tuple[str, str]] = set()
        self.wrong: list[str] = []

    def walk(self, *starts: str) -> None:
        todo = [(url, "the start") for url in starts]
        while todo and len(self.seen) < _MOST_PAGES:
            url, page = todo.pop()
            if url in self.seen:
                continue
            self.seen.add(url)
            answer = self._client.get(url, base_url=self._base_url, buffered=True)
            if answer.status_code >= 400:
                self.wrong.append(f"{page} links to {url}: {answer.status_code}")
            todo += [(link, url) for link in self._next(url, answer)]

    def _next(self, page_url: str, answer: TestResponse) -> Iterator[str]:
        found = [answer.headers["Location"]] if "Location" in answer.headers else []
        if answer.mimetype == "text/html":
            page = _Page(answer.get_data(as_text=True))
            found += page.links
            for method, action, fields in page.forms:
                self._form(page_url, method, urljoin(page_url, action), fields)
        for link in found:
            target = urlsplit(urljoin(f"{self._base_url}{page_url}", link))
            if f"{target.scheme}://{target.netloc}" != self._base_url or link.startswith("#"):
                continue
            if not target.path.startswith(f"{self.root}/"):
                self.wrong.append(f"{page_url} links to {link}")
                continue
            url = f"{target.path}?{target.query}" if target.query else target.path
            if self._follow.fullmatch(url):
                yield url

    def _form(self, page: str, method: str, action: str, fields: dict[str, str]) -> None:
        if not action.startswith(f"{self.root}/"):
            self.wrong.append(f"{page} has a form to {action}")
        what = fields.get("do", "").partition(":")[0]
        if method != "post" or (action, what) in self.forms or action.endswith("/-/sign-out"):
            return
        self.forms.add((action, what))
        if what in ("delete", "restore", "rename") or action.endswith("/promote"):
            return
        # Sent as it stands: some are refused for an empty field, and say so on the page that follows.
        answer = self._client.post(action, data=fields, base_url=self._base_url)
        for _, sure, asked in _Page(answer.get_data(as_text=True)).forms if answer.status_code == 200 else ():
            if "sure" in asked:
                answer = self._client.post(urljoin(action, sure), data=asked, base_url=self._base_url)
        if answer.status_code not in (302, 303, 400, 401):
            self.wrong.append(f"POST {action} {what!r}: {answer.status_code}")
        location = answer.headers.get("Location", f"{self.root}/")
        if not location.startswith(f"{self.root}/"):
            self.wrong.append(f"POST {action} {what!r} leads to {location}")
