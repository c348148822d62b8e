"""The reader of GitLab's own experiments and models, record by record."""

import hashlib
from collections.abc import Callable, Iterator

import pytest

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.transfer import Entity, Findings, Loss, RunRecord
from mltrail_server.sources.credentials import Credentials
from mltrail_server.sources.gitlab_experiments import GitLabExperiments
from mltrail_server.sources.patience import Patience
from tests.fakes.gitlab import FakeGitLab
from tests.fakes.gitlab_history import LONG, Made, fill
from tests.team import Team, team_in

SECOND_MS = 1000
Open = Callable[..., GitLabExperiments]


@pytest.fixture
def made(team: Team) -> Made:
    team.gitlab.version = "18.11.2-ee"
    return fill(team)


@pytest.fixture
def waited() -> list[float]:
    return []


@pytest.fixture
def reader(team: Team, waited: list[float]) -> Iterator[Open]:
    readers = []

    def make(token: str | None = None, *, project: str = "team/churn", url: str = "") -> GitLabExperiments:
        patience = Patience(tries=2, tries_of_500=1, sleep=waited.append, chance=lambda: 1.0)
        key = Credentials(token=team.tokens["developer"] if token is None else token)
        made = GitLabExperiments(url or team.gitlab.url, project, Findings(), key, patience=patience, threads=2)
        readers.append(made)
        return made

    yield make
    for one in readers:
        one.close()


def opened(reader: Open) -> GitLabExperiments:
    found = reader()
    found.describe()
    return found


def findings(source: GitLabExperiments) -> list[tuple[Loss, Entity]]:
    return [(one.loss, one.entity) for one in source._project.findings.kept]


def runs_of(source: GitLabExperiments) -> dict[str, RunRecord]:
    return {run.id: run for experiment in source.experiments() for run in source.runs(experiment)}


def files_of(source: GitLabExperiments, run: RunRecord) -> dict[str, bytes]:
    found = {}
    for file in source.files(run):
        with source.open(file) as stream:
            found[file.path] = stream.read()
        assert file.size == len(found[file.path])
        assert file.sha256 == hashlib.sha256(found[file.path]).hexdigest()
    return found


def test_it_says_what_it_reads(reader: Open, team: Team) -> None:
    source = reader(project="/team/churn/", url=f"{team.gitlab.url}/")
    assert source.describe() == "GitLab 18.6.0"
    assert (source.kind, source.address) == ("gitlab", f"{team.gitlab.url}/team/churn")
    assert reader(project="42").describe() == "GitLab 18.6.0"


@pytest.mark.parametrize("listed", [True, False], ids=["all experiments", "without those of models"])
def test_experiments_and_runs(reader: Open, team: Team, made: Made, listed: bool) -> None:
    made.ml.lists_experiments_of_models = listed
    source = opened(reader)
    experiments = list(source.experiments())
    assert [(one.id, one.name) for one in experiments] == [("1", "churn"), ("2", "[model]churn"), ("3", "[model]empty")]
    assert (experiments[0].tags, experiments[0].artifact_location) == ({"team": "growth"}, None)
    runs = runs_of(source)
    assert list(runs) == [one.eid for one in made.runs]
    fits, bare = runs[made.fits.eid], runs[made.bare.eid]
    assert (fits.name, fits.user, fits.status, fits.params) == ("fit", "developer", "FINISHED", made.fits.params)
    assert (fits.started_ms, fits.ended_ms) == (made.fits.started_ms, made.fits.ended_ms)
    assert (bare.name, bare.user, bare.status, bare.ended_ms) == ("", "9999", "RUNNING", None)
    assert findings(source) == [(Loss.NOTE, Entity.VERSION), (Loss.NOTE, Entity.RUN)]
    asked = [path for _, path in team.gitlab.requests if "/users/" in path]
    assert len(asked) == len(set(asked))


def test_an_experiment_of_a_model_that_has_another_name(reader: Open, made: Made) -> None:
    made.ml.experiments[2].name, made.ml.lists_experiments_of_models = "former", True
    source = opened(reader)
    assert [one.name for one in source.experiments()] == ["churn", "former", "[model]empty"]
    made.ml.experiments[3].name = "lost"
    source = opened(reader)
    assert len(list(source.experiments())) == 3
    assert findings(source)[-1] == (Loss.MISSING, Entity.EXPERIMENT)


