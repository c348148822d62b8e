"""What the reader of MLflow's REST API does with servers that have trouble, and with wrong URLs."""

import base64
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from werkzeug import Response
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.transfer import Entity, Findings, GoneError, Loss, RunRecord
from mltrail_server.sources.credentials import Credentials
from mltrail_server.sources.mlflow_rest import MlflowRest
from mltrail_server.sources.patience import Patience
from tests.fakes.stubborn import LOGIN_PAGE, Fault, Handler, Stubborn, cut, short, status
from tests.mlflow_client import LOCAL_TOKEN
from tests.sources.rest_history import Made

PROJECT = "/api/v4/projects/1/ml/mlflow"
RUNS = 3


@dataclass
class World:
    """Another mltrail with a small history, which has trouble where a test says so."""

    fake: Stubborn
    url: str
    made: Made
    findings: Findings = field(default_factory=Findings)
    pauses: list[float] = field(default_factory=list)

    def source(self, url: str = "", token: str = LOCAL_TOKEN) -> MlflowRest:
        patience = Patience(sleep=self.pauses.append, chance=lambda: 0.0)
        return MlflowRest(url or self.url, self.findings, Credentials(token=token), patience=patience)

    def lines(self) -> list[str]:
        """Say what was found, with names instead of ids."""
        names = {value: name for name, value in self.made.ids.items()}
        lines = [finding.line() for finding in self.findings.kept]
        return [re.sub(r"[0-9a-f]{32}", lambda match: names.get(match[0], match[0]), line) for line in lines]


@pytest.fixture
def world(app: Flask) -> Iterator[World]:
    fake = Stubborn(DispatcherMiddleware(app, {"/below": app}))
    with fake.serving() as server:
        made = Made(server.url + PROJECT, LOCAL_TOKEN)
        made.ids["churn"] = made.post("experiments/create", name="churn")["experiment_id"]
        for number in range(RUNS):
            run_id = made.run("churn", f"run {number}", minute=number)
            made.metric(run_id, "loss", 0.5, 0.25, 0.125)
            made.put(made.ids[f"run {number} files"], "model/weights.bin", b"0123456789" * 100)
        made.post("registered-models/create", name="churn")
        made.post("model-versions/create", name="churn", source=f"{made.ids['run 0 files']}/model")
        fake.asked.clear()
        yield World(fake, made.url, made)


def _read(source: MlflowRest) -> tuple[dict[str, RunRecord], dict[str, int]]:
    """Read runs by name, and how many points each has."""
    source.describe()
    (experiment,) = (one for one in source.experiments() if one.name == "churn")
    runs = list(source.runs(experiment))
    counts = {run.id: 0 for run in runs}
    for page in source.points(runs):
        for point in page:
            counts[point[0]] += 1
    names = {run.id: run.name for run in runs}
    return {run.name: run for run in runs}, {names[run_id]: count for run_id, count in counts.items()}


ALL = {f"run {number}": 3 for number in range(RUNS)}


@pytest.mark.parametrize(
    ("pattern", "how"),
    [
        ("experiments/search", status(500)),
        ("runs/search", status(429, Retry_After="3")),
        ("runs/search", cut),
        ("get-history", short),
        ("get-history", status(503)),
        ("version", status(502)),
    ],
)
def test_trouble_that_passes_loses_nothing(world: World, pattern: str, how: Handler) -> None:
    world.fake.faults = [Fault(pattern, how, times=1)]
    assert _read(world.source())[1] == ALL
    assert world.findings.kept == []


def _sometimes(condition: Callable[[dict[str, Any]], bool], how: Handler) -> Handler:
    """Go wrong only if the body of a call is of a kind."""

    def answer(application: Any, environ: Any, start_response: Any) -> Any:
        content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(content)
        taken = how if condition(json.loads(content)) else None
        return taken(application, environ, start_response) if taken else application(environ, start_response)

    return answer


def _changed(change: Callable[[dict[str, Any]], object]) -> Handler:
    """Change what the application answers."""

    def answer(application: Any, environ: Any, start_response: Any) -> Any:
        body = json.loads(Response.from_app(application, environ).get_data())
        change(body)
        return Response(json.dumps(body), content_type="application/json")(environ, start_response)

    return answer


def test_a_page_that_is_too_large_for_a_proxy_is_read_in_smaller_ones(world: World) -> None:
    world.fake.faults = [Fault("runs/search", _sometimes(lambda body: body["max_results"] > 5, status(502)))]
    assert _read(world.source())[1] == ALL
    assert world.findings.kept == []


@pytest.mark.parametrize("how", [status(500), status(404, "<html>", content_type="text/html")])
def test_without_the_call_for_many_runs_each_history_is_read_by_itself(world: World, how: Handler) -> None:
    world.fake.faults = [Fault("get-history-bulk", how)]
    assert _read(world.source())[1] == ALL
    assert world.findings.kept == []


