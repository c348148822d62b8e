"""The CI components hold to GitLab's rules and the Catalog's: https://docs.gitlab.com/ci/components/."""

import json
import re
import string
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from mltrail_ci import __version__
from mltrail_ci.cli import parser
from tests.component.render import INPUT, RenderError, body_of, inputs_of, render

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / "templates").glob("*.yml"))
SERVER = "https://mltrail.example.com"
REQUIRED: dict[str, dict[str, Any]] = {
    "track": {"server": SERVER},
    "report": {"server": SERVER, "needs": ["train", {"job": "tune", "optional": True}]},
    "promote": {"server": SERVER, "needs": ["train"]},
}
# Each is sure to hold ids, hashes, words of GitLab's own or URLs: nothing that a person can name.
SAFE_VARIABLES = {
    "CI_JOB_ID": "4711",
    "CI_JOB_URL": "https://gitlab.example.com/team/churn/-/jobs/4711",
    "CI_PIPELINE_ID": "1001",
    "CI_PIPELINE_URL": "https://gitlab.example.com/team/churn/-/pipelines/1001",
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_PROJECT_ID": "42",
    "CI_COMMIT_SHA": "a1" * 20,
}

templates = pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)


def schema() -> Any:
    file = resources.files("check_jsonschema") / "builtin_schemas/vendor/gitlab-ci.json"
    return json.loads(file.read_text())


def rendered(template: Path, **given: Any) -> Any:
    """Render with what is required and `given`, check the result as an editor would, and answer its one job."""
    config = render(template, REQUIRED[template.stem] | given)
    jsonschema.Draft7Validator(schema()).validate(config)
    ((name, job),) = config.items()
    return {"name": name, **job}


def choices() -> list[Any]:
    """Each value that an input offers, and one unusual value for those that are free."""
    free = {"string": "", "number": 3, "boolean": True, "array": []}
    found = []
    for template in TEMPLATES:
        for name, spec in inputs_of(template).items():
            kind = spec.get("type", "string")
            found += [
                pytest.param(template, name, value, id=f"{template.stem}-{name}-{value}")
                for value in spec.get("options") or [free[kind]]
                if "regex" not in spec or re.search(spec["regex"], value)
            ]
    return found


def test_all_components_are_here() -> None:
    assert [path.stem for path in TEMPLATES] == sorted(REQUIRED)


@templates
def test_defaults_give_a_valid_job(template: Path) -> None:
    assert rendered(template)["id_tokens"].popitem()[1] == {"aud": SERVER}


@pytest.mark.parametrize(("template", "name", "value"), choices())
def test_each_choice_gives_a_valid_job(template: Path, name: str, value: Any) -> None:
    rendered(template, **{name: value})


@templates
def test_inputs_are_described_typed_and_used(template: Path) -> None:
    body = body_of(template)
    used = {match["what"].removeprefix("inputs.") for match in INPUT.finditer(body)}
    inputs = inputs_of(template)
    assert used == inputs.keys()
    for name, spec in inputs.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
        assert 10 < len(spec["description"]) <= 256
        # The Catalog takes no default that is a fraction.
        assert not isinstance(spec.get("default"), float)
        if spec.get("type", "string") == "string":
            assert ("regex" in spec) != ("options" in spec), f"{name} takes any text"


@templates
@pytest.mark.parametrize("name", ["server", "job-name", "image", "stage", "install", "alias", "rank-by", "version"])
@pytest.mark.parametrize("value", ['a"b', "a\nb: c", "a'b", "a\\", "https://x.example/$(id)", "`id`", "x #"])
def test_text_that_could_break_the_yaml_is_refused(template: Path, name: str, value: str) -> None:
    if name in inputs_of(template):
        with pytest.raises(RenderError, match="pattern"):
            rendered(template, **{name: value})


