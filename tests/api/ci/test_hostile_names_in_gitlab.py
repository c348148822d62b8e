"""Whatever people and models are called, nothing that is posted to GitLab does anything, and names stay readable.

Each name stands in every place that a person, a job or a model can fill, and goes the whole way: logged over HTTP,
judged, posted to the stand-in, and read there as GitLab would read it. https://docs.gitlab.com/user/markdown/
"""

import json
import random
import re
from dataclasses import dataclass
from typing import Any

import pytest

from mltrail_contract import FILE_NAME
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import MergeRequest, Note, Pipeline, detectors
from tests.fakes.gitlab.detectors import Reading
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL

BACKENDS = ("sqlite",)

NAMES = {
    "pipe and mention": "a|@all",
    "pipe and link": "x | [free](https://evil.example) | y",
    "pipe, backtick and mention": "a`|`@all",
    "backslash and pipe": "a\\|@all\\",
    "runs of backticks": "`` ` ``` |@all ````",
    "long run of backticks": "`" * 90 + "@all",
    "quick actions": "x\n/merge\n/close\r\n/label ~bug",
    "line separators": "x\u2028/merge\u2029@all\x85/close\x0b@dana",
    "nothing to see": "z\u200b@all\u200d\ufeff\u2060|\u00ad#1",
    "right to left": "\u202eevil\u2066|@all",
    "control characters": "n\x01\x1b[31m|@all\x7f",
    "entities": "&#124;&#64;all &amp; &lt;b&gt; &vert;@all",
    "HTML": "</code></td></details><img src=x onerror=alert(1)>|<b>@all",
    "a comment's end": "-->\n/merge\n<!-- mltrail v1 pipeline=1 -->|@all",
    "JSON": '\\u0040all "}],"markdown":true|\\n/merge',
    "a fence": "```\n/merge\n```json:table\n{}|~~~",
    "references": "#1 !2 &3 %4 $5 ~bug team/other!6+s *iteration:7 [vulnerability:8] |@dana",
    "more references": "[contact:a@b.de] ^alert#9 deadbeef1234567 ABC-123 team/churn> [[wiki]] |GL-1",
    "what is drawn": ":tada: $`x`$ $$y$$ {+z+} [^1] [[_TOC_]] %{project_name} ::include{file=x}|[TOC]",
    "images": "![a" * 12 + "|",
    "addresses": "https://evil.example www.evil.example me@evil.example|<https://evil.example>",
    "Markdown": "**b** _i_ ~~s~~ # h - [ ] task > q | --- | :-- |",
    "very long": "long|@all " * 40,
    "other digits": "m\u0661\u0662\uff11@\uff12|#\u0663",
    "other scripts": "流失|模型 отток עזיבה می\u200cخواهم",  # noqa: RUF001 - that is what it is about
    "emoji": "👨\u200d👩\u200d👧|🏴\U000e0067\U000e007f@all",
    "only signs": "|`\\|",
}
_ALPHABET = "`|\\/@#!~<>[]()*_-\n\r \u2028\u202e&$:{}+=%^\"';.ab1é😀"
_HOME = re.compile(r"https://mltrail\.example\.com/|http://127\.0\.0\.1:\d+/")