def test_a_history_that_cannot_be_read_leaves_its_newest_value(world: World) -> None:
    run_id = world.made.ids["run 1"]
    world.fake.faults = [Fault(f"get-history.*run_id={run_id}", status(500))]
    assert _read(world.source())[1] == ALL | {"run 1": 1}
    why, what = world.lines()
    assert why.startswith("missing: run run 1: the history of metric loss is not complete: The server answered 500 to")
    assert "lacks the newest value, which was taken from the run instead" in what


def test_a_history_that_ends_early_is_found_out(world: World) -> None:
    world.fake.faults = [Fault("get-history", _changed(lambda body: body.update(metrics=body["metrics"][:-1])))]
    assert sum(_read(world.source())[1].values()) == 3 * RUNS
    assert [(one.loss, one.entity) for one in world.findings.kept] == [(Loss.MISSING, Entity.POINT)]


def test_a_page_token_that_comes_again_ends_the_list(world: World) -> None:
    world.fake.faults = [Fault("runs/search", _changed(lambda body: body.update(next_page_token="again")))]
    assert set(_read(world.source())[0]) == set(ALL)
    assert len(world.findings.kept) == 1
    assert "experiment churn: its list of runs is not complete" in world.lines()[0]


def test_a_run_that_cannot_be_understood_is_reported(world: World) -> None:
    world.fake.faults = [Fault("runs/search", _changed(lambda body: body["runs"][1]["info"].pop("experiment_id")))]
    assert set(_read(world.source())[0]) == {"run 0", "run 2"}
    text = "missing: experiment churn: one of its runs has fields that mltrail can't read: run 1"
    assert world.lines() == [text]


def test_what_the_user_may_not_read_is_missing(world: World) -> None:
    world.fake.faults = [Fault("runs/search", status(403))]
    assert _read(world.source())[0] == {}
    assert "its list of runs is not complete: The server answered 403" in world.lines()[0]


def test_what_a_server_does_not_know_is_a_note(world: World) -> None:
    world.fake.faults = [
        Fault(part, status(404, "<html>", content_type="text/html"))
        for part in ("traces", "scorers", "datasets/search", "logged-models", "registered-models", "server-info")
    ]
    source = world.source()
    _read(source)
    for experiment in source.experiments():
        found = [*source.logged_models(experiment), *source.traces(experiment), *source.scorers(experiment)]
        assert found == []
    assert list(source.evaluation_datasets()) == list(source.models()) == []
    assert {one.entity for one in world.findings.kept} == {
        Entity.TRACE,
        Entity.SCORER,
        Entity.EVALUATION_DATASET,
        Entity.LOGGED_MODEL,
        Entity.MODEL,
        Entity.PROMPT,
    }
    assert world.findings.lost == 0


def test_a_server_that_goes_away_ends_the_import(world: World) -> None:
    source = world.source()
    _read(source)
    world.fake.faults = [Fault("", status(503))]
    with pytest.raises(GoneError, match="in a row"):
        list(source.models())


def _redirect(_: Any, environ: Any, start_response: Any) -> Any:
    return Response(status=302, headers={"Location": "/login?next=x"})(environ, start_response)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        (status(401), "The server answered 401"),
        (status(403), "The server answered 403"),
        (status(200, LOGIN_PAGE, content_type="text/html"), "returned a web page instead of data"),
        (_redirect, "redirects to http://127.0.0.1:[0-9]+/login, perhaps to sign in"),
    ],
    ids=["401", "403", "login page", "redirect"],
)
def test_a_server_that_wants_to_know_who_asks(world: World, how: Handler, sentence: str) -> None:
    world.fake.faults = [Fault("", how)]
    with pytest.raises(MltrailError, match=f"{sentence}.*Set MLTRAIL_IMPORT_TOKEN"):
        world.source(token="").describe()
    with pytest.raises(MltrailError, match=sentence) as error:
        world.source(token="wrong-token").describe()
    assert "wrong-token" not in error.value.message


@pytest.mark.parametrize(
    "end",
    [
        "",
        "/",
        "/api/2.0",
        "/api/2.0/mlflow",
        "/ajax-api/2.0/mlflow/",
        "/api/2.0/mlflow/runs/search",
        "/#/experiments/1",
    ],
)
def test_urls_as_people_copy_them(world: World, end: str) -> None:
    source = world.source(world.url + end)
    assert source.describe() == "mltrail (speaks MLflow 3.18.0)"
    assert source.address == world.url


def test_a_url_can_have_a_path_and_a_token(world: World) -> None:
    host = world.url.removeprefix("http://").removesuffix(PROJECT)
    source = world.source(f"http://{LOCAL_TOKEN}@{host}/below{PROJECT}", token="")
    assert source.describe() == "mltrail (speaks MLflow 3.18.0)"
    assert source.address == f"http://{host}/below{PROJECT}"


@pytest.mark.parametrize("end", ["", "/elsewhere"])
def test_a_url_without_an_mlflow_api(world: World, end: str) -> None:
    with pytest.raises(MltrailError, match=r"There is no MLflow API at .*MLFLOW_TRACKING_URI"):
        world.source(world.url.removesuffix(PROJECT) + end).describe()


def test_gitlabs_own_experiments_have_another_reader(world: World) -> None:
    world.fake.faults = [Fault("/version", status(404))]
    with pytest.raises(MltrailError, match="--from-gitlab"):
        world.source().describe()


