"""MLflow's databases with unusual contents, on other servers, while they are written to; and what is none."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.transfer import Entity, Findings, Loss, RunRecord
from mltrail_server.sources.artifacts import Access
from mltrail_server.sources.credentials import Credentials
from mltrail_server.sources.mlflow_database import MlflowDatabase
from mltrail_server.sources.mlflow_database.opening import read_address
from tests import mariadb
from tests.postgresql import Cluster
from tests.sources.filled import Filled

Open = Callable[..., MlflowDatabase]


@pytest.fixture
def findings() -> Findings:
    return Findings()


@pytest.fixture
def opened(findings: Findings) -> Iterator[Open]:
    made = []

    def open_it(url: str | Path, access: Access | None = None, *, workspace: str = "") -> MlflowDatabase:
        made.append(MlflowDatabase(str(url), findings, access, workspace=workspace))
        return made[-1]

    yield open_it
    for one in made:
        one.close()


@pytest.fixture
def copy(newest: Filled, tmp_path: Path) -> Path:
    return Path(shutil.copy(newest.path, tmp_path / "mlflow.db"))


@pytest.fixture
def postgresql_url(cluster: Cluster) -> sa.URL:
    return sa.make_url(cluster.url(driver="postgresql+psycopg"))


@pytest.fixture
def mysql_url() -> Iterator[sa.URL]:
    with mariadb.running() as url:
        yield url


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for one in statements:
        connection.execute(one)
    connection.close()


def runs_of(source: MlflowDatabase) -> list[RunRecord]:
    return [run for experiment in source.experiments() for run in source.runs(experiment)]


def everything(source: MlflowDatabase) -> list[object]:
    """Read all that there is, but files."""
    found: list[object] = [*source.models(), *source.evaluation_datasets()]
    found += [version for model in source.models() for version in source.versions(model)]
    found += [row for dataset in source.evaluation_datasets() for row in source.evaluation_rows(dataset)]
    for experiment in source.experiments():
        runs = list(source.runs(experiment))
        points = sorted((point for page in source.points(runs) for point in page), key=repr)
        found += [experiment, *runs, *map(repr, points)]
        found += [*source.logged_models(experiment), *source.scorers(experiment)]
        for trace in source.traces(experiment):
            found += [trace, source.spans(trace)]
    return found


@pytest.mark.clients
def test_unusual_contents(copy: Path, opened: Open) -> None:
    change(
        copy,
        "UPDATE experiments SET artifact_location = NULL, lifecycle_stage = NULL, creation_time = NULL",
        "UPDATE experiment_tags SET value = NULL",
        "UPDATE runs SET name = NULL, user_id = NULL, status = NULL, lifecycle_stage = NULL, artifact_uri = NULL",
        "UPDATE runs SET start_time = NULL, end_time = 99999999999999",
        "DELETE FROM tags WHERE key = 'mlflow.runName'",
        "UPDATE tags SET value = NULL",
        "UPDATE latest_metrics SET timestamp = NULL",
        "UPDATE registered_models SET description = NULL, creation_time = NULL",
        "UPDATE registered_model_tags SET value = NULL",
        "UPDATE model_versions SET source = NULL, current_stage = NULL, status = NULL, storage_location = NULL",
        "UPDATE trace_info SET trace_name = NULL, execution_time_ms = NULL",
        'UPDATE assessments SET error = \'{"error_code": "X"}\', source_id = NULL, valid = 0',
    )
    source = opened(copy)
    assert len(everything(source)) > 20
    for run in runs_of(source):
        assert (run.name, run.user, run.status, run.artifact_uri, run.started_ms) == ("", "", "", "", None)
        assert list(source.files(run)) == []
    assert {one.number for model in source.models() for one in source.versions(model)} == {1, 2, 3, 4, 5}


@pytest.mark.clients
def test_a_broken_assessment_is_left_out(copy: Path, opened: Open, findings: Findings) -> None:
    change(copy, "UPDATE assessments SET value = '{' WHERE name = 'answer'")
    source = opened(copy)
    traces = [one for experiment in source.experiments() for one in source.traces(experiment)]
    assert sorted(len(one.assessments) for one in traces) == [0, 2]
    (finding,) = findings.kept
    assert (finding.loss, finding.entity) == (Loss.MISSING, Entity.ASSESSMENT)


@pytest.mark.clients
def test_broken_rows_and_texts(copy: Path, opened: Open, findings: Findings) -> None:
    change(
        copy,
        "UPDATE evaluation_dataset_records SET inputs = '{' WHERE inputs LIKE '%why%'",
        "UPDATE params SET value = CAST(X'61FF62' AS TEXT) WHERE key = 'lr'",
        "DROP TABLE alembic_version",
    )
    source = opened(copy)
    assert source.describe() == "MLflow database, schema unknown"
    assert [run.params["lr"] for run in runs_of(source) if run.name == "fit"] == [r"a\xffb"]
    for dataset in source.evaluation_datasets():
        assert [one.outputs for one in source.evaluation_rows(dataset)] == ["text"]
    assert [one.loss for one in findings.kept] == [Loss.CHANGED, Loss.MISSING]


@pytest.mark.clients
def test_spans_that_are_gone(copy: Path, opened: Open, findings: Findings, all_filled: dict[str, Filled]) -> None:
    change(
        copy,
        "DELETE FROM spans",
        "UPDATE trace_tags SET value = 'ARCHIVE_REPO' WHERE key = 'mlflow.trace.spansLocation'",
    )
    source = opened(copy)
    assert [source.spans(one) for experiment in source.experiments() for one in source.traces(experiment)] == [None] * 2
    assert "traces.pb at another place" in findings.kept[0].text
    older = Path(shutil.copy(all_filled["mlflow-2"].path, copy.parent / "older.db"))
    change(older, f"UPDATE trace_tags SET value = '{older.parent}/gone' WHERE key = 'mlflow.artifactLocation'")
    source = opened(older)
    traces = [one for experiment in source.experiments() for one in source.traces(experiment)]
    assert [source.spans(one) for one in traces] == [None] * 3
    assert [one.text.split(":")[0] for one in findings.kept[2:]] == ["its spans are missing"] * 2  # the third goes on


@pytest.mark.clients
def test_attachments_are_those_that_spans_name(copy: Path, opened: Open, findings: Findings) -> None:
    ids = [f"0b0e7a0e-5f0a-4a53-9d1e-11111111111{number}" for number in range(3)]
    place = copy.parent / "files"
    for attachment_id in ids[:2]:
        (place / "attachments").mkdir(parents=True, exist_ok=True)
        (place / "attachments" / attachment_id).write_bytes(b"picture")
    named = " ".join(f"mlflow-attachment://{one}?content_type=image%2Fpng" for one in ids)
    change(
        copy,
        f"UPDATE spans SET content = replace(content, 'why?', '{named} mlflow-attachment://{ids[2]}0?trace_id=tr-1')",
        f"UPDATE trace_tags SET value = '{place}' WHERE key = 'mlflow.artifactLocation'",
    )
    source = opened(copy)
    trace = next(one for experiment in source.experiments() for one in source.traces(experiment))
    assert list(source.files(trace)) == []
    assert [one.loss for one in findings.kept] == [Loss.NOTE]  # without the spans nothing names them
    source.spans(trace)
    assert [one.path for one in source.files(trace)] == [f"attachments/{one}" for one in ids[:2]]
    assert [one.line() for one in findings.kept[1:]] == [
        f"missing: trace {trace.id}: its spans name the attachment {ids[2]}: it is gone"
    ]


@pytest.mark.clients
def test_columns_of_3_18_take_precedence(copy: Path, opened: Open) -> None:
    change(copy, "UPDATE trace_info SET session_id = 's', input_tokens = 3, total_tokens = 4, total_cost = 0.5")
    source = opened(copy)
    for experiment in source.experiments():
        for trace in source.traces(experiment):
            assert trace.metadata["mlflow.trace.session"] == "s"
            assert trace.metadata["mlflow.trace.tokenUsage"] == '{"input_tokens": 3, "total_tokens": 4}'
            assert trace.metadata["mlflow.trace.cost"] == '{"total_cost": 0.5}'


@pytest.mark.clients
def test_what_there_is_no_place_for(copy: Path, opened: Open, findings: Findings) -> None:
    change(
        copy,
        "INSERT INTO webhooks (webhook_id, name, url, status, secret, workspace) "
        "VALUES ('w', 'n', 'http://u', 'ACTIVE', 'hidden', 'default')",
        "CREATE TABLE news (id INTEGER, text TEXT)",
        "INSERT INTO news VALUES (1, 'hidden'), (2, 'hidden')",
    )
    source = opened(copy)
    assert source.describe() == source.describe()
    assert [one.loss for one in findings.kept] == [Loss.NOTE] * 2
    assert [one.text.split(":")[0] for one in findings.kept] == [
        "2 rows of the unknown table news",
        "1 webhooks",
    ]
    assert "hidden" not in repr(findings)


@pytest.mark.clients
def test_workspaces(copy: Path, opened: Open, findings: Findings) -> None:
    change(
        copy,
        "INSERT INTO workspaces (name) VALUES ('team')",
        "UPDATE experiments SET workspace = 'team' WHERE name LIKE 'wine%'",
        "UPDATE evaluation_datasets SET workspace = 'team'",
        "INSERT INTO registered_models (name, workspace) VALUES ('wine', 'team')",
        "INSERT INTO registered_model_aliases (name, alias, version, workspace) VALUES ('wine', 'champion', 7, 'team')",
    )
    default, team = opened(copy), opened(f"sqlite:///{copy}?workspace=team")
    for source, names in ((default, {"Default", "gone"}), (team, {"wine / größe 🍷"})):
        assert {one.name for one in source.experiments()} == names
        totals, runs = source.totals(), runs_of(source)
        assert totals[Entity.RUN] + totals[Entity.DELETED_RUN] == len(runs)
        assert totals[Entity.POINT] == sum(len(page) for page in source.points(runs))
        assert totals[Entity.MODEL] + totals[Entity.PROMPT] == len(list(source.models()))
        assert totals[Entity.ASSESSMENT] == (3 if source is team else 0)
        assert totals[Entity.EVALUATION_ROW] == (2 if source is team else 0)
        source.describe()
    assert [model.aliases for model in team.models()] == [{"champion": 7}]
    assert "1 experiments of workspace team are left out: to import it, add ?workspace=team" in repr(findings)
    with pytest.raises(MltrailError, match="no workspace other, but default, team"):
        opened(copy, workspace="other")


@pytest.mark.clients
def test_files_elsewhere(copy: Path, newest: Filled, opened: Open, findings: Findings) -> None:
    """A copy of a database does not have the files beside it."""
    (run,) = (one for one in runs_of(opened(copy)) if one.name == "fit")
    assert list(opened(copy).files(run)) == []
    assert "add `--artifacts" in findings.kept[0].text
    moved = opened(copy, Access(places=(str(newest.path.parent),)))
    assert [one.path for one in moved.files(run)] == ["model/MLmodel", "notes/read me.txt"]
    change(copy, f"UPDATE runs SET artifact_uri = REPLACE(artifact_uri, '{newest.path.parent}', '.')")
    (run,) = (one for one in runs_of(opened(copy)) if one.name == "fit")
    assert run.artifact_uri.startswith("./mlruns/1/")
    relative = opened(copy, Access(root=str(newest.path.parent)))
    assert [one.path for one in relative.files(run)] == ["model/MLmodel", "notes/read me.txt"]


@pytest.mark.clients
def test_a_version_by_its_run(copy: Path, newest: Filled, opened: Open) -> None:
    change(
        copy,
        "UPDATE model_versions SET storage_location = NULL WHERE name IN ('wine', 'tree')",
        "UPDATE model_versions SET source = 'runs:/' || run_id || '/model' WHERE name = 'wine'",
    )
    source = opened(copy, Access(places=(str(newest.path.parent),)))
    versions = [one for model in source.models() for one in source.versions(model) if model.name in {"wine", "tree"}]
    assert [[file.path for file in source.files(one)] for one in versions] == [["MLmodel"]] * 4


@pytest.mark.clients
@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_while_mlflow_writes(copy: Path, opened: Open, mode: str) -> None:
    change(copy, f"PRAGMA journal_mode = {mode}")
    before = {one: one.read_bytes() for one in copy.parent.iterdir()}
    source = opened(copy)
    rows = source.experiments()
    next(rows)  # nothing is locked while a page is worked on
    if mode == "DELETE":
        change(copy, "UPDATE runs SET name = 'new' WHERE name = 'fit'")
        assert "new" in {one.name for one in runs_of(source)}
        return
    assert len(everything(source)) > 20
    assert {one: one.read_bytes() for one in copy.parent.iterdir()} == before
    writer = sqlite3.connect(copy, isolation_level=None)
    writer.execute("UPDATE runs SET name = 'new' WHERE name = 'fit'")
    assert "new" in {one.name for one in runs_of(opened(copy))}
    writer.close()


@pytest.mark.clients
def test_nothing_can_be_written(copy: Path, opened: Open) -> None:
    source = opened(copy)
    with pytest.raises(MltrailError, match="readonly database"):
        source._reading.rows(sa.text("DELETE FROM runs RETURNING run_uuid"))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("{0}/none.db", "There is no file"),
        ("sqlite:///{0}", "can't be read"),
        ("sqlite:///{0}/text.db", "is not an SQLite database"),
        ("{0}/empty.db", "is not an SQLite database"),
        ("{0}/other.db", "is not a database of MLflow 1.28 or later: it has no table experiments"),
        ("{0}/ours.db", "is an mltrail database"),
        ("sqlite://", "names no file"),
        ("mssql://user:hidden@host/x", "with --from-mlflow"),
        ("postgresql://user:hidden@127.0.0.1:1/x", "postgresql://127.0.0.1:1/x can't be read"),
        ("mysql://user:hidden@127.0.0.1:1/x", "mysql://127.0.0.1:1/x can't be read"),
        ("://", "not the URL of a database"),
    ],
)
def test_what_is_no_database_of_mlflow(tmp_path: Path, opened: Open, url: str, why: str) -> None:
    (tmp_path / "text.db").write_text("hello, this is not a database")
    (tmp_path / "empty.db").touch()
    change(tmp_path / "other.db", "CREATE TABLE a (b)")
    change(tmp_path / "ours.db", "CREATE TABLE candidate (b)")
    with pytest.raises(MltrailError, match=why) as error:
        opened(url.format(tmp_path))
    assert "hidden" not in error.value.message


def test_a_password_by_itself_is_for_one_server_only() -> None:
    """Either the database's, or that of the server with the files."""
    credentials = Credentials(username="someone", password="hidden")
    without = read_address("postgresql://127.0.0.1:1/x", credentials)
    assert (without.url.username, without.url.password, without.took_credentials) == ("someone", "hidden", True)
    own = read_address("mysql://me:mine@127.0.0.1:1/x", credentials)
    assert (own.url.username, own.url.password, own.took_credentials) == ("me", "mine", False)
    assert not read_address("sqlite:///mlflow.db", credentials).took_credentials
    assert "hidden" not in repr(without.url) + without.shown


