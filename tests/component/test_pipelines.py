"""Whole `.gitlab-ci.yml` files, expanded by gitlab-ci-local with our templates as they are."""

import json
import os
import shutil
from collections.abc import Iterator

import jsonschema
import pytest
import yaml

from tests.component import creation
from tests.component.render import GOLDEN, schema
from tests.component.runner import KINDS, MERGE_REQUEST, SCHEDULE, TAG, Runner, commit, variables_of
from tests.component.snippets import ROWS, first_of, table
from tests.places import ROOT
from tests.static_files import serving

pytestmark = pytest.mark.node


@pytest.fixture
def example(runner: Runner) -> Runner:
    shutil.copytree(ROOT / "examples/churn", runner.checkout, dirs_exist_ok=True)
    commit(runner.checkout, runner.environment)
    return runner


@pytest.fixture
def ourselves(runner: Runner) -> Runner:
    shutil.copytree(ROOT / "templates", runner.checkout / "templates")
    shutil.copy(ROOT / ".gitlab-ci.yml", runner.checkout)
    commit(runner.checkout, runner.environment, "mlops/mltrail")
    return runner


def test_the_example_expands(example: Runner) -> None:
    config = example.preview()
    train = config["train"]
    assert train["id_tokens"] == {"MLFLOW_TRACKING_TOKEN": {"aud": "https://mltrail.example.com"}}
    # The job keeps its own variables beside those of the hidden job.
    assert {"PIP_CACHE_DIR", "MLFLOW_TRACKING_URI"} <= train["variables"].keys()
    assert json.loads(train["variables"]["MLFLOW_RUN_CONTEXT"])["gitlab.CI_JOB_ID"] == "$CI_JOB_ID"
    assert train["script"][-1] == 'python train.py --max-depth "$MAX_DEPTH"'
    assert config["mltrail-report"]["needs"] == config["mltrail-promote"]["needs"]


def test_the_examples_expansion_is_as_it_was(example: Runner) -> None:
    """UPDATE_GOLDEN=1 writes the file anew."""
    text = yaml.safe_dump(example.preview(), sort_keys=True, width=120)
    file = GOLDEN / "example.yml"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert file.read_text() == text


def test_single_includes_are_the_one(example: Runner) -> None:
    composed = example.preview()
    file = example.checkout / ".gitlab-ci.yml"
    config = yaml.safe_load(file.read_text())
    (one,) = config["include"]
    given = one["inputs"]
    mine = {"track": ["server"], "report": ["server", "needs"], "promote": list(given)}
    config["include"] = [
        {
            "component": one["component"].replace("/pipeline@", f"/{name}@"),
            "inputs": {key: given[key] for key in keys},
        }
        for name, keys in mine.items()
    ]
    doctor = {"server": given["server"], "doctor": False}
    config["include"].append({"component": one["component"].replace("/pipeline@", "/doctor@"), "inputs": doctor})
    file.write_text(yaml.safe_dump(config))
    assert example.preview() == composed


@pytest.mark.parametrize("kind", [kinds[0] for kinds in ROWS.values()])
def test_each_kind_of_pipeline_has_its_jobs(example: Runner, kind: str) -> None:
    """By the components' rules alone: the example's `workflow:` leaves a branch none beside its merge request's. One
    kind of each row of the docs' table: all of them are for the README's snippet, which has the same component.
    """
    file = example.checkout / ".gitlab-ci.yml"
    config = yaml.safe_load(file.read_text())
    workflow = config.pop("workflow")["rules"]
    assert workflow[1] == {"if": "$CI_COMMIT_BRANCH && $CI_OPEN_MERGE_REQUESTS", "when": "never"}
    file.write_text(yaml.safe_dump(config))
    jobs = set(example.jobs(KINDS[kind]))
    # The runner knows nothing of default refs, nor of pipelines that there are none of.
    assert jobs - {"mltrail-report", "mltrail-promote"} == {"train: [2]", "train: [3]"}
    assert jobs & {"mltrail-report", "mltrail-promote"} == {
        name for name in ("mltrail-report", "mltrail-promote") if name in table()[kind]
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_readmes_snippet_has_its_jobs(runner: Runner, kind: str) -> None:
    (runner.checkout / ".gitlab-ci.yml").write_text(yaml.safe_dump(first_of("README.md")))
    commit(runner.checkout, runner.environment)
    assert set(runner.jobs(KINDS[kind])) == table()[kind]


@pytest.mark.parametrize("source", ["schedule", "web", "trigger"])
def test_other_pipelines_promote_where_rules_say_so(example: Runner, source: str) -> None:
    file = example.checkout / ".gitlab-ci.yml"
    config = yaml.safe_load(file.read_text())
    config["include"][0]["inputs"]["promote-rules"] = [{"if": f'$CI_PIPELINE_SOURCE == "{source}"'}]
    file.write_text(yaml.safe_dump(config))
    assert "mltrail-promote" in example.jobs({"CI_PIPELINE_SOURCE": source})
    assert "mltrail-promote" not in example.jobs()


@pytest.fixture
def templates_by_http() -> Iterator[str]:
    with serving(ROOT / "templates") as url:
        yield url


@pytest.mark.parametrize("way", ["project", "remote"])
def test_it_is_the_same_by_other_ways_of_including(example: Runner, way: str, templates_by_http: str) -> None:
    by_component = example.preview()
    file = example.checkout / ".gitlab-ci.yml"
    config = yaml.safe_load(file.read_text())
    (one,) = config["include"]
    ways = {
        "project": {"project": "mlops/mltrail", "ref": "0.1.0", "file": "templates/pipeline.yml"},
        "remote": {"remote": f"{templates_by_http}/pipeline.yml"},
    }
    config["include"] = [ways[way] | {"inputs": one["inputs"]}]
    file.write_text(yaml.safe_dump(config))
    assert example.preview() == by_component


def test_the_report_comes_after_a_failed_training_too(example: Runner) -> None:
    assert example.jobs(MERGE_REQUEST)["mltrail-report"]["when"] == "always"


def test_this_projects_own_pipeline_uses_its_component(ourselves: Runner) -> None:
    config = ourselves.preview()
    assert config["selftest"]["variables"]["MLFLOW_TRACKING_URI"].startswith("http://127.0.0.1:5000/")
    assert {"mltrail-report", "mltrail-promote"} <= config.keys(), "all templates are expanded at this commit"


def test_this_projects_own_pipeline_is_as_gitlabs_schema_has_it() -> None:
    jsonschema.Draft7Validator(schema()).validate(yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text()))