def test_files_that_cannot_be_read(world: World) -> None:
    source = world.source()
    run = _read(source)[0]["run 0"]
    (file,) = source.files(run)
    world.fake.faults = [Fault("get-artifact", cut, times=1)]
    with source.open(file) as opened:
        assert opened.read() == b"0123456789" * 100
    world.fake.faults = [Fault("get-artifact", short)]
    with source.open(file) as opened, pytest.raises(MltrailError, match="500 bytes of a file with 1000"):
        opened.read()
    world.fake.faults = [Fault("get-artifact", status(404, "{}", content_type="application/json"))]
    with pytest.raises(MltrailError, match="404"):
        source.open(file)
    assert world.findings.kept == []


def test_folders_that_cannot_be_listed_are_missing(world: World) -> None:
    world.fake.faults = [Fault("artifacts/list.*path=model", status(500))]
    source = world.source()
    assert list(source.files(_read(source)[0]["run 0"])) == []
    assert "missing: run run 0: its files can't all be listed" in world.lines()[0]


def _listing_of(world: World, run: str) -> str:
    """The call that lists a run's files. Those of the next runs are listed meanwhile, in other threads."""
    return f"artifacts/list.*{world.made.ids[run]}"


def test_names_that_lead_out_of_a_folder_are_refused(world: World) -> None:
    def change(body: dict[str, Any]) -> None:
        body["files"] += [{"path": "../../etc/passwd", "is_dir": False}, {"path": "model/..", "is_dir": True}]

    world.fake.faults = [Fault(_listing_of(world, "run 0"), _changed(change), times=1)]
    source = world.source()
    assert [file.path for file in source.files(_read(source)[0]["run 0"])] == ["model/weights.bin"]
    assert [one.loss for one in world.findings.kept] == [Loss.REFUSED, Loss.REFUSED]


def test_a_folder_that_mlflow_does_not_show_is_missing(world: World) -> None:
    def change(body: dict[str, Any]) -> None:
        body["files"] += [{"path": "a%20b", "is_dir": True}]

    world.fake.faults = [Fault(_listing_of(world, "run 0"), _changed(change), times=1)]
    source = world.source()
    assert [file.path for file in source.files(_read(source)[0]["run 0"])] == ["model/weights.bin"]
    assert "missing: run run 0: the folder 'a%20b': its files can't be read" in world.lines()[0]


def test_a_run_that_grows_while_it_is_read(world: World) -> None:
    source = world.source()
    source.describe()
    (experiment,) = (one for one in source.experiments() if one.name == "churn")
    runs = list(source.runs(experiment))
    world.made.post("runs/log-metric", run_id=runs[0].id, key="loss", value=0.1, timestamp=1, step=9)
    world.made.post("runs/log-metric", run_id=runs[0].id, key="new", value=1, timestamp=1)
    found = [point for page in source.points(runs[:1]) for point in page]
    assert {point[1:3] for point in found} == {("loss", step) for step in (0, 1, 2, 9)}
    again = next(source.runs(experiment))
    assert again.latest != runs[0].latest
    assert world.findings.kept == []


def test_other_experiments_are_not_read(world: World) -> None:
    other = world.made.post("experiments/create", name="other")["experiment_id"]
    world.fake.asked.clear()
    bodies: list[Any] = []
    world.fake.faults = [Fault("runs/search", _sometimes(lambda body: bool(bodies.append(body)), status(500)))]
    _read(world.source())
    assert [body["experiment_ids"] for body in bodies] == [[world.made.ids["churn"]]]
    assert other not in str(bodies)
    assert len(world.fake.asked) < 10


def _numbered(runs: int) -> Handler:
    """Answer as MLflow does for an experiment with so many runs."""

    def answer(_: Any, environ: Any, start_response: Any) -> Any:
        body = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        start = json.loads(base64.b64decode(body["page_token"]))["offset"] if "page_token" in body else 0
        found = [{}] * max(0, min(body["max_results"], runs - start))
        token = {"next_page_token": "more"} if start + len(found) < runs else {}
        return Response(json.dumps({"runs": found, **token}), content_type="application/json")(environ, start_response)

    return answer


@pytest.mark.parametrize("runs", [0, 99, 100, 101, 200, 201, 12_345])
def test_runs_are_counted_without_reading_them(world: World, runs: int) -> None:
    keep_one = _changed(lambda body: body.update(experiments=body["experiments"][:1]))
    world.fake.faults = [Fault("experiments/search", keep_one), Fault("runs/search", _numbered(runs))]
    totals = world.source().totals()
    assert totals is not None
    assert totals[Entity.RUN] == runs
    assert len(world.fake.asked) <= 25


def test_another_mltrail_has_page_tokens_of_its_own(world: World) -> None:
    totals = world.source().totals()
    assert totals is not None  # what fits on a page needs no token
    assert totals[Entity.RUN] == RUNS
    more = _changed(lambda body: body.update(next_page_token="more"))
    world.fake.faults = [Fault("runs/search", more, times=2)]
    assert world.source().totals() is None