@dataclass
class Story:
    """Everything that happens to a model whose names are all `name`."""

    trail: Trail
    name: str

    def experiment(self, mlflow: Mlflow) -> str:
        answer = self._takes(mlflow, "experiments/create", name=self.name)
        made = answer or mlflow.post("experiments/create", name=_tame(self.name))
        return str(made["experiment_id"])

    def _takes(self, mlflow: Mlflow, path: str, **fields: Any) -> Any:
        """Post it; None when the name is refused, which is an answer too."""
        answer = mlflow.call("POST", f"api/2.0/mlflow/{path}", json=fields)
        assert answer.status_code in (200, 400), answer.get_data(as_text=True)
        return answer.get_json() if answer.status_code == 200 else None

    def log(self, pipeline: Pipeline | None, experiment: str, value: float, *, packages: str = "1") -> None:
        """Log one run, by a job or else at somebody's desk."""
        gitlab, name = self.trail.team.gitlab, self.name
        token, job = self.trail.team.tokens["developer"], None
        if pipeline is not None:
            job = gitlab.add_job(pipeline, f"{name} {value}", "train", self.trail.team.users["developer"], "running")
            token = gitlab.mint(job, EXTERNAL_URL)
        mlflow = Mlflow(self.trail.client, project="42", token=token)
        tags = [{"key": "mlflow.source.git.commit", "value": SHAS["c"]}, {"key": "mlflow.runName", "value": name}]
        made = self._takes(mlflow, "runs/create", experiment_id=experiment, run_name=name, tags=tags)
        run_id = (made or mlflow.post("runs/create", experiment_id=experiment))["run"]["info"]["run_id"]
        for keys in (("val_accuracy", _tame(name)), (name,)):
            metrics = [{"key": key, "value": value, "timestamp": 1} for key in keys]
            params = [{"key": key, "value": f"{name}{value}"} for key in keys]
            self._takes(mlflow, "runs/log-batch", run_id=run_id, metrics=metrics, params=params)
        dataset = {"name": name, "digest": f"{name}{packages}"[:36], "source_type": name, "source": name}
        used = {"dataset": dataset, "tags": [{"key": "mlflow.data.context", "value": name}]}
        self._takes(mlflow, "runs/log-inputs", run_id=run_id, datasets=[used])
        files = f"api/2.0/mlflow-artifacts/artifacts/{experiment}/{run_id}/artifacts/model"
        for file, content in (("MLmodel", "flavors: {}"), ("requirements.txt", f"{name}\ntorch=={packages}|{name}\n")):
            mlflow.call("PUT", f"{files}/{file}", data=content.encode(errors="replace"))
        mlflow.post("runs/update", run_id=run_id, status="FINISHED")
        if job is not None:
            gitlab.set_job(job, "success")

    def contract(self, **more: Any) -> str:
        """A contract in which names stand wherever they may; YAML reads JSON."""
        rules = [
            {"metric": "val_accuracy", "better": "higher", "worse_by": 0.01},
            {"metric": self.name, "better": "higher", "at_least": 0.75, "then": "warn"},
            {"metric": _tame(self.name), "better": "higher", "at_least": 0.75},
        ]
        model = {"rules": rules, "promote": {"from": ["default"], "alias": "champion"}}
        gate = {"thread": True, "status": True, "issue": True}
        models = {self.model: model, f"other {self.name}": {"rules": rules}}
        return json.dumps({"version": 1, "gate": gate, "models": models} | more)

    @property
    def model(self) -> str:
        return self.name if self._known(self.name) else _tame(self.name)

    def _known(self, name: str) -> bool:
        mlflow = self.trail.person("developer")
        asked = {"experiment_name": name}
        return mlflow.call("GET", "api/2.0/mlflow/experiments/get-by-name", query_string=asked).status_code == 200

    def tell(self) -> None:
        trail, gitlab, project = self.trail, self.trail.team.gitlab, self.trail.team.project
        project.members[trail.team.users["bot"].id] = 30
        gitlab.users[trail.team.users["owner"].id].username = self.name
        gitlab.users[trail.team.users["developer"].id].username = self.name
        owner = trail.person("owner")
        experiment = self.experiment(owner)
        gitlab.add_commit(
            project,
            SHAS["b"],
            parents=("a1" * 20,),
            branch="main",
            message=self.name,
            files={FILE_NAME: self.contract()},
        )
        main = gitlab.add_pipeline(project, SHAS["b"], "main", "push")
        for value in (0.80, 0.81, 0.82):
            self.log(main, experiment, value)
        request = self._request()
        reviewed = trail.of_request(request, SHAS["c"])
        for value in (0.60, 0.61, 0.62):
            self.log(reviewed, experiment, value, packages="2")
        self.log(None, experiment, 0.7)
        trail.report(reviewed)
        trail.work()
        self._override(request)
        trail.report(reviewed)
        self._promote(main, request)
        scheduled = gitlab.add_pipeline(project, project.branches["main"], "main", "schedule")
        for value in (0.50, 0.51, 0.52):
            self.log(scheduled, experiment, value)
        trail.work()
        self._break(request)

    def _request(self) -> MergeRequest:
        """A merge request from a branch of that name, which changes the contract to one that can't be read."""
        gitlab, project = self.trail.team.gitlab, self.trail.team.project
        changed = {FILE_NAME: self.contract(**{self.name: self.name})}
        gitlab.add_commit(project, SHAS["c"], parents=(SHAS["b"],), branch=self.name, message=self.name, files=changed)
        request = gitlab.add_merge_request(project, self.name, "main", self.name)
        request.labels.append(self.name)
        return request

    def _override(self, request: MergeRequest) -> None:
        owner = self.trail.team.users["owner"]
        for thread in request.discussions:
            thread.notes.append(Note(9000, self.name, owner, request.id, request.iid, 42))
            thread.resolved_by = owner
        self.trail.work(seconds=15 * 60)

    def _promote(self, main: Pipeline, request: MergeRequest) -> None:
        trail = self.trail
        trail.team.project.protected.add("main")
        job = trail.team.gitlab.add_job(main, self.name, "deploy", trail.team.users["maintainer"], "running")
        headers = {"Authorization": f"Bearer {trail.team.gitlab.mint(job, EXTERNAL_URL)}"}
        trail.client.post("/api/v4/projects/42/ml/promotions", json={"pipeline_id": main.id}, headers=headers)
        request.state, request.merge_commit_sha = "merged", main.sha
        trail.work(seconds=60)

    def _break(self, request: MergeRequest) -> None:
        """Put a contract that can't be read on the target branch, and have another merge request judged by it."""
        gitlab, project = self.trail.team.gitlab, self.trail.team.project
        broken = {FILE_NAME: json.dumps({"version": 1, self.name: 1, "models": {self.name: {self.name: self.name}}})}
        gitlab.add_commit(project, SHAS["d"], parents=(SHAS["b"],), branch="main", files=broken)
        gitlab.add_commit(project, SHAS["e"], parents=(SHAS["d"],), branch="again", files={"x": "y"})
        request = gitlab.add_merge_request(project, "again", "main", self.name)
        pipeline = self.trail.of_request(request, SHAS["e"])
        self.log(pipeline, "1", 0.9)
        self.trail.report(pipeline)

    def cards(self) -> list[str]:
        """The model cards, which become descriptions of Releases."""
        owner = self.trail.person("maintainer")
        found = owner.get("registered-models/search").get("registered_models", [])
        cards = []
        for name in (one["name"] for one in found):
            fields = {"name": name, "version": "1", "description": f"{self.name}\n{self.name}"}
            owner.call("PATCH", "api/2.0/mlflow/model-versions/update", json=fields)
            url = f"/api/v4/projects/42/ml/models/{_quoted(name)}/versions/1/card"
            headers = {"Authorization": f"Bearer {self.trail.team.tokens['guest']}"}
            answer = self.trail.client.get(url, headers=headers)
            assert answer.status_code == 200, answer.get_data(as_text=True)
            cards.append(answer.get_json()["markdown"])
        return cards


