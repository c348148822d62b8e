"""What a runner and GitLab say to each other: a job begins, gets its variables and ID tokens, and ends.

gitlab-ci-local runs jobs but knows no GitLab. `shell/bash_env` asks here, so that each job has an id of the stand-in, a
token signed for it alone, and an end that the stand-in reports to others.
"""

import re
import shlex
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from tests.fakes.gitlab import FakeGitLab, Job, Pipeline, User


@dataclass
class Coordinator:
    """Jobs that begin belong to `pipeline`. `settings` are the CI/CD variables of the project's settings: as in GitLab,
    one that is named like an ID token takes its place.
    """

    gitlab: FakeGitLab
    user: User
    checkout: Path
    pipeline: Pipeline | None = None
    settings: dict[str, str] = field(default_factory=dict)
    began: list[Job] = field(default_factory=list)
    url: str = ""

    def begin(self, environment: dict[str, str]) -> str:
        """Answer what the job's shell has to evaluate."""
        assert self.pipeline is not None, "a job began outside of a pipeline"
        name = environment["CI_JOB_NAME"]
        job = self.gitlab.add_job(self.pipeline, name, environment["CI_JOB_STAGE"], self.user, "running")
        self.began.append(job)
        config = yaml.safe_load((self.checkout / ".gitlab-ci-local/expanded-gitlab-ci.yml").read_text())
        tokens = config[name if name in config else re.sub(r": \[.*\]$", "", name)].get("id_tokens", {})
        # The runner here has made up an id of its own and put it into the values of other variables, too.
        made_up = environment["CI_JOB_ID"]
        predefined = {
            key: re.sub(rf"\b{made_up}\b", str(job.id), value)
            for key, value in environment.items()
            if re.match(r"(CI|MLFLOW|MLTRAIL)_", key) and re.search(rf"\b{made_up}\b", value)
        }
        signed = {key: self.gitlab.mint(job, _expanded(one["aud"], environment)) for key, one in tokens.items()}
        exports = predefined | signed | self.settings | {"CI_JOB_TOKEN": job.token, "STAND_IN_JOB": str(job.id)}
        lines = [f"export {key}={shlex.quote(value)}" for key, value in exports.items()]
        if "CI_COMMIT_TAG" in environment or "CI_MERGE_REQUEST_IID" in environment:
            lines.append("unset CI_COMMIT_BRANCH")
        return "\n".join(lines) + "\n"

    def end(self, number: int, code: int) -> str:
        self.gitlab.set_job(
            self.gitlab.jobs[number], "failed" if code else "success", "script_failure" if code else None
        )
        return ""

    def start(self) -> ThreadingHTTPServer:
        coordinator = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if self.path == "/begin":
                    pairs = (entry.partition("=") for entry in body.split("\0") if entry)
                    answer = coordinator.begin({key: value for key, _, value in pairs})
                else:
                    answer = coordinator.end(int(self.path.rpartition("/")[2]), int(body))
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer.encode())))
                self.end_headers()
                self.wfile.write(answer.encode())

            def log_message(self, format: str, *args: Any) -> None:
                """Keep quiet."""

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{http.server_address[1]}"
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return http


def _expanded(value: str | list[str], environment: dict[str, str]) -> str | list[str]:
    if isinstance(value, list):
        return [str(_expanded(one, environment)) for one in value]
    return re.sub(r"\$\{?(\w+)\}?", lambda found: environment.get(found[1], ""), value)