def same(kind: sa.types.TypeEngine[object]) -> sa.types.TypeEngine[object]:
    """Return the type that MLflow has on other servers for one of SQLite."""
    if isinstance(kind, sa.BLOB):
        return sa.LargeBinary()
    return sa.Double() if isinstance(kind, sa.Float) else kind


def copied(path: Path, url: sa.URL) -> None:
    """Copy a database to another server, with the columns but without the keys."""
    origin, target = sa.create_engine(f"sqlite:///{path}"), sa.create_engine(url)
    found = sa.MetaData()
    found.reflect(origin)
    tables = sa.MetaData()
    for table in found.sorted_tables:
        columns = (sa.Column(one.name, same(one.type), nullable=True) for one in table.columns)
        sa.Table(table.name, tables, *columns)
    tables.create_all(target)
    with origin.connect() as reading, target.begin() as writing:
        for table in tables.sorted_tables:
            # PostgreSQL can't store NUL.
            rows = [
                {key: value.replace("\0", "") if isinstance(value, str) else value for key, value in row.items()}
                for row in reading.execute(sa.select(table)).mappings()
            ]
            if rows:
                writing.execute(table.insert(), rows)
    origin.dispose()
    target.dispose()


@pytest.mark.clients
@pytest.mark.parametrize("backend", ["postgresql", "mysql"])
def test_other_servers(
    copy: Path, opened: Open, backend: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url: sa.URL = request.getfixturevalue(f"{backend}_url")
    copied(copy, url)
    change(copy, "UPDATE tags SET value = 'ab' WHERE key = 'nul'")
    there, here = opened(url.set(drivername=backend).render_as_string(hide_password=False)), opened(copy)
    assert there.describe() == here.describe()
    assert there.totals().of == here.totals().of
    assert everything(there) == everything(here)
    assert there.address == f"{backend}://127.0.0.1:{url.port}/{url.database}"
    monkeypatch.setattr("mltrail_server.sources.mlflow_database.points.PAGE", 2)
    assert everything(there) == everything(here)
    with pytest.raises(MltrailError, match=r"(?i)read[- ]only transaction"):
        there._reading.rows(sa.text("DELETE FROM runs RETURNING run_uuid"))