@templates
@pytest.mark.parametrize("server", ["https://mltrail.example.com/", "mltrail.example.com", "$A/b", ""])
def test_a_server_that_would_give_a_wrong_audience_is_refused(template: Path, server: str) -> None:
    with pytest.raises(RenderError, match="pattern"):
        rendered(template, server=server)


@templates
@pytest.mark.parametrize("server", ["$MLTRAIL_URL", "http://localhost:5000", "https://example.com/tools/mltrail"])
def test_a_server_may_be_a_variable_or_have_a_port_or_path(template: Path, server: str) -> None:
    assert rendered(template, server=server)["id_tokens"].popitem()[1] == {"aud": server}


@templates
def test_a_mistyped_input_is_refused(template: Path) -> None:
    with pytest.raises(RenderError, match="unknown input"):
        rendered(template, sever=SERVER)


@templates
def test_nothing_is_interpolated_into_scripts(template: Path) -> None:
    job = next(iter(yaml.safe_load(INPUT.sub("<put in>", body_of(template))).values()))
    assert "<put in>" not in json.dumps([job.get(key) for key in ("script", "before_script", "after_script")])


@templates
def test_users_keep_their_own_global_keywords_and_before_script(template: Path) -> None:
    config = render(template, REQUIRED[template.stem])
    assert len(config) == 1
    ((name, job),) = config.items()
    assert name.removeprefix(".").startswith("mltrail-")
    assert not job.keys() & {"before_script", "after_script", "cache", "timeout", "retry"}


def test_track_changes_nothing_of_a_job_but_variables_and_token() -> None:
    job = rendered(ROOT / "templates/track.yml")
    assert job.pop("name") == ".mltrail-track"
    assert job.keys() == {"id_tokens", "variables"}
    assert job["variables"]["MLFLOW_TRACKING_URI"] == f"{SERVER}/api/v4/projects/$CI_PROJECT_ID/ml/mlflow"
    # A variable of the token's name would win over the token.
    assert not job["variables"].keys() & job["id_tokens"].keys()


def test_the_run_context_stays_json_whatever_people_name_their_things() -> None:
    context = rendered(ROOT / "templates/track.yml")["variables"]["MLFLOW_RUN_CONTEXT"]
    variables = set(re.findall(r"\$\{?(\w+)", context))
    assert variables == SAFE_VARIABLES.keys()
    assert "%" not in context, "the runner expands %NAME%, too"
    expanded = json.loads(string.Template(context).substitute(SAFE_VARIABLES))
    assert expanded == {f"gitlab.{name}": value for name, value in SAFE_VARIABLES.items()}


@pytest.mark.parametrize("name", ["report", "promote"])
def test_scripts_call_the_command_as_it_is(name: str) -> None:
    """Each variable that a script reads is set by the job, and the command knows each option."""
    job = rendered(ROOT / f"templates/{name}.yml")
    clean, install, call = job["script"]
    assert clean == f"rm -rf mltrail-{name}"
    assert set(re.findall(r"\$(\w+)", install + call)) <= job["variables"].keys()
    assert not re.search(r'[^"=]\$', call), "an unquoted variable"
    words = [job["variables"].get(word.strip('"').removeprefix("$"), word.strip('"')) for word in call.split()]
    words = [re.sub(r'"?\$(\w+)"?', lambda found: job["variables"][found[1]], word) for word in words]
    options = parser().parse_args(words[1:])
    assert options.command == name
    written = {value for key, value in vars(options).items() if key in {"junit", "metrics", "dotenv", "annotations"}}
    assert written == set(job["artifacts"]["reports"].values())


@pytest.mark.parametrize("name", ["report", "promote"])
def test_the_command_that_is_installed_is_of_the_same_version(name: str) -> None:
    assert inputs_of(ROOT / f"templates/{name}.yml")["install"]["default"] == f"mltrail=={__version__}"


def test_promotions_of_a_project_wait_for_each_other() -> None:
    assert rendered(ROOT / "templates/promote.yml")["resource_group"] == "mltrail-promote"
