"""A stand-in for our own server: answers over real HTTP what a test lays down, and keeps what was asked."""

import json
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from tests.fakes.gitlab import description


@dataclass
class Asked:
    method: str
    path: str
    token: str
    body: Any


@dataclass
class Server:
    """`answers` maps "METHOD path" to a list of (status, body); the last one is repeated."""

    answers: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    request_id: str = ""
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    clock_is_off_by: float = 0

    def lay(self, call: str, *bodies: Any, status: int = 200) -> None:
        self.answers[call] = [(status, body) for body in bodies]

    def answer(self, asked: Asked) -> tuple[int, Any]:
        self.asked.append(asked)
        # What is not ours is GitLab's, which the command asks with its job's token.
        if "/ml/" not in asked.path and asked.path.startswith(f"{description.PREFIX}/"):
            path, _, query = asked.path.partition("?")
            description.look(asked.method, path, parse_qsl(query), asked.body)
        left = self.answers.get(f"{asked.method} {asked.path}", [(404, {"message": "No such thing."})])
        return left.pop(0) if len(left) > 1 else left[0]

    def start(self, tls: ssl.SSLContext | None = None) -> ThreadingHTTPServer:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                status, answer = server.answer(Asked(self.command, self.path, token, body))
                content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
                self.send_response(status)
                if server.request_id:
                    self.send_header("X-Request-Id", server.request_id)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_PUT = do_GET  # noqa: N815 - the names are those of http.server

            def date_time_string(self, timestamp: float | None = None) -> str:
                return super().date_time_string((timestamp or time.time()) + server.clock_is_off_by)

            def log_message(self, format: str, *args: Any) -> None:
                """Keep quiet."""

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            http.socket = tls.wrap_socket(http.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{http.server_address[1]}"
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return http


def a_report(**changes: Any) -> Mapping[str, Any]:
    """A report as docs/reference/report.md describes it."""
    candidate = {
        "iid": 7,
        "name": "depth-3-seed-1",
        "url": "https://mltrail.example.com/team/churn/-/ml/candidates/7",
        "status": "finished",
        "job_id": 4711,
        "job_url": "https://gitlab.example.com/team/churn/-/jobs/4711",
        "metrics": {"val_auc": 0.8953},
    }
    return {
        "state": "ready",
        "reason": "",
        "pipeline": {"id": 1001, "url": "https://gitlab.example.com/team/churn/-/pipelines/1001", "status": "running"},
        "merge_request": {
            "iid": 3,
            "url": "https://gitlab.example.com/team/churn/-/merge_requests/3",
            "target_branch": "main",
        },
        "verdict": {
            "level": "bad",
            "sentence": "churn: recall is worse (no longer logged); churn: val_auc is better (+0.8 pp)",
        },
        "summary": {
            "icon": "❌",
            "heading": "blocks the merge: recall is worse: no longer logged",
            "lines": [{"label": "Better", "text": "val_auc, 0.8873 → 0.8953."}],
        },
        "models": [
            {
                "name": "churn",
                "against": "main",
                "rows": [
                    a_row("recall", "worse", "no longer logged", now="\N{EN DASH}", outcome="fail"),
                    a_row("val_auc", "better", "+0.8 pp, more than chance makes"),
                ],
                "baseline": {"pipeline": 1000},
                "best": {"iid": 7, "name": "depth-3-seed-1", "url": candidate["url"], "runs": 3},
                "metrics": [
                    a_metric("val_auc", "better", "+0.8 pp, more than chance explains"),
                    a_metric("val/log loss", "worse", "+0.02, more than chance explains"),
                    a_metric("val_f1", "can't tell yet", "one run on each side can't show how much is chance"),
                    a_metric("recall", "worse", "no longer logged", current=None, delta=None),
                ],
                "parameters": [
                    {"name": "learning_rate", "from": "0.05", "to": "0.2"},
                    {"name": "warm_start", "from": None, "to": "true"},
                ],
                "candidates": [candidate],
            }
        ],
        "note": {"state": "written", "url": "https://gitlab.example.com/team/churn/-/merge_requests/3#note_1"},
        "markdown": "### churn\n",
        **changes,
    }


def a_metric(name: str, verdict: str, sentence: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "direction": "higher",
        "guessed": True,
        "baseline": {"mean": 0.8873, "sd": 0.0011, "n": 3},
        "current": {"mean": 0.8953, "sd": None, "n": 3},
        "delta": 0.008,
        "relative": 0.009,
        "verdict": verdict,
        "sentence": sentence,
        **changes,
    }


def a_row(metric: str, verdict: str, sentence: str, **changes: Any) -> dict[str, Any]:
    return {
        "metric": metric,
        "verdict": verdict,
        "outcome": None,
        "expects": None,
        "better": "higher is better",
        "before": "0.8873",
        "now": "0.8953",
        "unit": "",
        "sentence": sentence,
        **changes,
    }


def a_promotion(**changes: Any) -> dict[str, Any]:
    return {
        "state": "promoted",
        "model": "churn",
        "version": "1.1.0",
        "number": 2,
        "alias": "champion",
        "bump": "minor",
        "reason": "learning_rate 0.05 → 0.2",
        "replaces": "1.0.0",
        "candidate": {"iid": 7},
        "url": "https://mltrail.example.com/team/churn/-/ml/models/1/versions/2",
        **changes,
    }