RELEASE = {"version", "sbom", "image-sboms", "sign", "publish", "release"}


def test_this_project_releases_on_version_tags_only(ourselves: Runner) -> None:
    branch, tag = set(ourselves.jobs()), set(ourselves.jobs(TAG))
    assert branch >= {"check", "build", "bare-install", "selftest"}
    assert tag >= (branch - {"pages"}) | RELEASE
    for variables in (None, MERGE_REQUEST, TAG | {"CI_COMMIT_TAG": "v1.0.0-old"}):
        assert not set(ourselves.jobs(variables)) & (RELEASE | {"pypi", "long-tests", "locks", "links"})


@pytest.mark.parametrize("kind", KINDS)
def test_gitlab_would_refuse_no_kind_of_pipeline(kind: str) -> None:
    """A job that needs one which this kind does not have, for instance, would make a failed pipeline without jobs."""
    text = (ROOT / ".gitlab-ci.yml").read_text().replace("$CI_PROJECT_PATH/pipeline", "mlops/mltrail/pipeline")
    made = creation.pipeline(creation.read(text), variables_of(kind))
    assert (made is None) == (kind in {"branch of a merge request", "child of a merge request"})


def test_only_the_mirror_that_says_so_uploads_to_pypi(ourselves: Runner) -> None:
    assert "pypi" not in ourselves.jobs(TAG)
    assert "pypi" in ourselves.jobs(TAG | {"MLTRAIL_PYPI": "true"})
    assert "pypi" not in ourselves.jobs({"MLTRAIL_PYPI": "true"})


def test_a_schedule_runs_the_long_tests_and_looks_at_the_locks(ourselves: Runner) -> None:
    jobs = ourselves.jobs(SCHEDULE)
    assert set(jobs) == {"long-tests", "locks", "links"}
    assert jobs["locks"]["allow_failure"]
    assert jobs["links"]["allow_failure"]


def test_nothing_is_released_before_all_that_checks_it(ourselves: Runner) -> None:
    config = ourselves.preview()
    waits = {name: {need["job"] for need in config[name]["needs"]} for name in ("sign", "publish", "pypi", "release")}
    assert waits["sign"] >= {"check", "version", "bare-install", "selftest", "images", "image-sboms"}
    assert {need["job"] for need in config["image-sboms"]["needs"]} >= {"sbom", "images"}
    assert waits["publish"] == {"sign"}
    assert waits["pypi"] == {"sign", "publish"}
    assert waits["release"] == {"version", "publish", "pypi"}


def test_the_release_has_the_changelogs_notes_and_tells_the_catalog(ourselves: Runner) -> None:
    config = ourselves.preview()
    assert config["release"]["release"]["tag_name"] == "$CI_COMMIT_TAG"
    assert config["release"]["release"]["description"] in config["version"]["artifacts"]["paths"]


def test_jobs_have_tokens_only_for_what_they_sign_or_upload(ourselves: Runner) -> None:
    config = ourselves.preview()
    tokens = {
        name: set(job["id_tokens"]) for name, job in config.items() if isinstance(job, dict) and "id_tokens" in job
    }
    ours = {name: held for name, held in tokens.items() if not name.startswith((".", "mltrail-", "selftest"))}
    assert ours == {"sign": {"SIGSTORE_ID_TOKEN"}, "pypi": {"PYPI_ID_TOKEN", "SIGSTORE_ID_TOKEN"}}


def test_each_image_of_a_job_has_a_version(ourselves: Runner) -> None:
    config = ourselves.preview()
    images = {job["image"]["name"] for job in config.values() if isinstance(job, dict) and "image" in job}
    assert images
    assert not [image for image in images if image.endswith(":latest") or ":" not in image]