def test_many_runs_come_in_pages(reader: Open, made: Made) -> None:
    for _ in range(1001):
        made.ml.run(made.churn)
    source = opened(reader)
    assert len(runs_of(source)) == len(made.runs) == 1007


@pytest.mark.parametrize("version", ["18.11.2-ee", "19.5.0"])
def test_complete_histories(reader: Open, team: Team, made: Made, version: str) -> None:
    team.gitlab.version = version
    source = opened(reader)
    runs = runs_of(source)
    points = [point for page in source.points(list(runs.values())) for point in page]
    of_loss = [point for point in points if point[:2] == (made.fits.eid, "loss")]
    assert [point[2:] for point in of_loss] == [(step, at, value) for _, value, at, step in made.fits.values[:LONG]]
    assert len(points) == LONG + 2
    assert not any(run.newest_only for run in runs.values())
    assert (Loss.NOTE, Entity.POINT) not in findings(source)
    pages = [path for _, path in team.gitlab.requests if path.endswith("get-history")]
    assert len(pages) == 5  # one to see whether there are any, two of loss, one of each f1


@pytest.mark.parametrize("version", ["17.0.0", "17.9.1", "18.10.4"])
def test_newest_values_before(reader: Open, team: Team, made: Made, version: str) -> None:
    team.gitlab.version = version
    source = opened(reader)
    runs = runs_of(source)
    points = [point for page in source.points(list(runs.values())) for point in page]
    assert [point[:3] for point in points] == [
        (made.fits.eid, "loss", LONG - 1),
        (made.fits.eid, "f1", 0),
        (made.promoted.eid, "f1", 0),
    ]
    assert [run.newest_only for run in runs.values() if run.latest] == [True, True]
    assert findings(source).count((Loss.NOTE, Entity.POINT)) == 1


def test_a_gitlab_below_a_path(reader: Open) -> None:
    with FakeGitLab(prefix="/gitlab") as gitlab:
        team = team_in(gitlab)
        made = fill(team)
        source = reader(team.tokens["developer"], url=gitlab.url)
        source.describe()
        runs = runs_of(source)
        assert files_of(source, runs[made.fits.eid]) == {"plots/roc curve.png": b"png"}
        assert files_of(source, runs[made.old.eid]) == {"notes.txt": b"hello"}


@pytest.mark.parametrize("version", ["16.8.0", "17.5.0", "19.5.0"])
def test_files_of_runs(reader: Open, team: Team, made: Made, version: str) -> None:
    """Whatever this GitLab says of where they are."""
    team.gitlab.version = version
    source = opened(reader)
    runs = runs_of(source)
    assert {name: files_of(source, runs[getattr(made, name).eid]) for name in ("fits", "bare", "old")} == {
        "fits": {"plots/roc curve.png": b"png"},
        "bare": {},
        "old": {"notes.txt": b"hello"},
    }
    assert files_of(source, runs[made.promoted.eid]) == {"model/MLmodel": b"flavors: {}"}
    assert files_of(source, runs[made.tried.eid]) == {"weights.bin": b"\0" * 10}
    assert {one for one in findings(source) if one[0] is not Loss.NOTE} == set()


def test_models_and_versions(reader: Open, team: Team, made: Made) -> None:
    source = opened(reader)
    churn, empty = source.models()
    assert (churn.name, churn.description, churn.user, churn.tags) == (
        *("churn", "Who leaves", "maintainer"),
        {"owner": "growth"},
    )
    assert churn.created_ms is not None
    assert churn.updated_ms == churn.created_ms + 2 * SECOND_MS
    first, second = source.versions(churn)
    assert (first.number, first.semver, first.description) == (made.versions[0].id, "1.0.0", "The first")
    assert (second.number, second.semver, second.run_id) == (made.versions[1].id, "1.2.3", made.promoted.eid)
    assert second.source == f"runs:/{made.promoted.eid}"
    assert second.run_link == f"{team.gitlab.url}/team/churn/-/ml/models/1/versions/{second.number}"
    assert second.created_ms == churn.created_ms
    assert list(source.versions(empty)) == []
    assert [one.path for one in source.files(second)] == ["model/MLmodel"]