def _tame(name: str) -> str:
    """A name of that kind that everything takes."""
    return " ".join("".join(one if one.isalnum() and one.isascii() else " " for one in name).split())[:200] or "tame"


def _quoted(name: str) -> str:
    return "".join(f"%{byte:02X}" for byte in name.encode())


def _core(text: str) -> str:
    """What a reader recognises a name by."""
    return "".join(one for one in text if one.isalnum())


def check(trail: Trail, name: str) -> None:
    story = Story(trail, name)
    story.tell()
    gitlab = trail.team.gitlab
    assert gitlab.live == []
    bodies = list(dict.fromkeys(gitlab.bodies)) + story.cards()
    kinds = {body.partition("\n")[0].partition("=")[0] for body in bodies}
    assert len(kinds) >= 3, "notes, a thread, an issue"
    assert len(kinds) == 5 or re.search(r"[/:]", name) or len(name) > 256 or not name.isprintable(), (
        "a comment and a card, where it is promoted"
    )
    for body in bodies:
        reading = detectors.read(body)
        assert reading.live == []
        assert reading.ragged == []
        assert [url for _, url in reading.links if not _HOME.match(url)] == []
        _shows(reading, body, name)
    for statuses in trail.team.project.statuses.values():
        assert all(len(text) <= 255 and "\n" not in text for _, _, text in statuses)


def _shows(reading: Reading, body: str, name: str) -> None:
    """A note, whichever it is, shows the name's beginning in full; the gate's thread only where it lists a rule."""
    if body.startswith("<!-- mltrail v1 gate -->") and (
        "**The gate passes** now" in body or "contract invalid" in body
    ):
        return
    beginning = _core(" ".join(name[:60].split()))[:30]
    for page in reading.pages:
        assert beginning in _core(page.shown)


def put_together(count: int) -> list[str]:
    """Names of the signs that mean something somewhere; the same at every run."""
    chance = random.Random(20261128)
    return ["".join(chance.choices(_ALPHABET, k=chance.randrange(5, 70))) for _ in range(count)]


@pytest.mark.parametrize("name", [*NAMES.values(), *put_together(2)], ids=[*NAMES, *map(str, range(2))])
def test_a_name_does_nothing(trail: Trail, name: str) -> None:
    check(trail, name)
