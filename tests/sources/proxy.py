"""A stand-in for the part of a tracking server that proxies files, which can also cut what it sends."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

SERVICE = "/api/2.0/mlflow-artifacts/artifacts"


@dataclass
class Proxy:
    """`files` are those that it has, `tokens` the ones that it was sent. Of `cut` files only the first half is sent."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    listed: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    tokens: set[str | None] = field(default_factory=set)

    def listing(self, path: str) -> list[dict[str, object]]:
        if path in self.listed:
            return self.listed[path]
        root = f"{path}/" if path else ""
        found: dict[str, dict[str, object]] = {}
        for name, content in self.files.items():
            if name.startswith(root):
                first, slash, _ = name[len(root) :].partition("/")
                size = {} if slash else {"file_size": str(len(content))}
                found[first] = {"path": first, "is_dir": bool(slash), **size}
        return list(found.values())


@contextmanager
def serving() -> Iterator[Proxy]:
    proxy = Proxy()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            proxy.tokens.add(self.headers.get("Authorization"))
            url = urlsplit(self.path)
            if url.path == SERVICE:
                path = parse_qs(url.query).get("path", [""])[0]
                self.answer(json.dumps({"files": proxy.listing(path)}).encode(), cut=False)
                return
            name = unquote(url.path.removeprefix(SERVICE + "/"))
            if name not in proxy.files:
                self.send_error(404)
                return
            self.answer(proxy.files[name], cut=name in proxy.cut)

        def answer(self, content: bytes, *, cut: bool) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if cut else content)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        proxy.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