def test_a_gitlab_before_the_registry(reader: Open, team: Team, made: Made) -> None:
    team.gitlab.version = "16.4.0"
    source = opened(reader)
    assert len(list(source.experiments())) == 3
    assert list(source.models()) == []
    assert (Loss.NOTE, Entity.MODEL) in findings(source)
    del made


def test_an_empty_project(reader: Open) -> None:
    source = opened(reader)
    assert (list(source.experiments()), list(source.models()), findings(source)) == ([], [], [])


def test_packages_that_are_not_shown(reader: Open, team: Team, made: Made) -> None:
    source = opened(reader)
    runs = runs_of(source)
    team.gitlab.fail_next("GET", "/packages$", 403)
    (file,) = source.files(runs[made.fits.eid])
    assert (file.path, file.sha256) == ("plots/roc curve.png", None)
    assert findings(source)[-1] == (Loss.NOTE, Entity.FILE)
    team.gitlab.version = "17.4.0"
    older = opened(reader)
    runs = runs_of(older)
    for _ in range(2):
        team.gitlab.fail_next("GET", "/packages$", 403)
        assert list(older.files(runs[made.fits.eid])) == []
    assert findings(older)[-1] == (Loss.MISSING, Entity.FILE)


def test_hostile_names_of_files(reader: Open, made: Made) -> None:
    for path in ("../x", "/etc/passwd", "a//b", "fine"):
        made.ml.upload(made.bare, path, b"x")
    source = opened(reader)
    assert [one.path for one in source.files(runs_of(source)[made.bare.eid])] == ["fine"]
    assert findings(source).count((Loss.REFUSED, Entity.FILE)) == 3


def test_a_limit_is_waited_for(reader: Open, team: Team, made: Made, waited: list[float]) -> None:
    source = opened(reader)
    team.gitlab.fail_next("POST", "runs/search$", 429, headers={"Retry-After": "17"})
    assert len(runs_of(source)) == len(made.runs)
    assert waited == [17.0]


def test_a_page_that_cannot_be_read_is_listed(reader: Open, team: Team, made: Made) -> None:
    source = opened(reader)
    experiments = list(source.experiments())
    for _ in range(4):
        team.gitlab.fail_next("POST", "runs/search$", 502)
        team.gitlab.fail_next("POST", "runs/search$", 502)
    assert list(source.runs(experiments[0])) == []
    assert findings(source)[-1] == (Loss.MISSING, Entity.RUN)
    del made


RIGHTS = "The token needs the scope `api`, and its user needs at least the Developer role"


@pytest.mark.parametrize(
    ("who", "scope", "features", "sentence"),
    [
        ("reporter", "api", "enabled", RIGHTS),
        ("developer", "read_api", "enabled", RIGHTS),
        ("stranger", "api", "enabled", "shows no project team/churn"),
        ("developer", "api", "disabled", "the feature may be turned off in its settings"),
        ("", "", "enabled", RIGHTS),
    ],
    ids=["role", "scope", "project", "feature", "token"],
)
def test_who_may_not_read_is_told_why(
    reader: Open, team: Team, who: str, scope: str, features: str, sentence: str
) -> None:
    team.project.features = features
    token = team.gitlab.add_token(team.users[who], [scope]) if who else "glpat-made-up-by-nobody"
    with pytest.raises(MltrailError) as caught:
        reader(token).describe()
    assert sentence in caught.value.message
    assert "`api`" in caught.value.message
    assert token not in caught.value.message


def test_a_project_that_was_renamed_and_a_limit_are_not_called_missing(reader: Open, team: Team) -> None:
    team.gitlab.move_project(team.project, "team/retention")
    with pytest.raises(MltrailError, match="give its new path or its ID"):
        reader().describe()
    for _ in range(2):
        team.gitlab.fail_next("GET", "/projects/", 429, headers={"Retry-After": "0"})
    with pytest.raises(MltrailError, match="answered 429"):
        reader(project="team/retention").describe()
