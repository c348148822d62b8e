"""`mltrail-server import --from-mlflow`, from its options to its exit code, from a server that has trouble."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mltrail_server import cli
from mltrail_server.app import create_app, create_deps
from mltrail_server.domain.origins import IMPORTED_TAG
from mltrail_server.domain.transfer import Findings
from mltrail_server.settings import Settings
from mltrail_server.sources.credentials import Credentials
from mltrail_server.sources.mlflow_rest import MlflowRest
from tests.databases import SqliteDatabases
from tests.fakes.stubborn import LOGIN_PAGE, Fault, Handler, Stubborn, short, status
from tests.mlflow_client import LOCAL_TOKEN
from tests.sources.rest_history import Made, everything, make_history

PROJECT = "/api/v4/projects/1/ml/mlflow"
TIMES = {"created_ms", "updated_ms"}
MADE_HERE = {"artifact_uri", "artifact_location", "source", "storage_location", "experiment_id", "experiment_ids", "id"}
"""What an import gives names and places of its own."""

Exit = tuple[int, list[str], str]
"""Exit code, findings, and what was printed as an error."""


@dataclasses.dataclass
class World:
    fake: Stubborn
    made: Made
    target: Path
    database: str
    run: Callable[..., Exit]

    @contextmanager
    def imported(self) -> Iterator[dict[tuple[str, ...], Any]]:
        """Ask the server into whose database was imported for everything."""
        settings = Settings(
            data_dir=str(self.target), database_url=self.database, local_token=LOCAL_TOKEN, secret_key="key"
        )
        deps = create_deps(settings)
        with Stubborn(create_app(deps)).serving() as server:
            yield _everything(server.url + PROJECT)
        deps.db.dispose()


def _everything(url: str) -> dict[tuple[str, ...], Any]:
    source = MlflowRest(url, Findings(), Credentials(token=LOCAL_TOKEN))
    try:
        source.describe()
        return everything(source)
    finally:
        source.close()


@pytest.fixture(scope="module")
def source(
    sqlite_databases: SqliteDatabases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Stubborn, Made]]:
    folder = tmp_path_factory.mktemp("source") / "data"
    with sqlite_databases.lent(folder) as database:
        deps = create_deps(
            Settings(data_dir=str(folder), database_url=database, local_token=LOCAL_TOKEN, secret_key="key")
        )
        fake = Stubborn(create_app(deps))
        with fake.serving() as server:
            yield fake, make_history(server.url + PROJECT, LOCAL_TOKEN)
        deps.db.dispose()


@pytest.fixture
def world(
    source: tuple[Stubborn, Made],
    tmp_path: Path,
    sqlite_databases: SqliteDatabases,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[World]:
    fake, made = source
    fake.faults = []
    target = tmp_path / "target"
    with sqlite_databases.lent(target) as database:
        variables = {"DATA_DIR": str(target), "DATABASE_URL": database, "LOCAL_TOKEN": LOCAL_TOKEN, "SECRET_KEY": "key"}
        for name, value in {**variables, "IMPORT_TOKEN": LOCAL_TOKEN}.items():
            monkeypatch.setenv(f"MLTRAIL_{name}", value)

        def run(*options: str) -> Exit:
            said = tmp_path / "report.jsonl"
            said.write_text("")
            asked = ("import", "--from-mlflow", made.url, "--project", "1", "--quiet", "--report", str(said), *options)
            code = cli.main(asked)
            found = [json.loads(line) for line in said.read_text().splitlines()]
            lines = [f"{one['kind']}: {one['owner']}: {one['text']}" for one in found if one["kind"] != "note"]
            return code, lines, capsys.readouterr().err

        yield World(fake, made, target, database, run)


def _differences(found: dict[tuple[str, ...], Any], source: dict[tuple[str, ...], Any]) -> list[str]:
    """Say where two servers do not show the same, but for what an import makes anew."""
    one, other = _flat(found), _flat(source)
    return [f"{key}: {one.get(key)!r}, not {other.get(key)!r}" for key in one | other if one.get(key) != other.get(key)]


def _flat(found: dict[tuple[str, ...], Any]) -> dict[tuple[str, ...], Any]:
    flat = {}
    for key, one in found.items():
        if not dataclasses.is_dataclass(one):
            flat[key] = one
            continue
        fields = {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}
        named = (key[0], fields["name"]) if key[0] in {"experiment", "dataset"} else key
        fields["tags"] = {name: value for name, value in fields.get("tags", {}).items() if name != IMPORTED_TAG}
        flat |= {(*named, name): value for name, value in fields.items() if name not in MADE_HERE | TIMES}
    return flat


def test_everything_arrives_once(world: World) -> None:
    assert world.run() == (0, [], "")
    with world.imported() as found:
        assert _differences(found, _everything(world.made.url)) == []
    before = len(world.fake.asked)
    assert world.run() == (0, [], "")
    again = world.fake.asked[before:]
    assert [call for call in again if "get-artifact" in call or "get-history" in call] == []


AT_ONCE = {"Retry_After": "0"}  # so that nobody waits


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        (status(401), "The server answered 401"),
        (status(403), "The server answered 403"),
        (status(200, LOGIN_PAGE, content_type="text/html"), "a web page instead of data"),
        (status(302, Location="/login"), "perhaps to sign in"),
        (status(503, **AT_ONCE), "The server answered 503"),
        (status(404), "There is no MLflow API at"),
    ],
    ids=["401", "403", "login page", "redirect", "503", "404"],
)
def test_a_server_that_lets_nobody_in(world: World, how: Handler, sentence: str) -> None:
    world.fake.faults = [Fault("", how)]
    code, lines, errors = world.run()
    assert (code, lines) == (2, [])
    assert errors.startswith("mltrail-server: ")
    assert sentence in errors
    assert LOCAL_TOKEN not in errors
    with world.imported() as found:
        assert not any(key[0] == "RunRecord" for key in found)


@pytest.mark.parametrize(
    ("pattern", "how", "lost"),
    [
        ("get-artifact.*MLmodel", status(500, **AT_ONCE), "The server answered 500 to GET"),
        ("get-artifact.*weights.bin", short, "5000 bytes of a file with 10000"),
        ("artifacts/list.*path=model", status(500, **AT_ONCE), "its files can't all be listed"),
        ("get-history.*metric_key=odd", status(500, **AT_ONCE), "the history of metric odd is not complete"),
        ("get-trace-artifact", status(500, **AT_ONCE), "its spans can't be read"),
        ("model-versions/search", status(500, **AT_ONCE), "its list of versions is not complete"),
        ("traces/search", status(500, **AT_ONCE), "its list of traces is not complete"),
    ],
)
def test_what_cannot_be_read_is_listed_and_comes_later(world: World, pattern: str, how: Handler, lost: str) -> None:
    world.fake.faults = [Fault(pattern, how)]
    code, lines, errors = world.run()
    assert (code, errors) == (1, "")
    assert lines
    assert {line.split(":")[0] for line in lines} == {"missing"}
    assert any(lost in line for line in lines)
    world.fake.faults = []
    assert world.run() == (0, [], "")
    with world.imported() as found:
        assert _differences(found, _everything(world.made.url)) == []


@pytest.mark.parametrize("calls", [12, 30])
def test_a_server_that_goes_away_leaves_nothing_half_done(world: World, calls: int) -> None:
    before = len(world.fake.asked)

    def gone(application: Any, environ: Any, start_response: Any) -> Any:
        there = len(world.fake.asked) - before <= calls
        answer = application if there else lambda *call: status(503, **AT_ONCE)(application, *call)
        return answer(environ, start_response)

    world.fake.faults = [Fault("", gone)]
    code, _, errors = world.run()
    assert code == 2
    assert "The server answered 503" in errors
    world.fake.faults = []
    source = _everything(world.made.url)
    with world.imported() as found:
        whole = {key: one for key, one in source.items() if key in found or key[0] in {"experiment", "dataset"}}
        lacking = [line for line in _differences(found, whole) if "RunRecord" in line or "points" in line]
        assert lacking == []
    assert world.run() == (0, [], "")
    with world.imported() as found:
        assert _differences(found, source) == []
