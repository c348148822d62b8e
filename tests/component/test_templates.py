"""The CI components hold to GitLab's rules and the Catalog's: https://docs.gitlab.com/ci/components/."""

import json
import os
import re
import string
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from scripts import component_files, image_name

from mltrail_ci import __version__
from mltrail_ci.cli import parser
from tests.component.render import GOLDEN, INPUT, RenderError, body_of, inputs_of, render, schema
from tests.places import ROOT

TEMPLATES = sorted((ROOT / "templates").glob("*.yml"))
SERVER = "https://mltrail.example.com"
NEEDS = ["train", {"job": "tune", "optional": True}]
REQUIRED: dict[str, dict[str, Any]] = {
    "pipeline": {"server": SERVER, "needs": NEEDS},
    "track": {"server": SERVER},
    "report": {"server": SERVER, "needs": NEEDS},
    "promote": {"server": SERVER, "needs": NEEDS},
    "doctor": {"server": SERVER},
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
# Texts that are odd and right, by the words in an input's name.
EDGES: dict[str, list[Any]] = {
    "server": [
        *("$MLTRAIL_URL", "${MLTRAIL_URL}", "$MLTRAIL_URL/", "https://$HOST/tools", "https://mltrail.example.com/"),
        *("http://localhost:5000", "https://example.com/tools/mltrail", "https://[::1]:8443", "${A}/b"),
    ],
    "job-name": [
        "m",
        "model:report.2-x",
        "0" * 200,
        "report the models",
        "Prüfung (neu) / 报告",
        "a's & b #1",
        "50 % [x]",
    ],
    "stage": ["deploy:eu", ".pre", "0", "train and report", "Überprüfung (neu)", "发布", "a's, b: #1", "50 %"],
    "mirror": ["group/sub/tools/mltrail-mirror", "a", "my.group/my_tools"],
    "image": [
        "$MIRROR/mltrail@sha256:" + "0f" * 32,
        "${MIRROR}/mltrail",
        "python:3.12-slim",
        "host.example.com:5050/a/b/c:1-2_3",
    ],
    "install": ["mltrail>=0.1,<2", "https://x.example/a%20b/w.whl?job=build&x=1", "./w.whl", "${WHEEL}"],
    "model": ["up sell", "churn-2.0_b", "0", "流失", "$MODEL", "${MODEL}", "a's #1: x"],
    "alias": ["challenger", "a-1_B"],
    "rank-by": ["val/log loss", "f1.macro", "0", "genauigkeit_größer", "$METRIC"],
    "version": ["$CI_COMMIT_TAG", "${CI_COMMIT_TAG}", "v2.0.0-rc.1+build.5", "10.20.30"],
    "needs": [[], ["train: [2, a b]"], [{"job": 'it\'s "it" # [x]: {y}', "optional": True}], ["früh 🚆", "a" * 255]],
    "rules": [
        [{"if": "$A =~ /^v\\d+\"'/ && $B == null", "when": "manual", "allow_failure": True}],
        [{"if": "$CI_COMMIT_TAG", "variables": {"X": "# ] }"}}],
        [{"when": "never"}],
    ],
    "timeout": [0, 86400, 0.5],
}

templates = pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)


def rendered(template: Path, **given: Any) -> dict[str, Any]:
    """The jobs that a template adds, by name, with what is required and `given`."""
    return render(template, REQUIRED[template.stem] | given)


def only(template: Path, **given: Any) -> dict[str, Any]:
    """The one job that a template adds."""
    ((_, job),) = rendered(template, **given).items()
    answer: dict[str, Any] = job
    return answer


def edges_of(name: str, spec: dict[str, Any]) -> list[Any]:
    if "options" in spec:
        return list(spec["options"])
    if spec.get("type") == "boolean":
        return [True, False]
    if str(spec.get("default")).startswith("."):
        return [f".{one}" for one in EDGES["job-name"]] if name.endswith("job-name") else EDGES["stage"]
    found = next(values for word, values in EDGES.items() if name == word or name.endswith(f"-{word}"))
    return [*found, *([""] if spec.get("default") == "" else [])]


def holds(config: Any, value: Any) -> bool:
    """Whether a value stands somewhere in a configuration, as itself or as text."""
    if config == value or (not isinstance(value, str) and config == json.dumps(value)):
        return True
    if isinstance(value, bool) and isinstance(config, str):
        return f'"{json.dumps(value)}"' in config  # as a text of a rule's expression
    if isinstance(config, dict):
        return (isinstance(value, str) and value in config) or any(holds(one, value) for one in config.values())
    return isinstance(config, list) and any(holds(one, value) for one in config)


def choices() -> list[Any]:
    """Each value that an input offers, and odd ones for those that are free."""
    return [
        pytest.param(template, name, value, id=f"{template.stem}-{name}-{number}")
        for template in TEMPLATES
        for name, spec in inputs_of(template).items()
        for number, value in enumerate(edges_of(name, spec))
    ]


def test_all_components_are_here() -> None:
    assert [path.stem for path in TEMPLATES] == sorted(REQUIRED)
    assert len(TEMPLATES) <= 30, "the Catalog takes no more"


@templates
def test_the_head_is_as_gitlabs_schema_has_it(template: Path) -> None:
    head = yaml.safe_load(template.read_text().split("\n---\n")[0])
    jsonschema.Draft7Validator(schema()).validate(head)


@templates
def test_expansions_are_as_they_were(template: Path) -> None:
    """A change of what users get is seen here, and in the review. UPDATE_GOLDEN=1 writes the files anew."""
    text = yaml.safe_dump(rendered(template), sort_keys=False, allow_unicode=True, width=120)
    file = GOLDEN / f"{template.stem}.yml"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert file.read_text() == text


def test_what_is_generated_is_fresh() -> None:
    for path, text in component_files.files():
        assert path.read_text() == text, f"{path} is stale; run: python -m scripts.component_files"


def test_the_composed_component_is_the_others() -> None:
    """With the inputs that they share, one include of `pipeline` is one of each other."""
    parts = [rendered(ROOT / f"templates/{name}.yml") for name in ("track", "report", "promote")]
    doctor = rendered(ROOT / "templates/doctor.yml", doctor=False)
    assert rendered(ROOT / "templates/pipeline.yml") == parts[0] | parts[1] | parts[2] | doctor
    given = {
        "report-stage": "report",
        "promote-stage": "promote",
        "track-job-name": ".t",
        "model": "churn",
        "wait": False,
    }
    assert rendered(ROOT / "templates/pipeline.yml", **given) == (
        rendered(ROOT / "templates/track.yml", **{"job-name": ".t"})
        | rendered(ROOT / "templates/report.yml", stage="report", wait=False)
        | rendered(ROOT / "templates/promote.yml", stage="promote", model="churn")
        | doctor
    )


def test_the_doctor_has_what_a_training_job_has() -> None:
    ((_, track),) = rendered(ROOT / "templates/track.yml").items()
    job = only(ROOT / "templates/doctor.yml")
    assert job["id_tokens"] == track["id_tokens"]
    assert job["variables"]["MLFLOW_TRACKING_URI"] == track["variables"]["MLFLOW_TRACKING_URI"]
    assert job["needs"] == []
    assert "GIT_STRATEGY" not in job["variables"], "there would be no code to look at"
    assert job["rules"][0] == {"if": '"true" != "true"', "when": "never"}
    off = rendered(ROOT / "templates/pipeline.yml")["mltrail-doctor"]
    assert off["rules"][0] == {"if": '"false" != "true"', "when": "never"}


@pytest.mark.parametrize(("template", "name", "value"), choices())
def test_each_choice_gives_valid_jobs_that_hold_it(template: Path, name: str, value: Any) -> None:
    assert holds(rendered(template, **{name: value}), value)


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
@pytest.mark.parametrize("value", ['a"b', "a\nb: c", "a\\", "a\tb", "a\x00", '"', "\x7f", "a\r"])
def test_text_that_could_break_yaml_is_refused(template: Path, value: str) -> None:
    for name, spec in inputs_of(template).items():
        if spec.get("type", "string") == "string":
            with pytest.raises(RenderError, match=r"pattern|options"):
                rendered(template, **{name: value})


@templates
@pytest.mark.parametrize(
    "value", ["a'b", "https://x.example/$(id)", "`id`", "x #", "é", "a: b", "{a", "!a", "*a", "- a", "~"]
)
def test_other_text_is_refused_or_stays_what_it_is(template: Path, value: str) -> None:
    """Names of stages and jobs hold anything. None of them gets into a script, and values are quoted there."""
    for name, spec in inputs_of(template).items():
        if spec.get("type", "string") == "string":
            given = f".{value}" if str(spec.get("default")).startswith(".mltrail") else value
            try:
                config = rendered(template, **{name: given})
            except RenderError:
                assert not name.endswith(("stage", "job-name")), f"{name} should take {given}"
            else:
                assert holds(config, given), f"{name} does not stay {given}"


@templates
@pytest.mark.parametrize(
    "server",
    ["mltrail.example.com", "", "ftp://x.example", "https://", "https:///x", "$", "https://u:p@x.example", "x$A"],
)
def test_a_server_that_is_no_url_is_refused(template: Path, server: str) -> None:
    with pytest.raises(RenderError, match="pattern"):
        rendered(template, server=server)


@templates
@pytest.mark.parametrize("server", EDGES["server"])
def test_a_server_may_be_a_variable_or_have_a_port_or_path(template: Path, server: str) -> None:
    for job in rendered(template, server=server).values():
        assert job["id_tokens"].popitem()[1] == {"aud": server}


@templates
def test_a_mistyped_input_is_refused(template: Path) -> None:
    with pytest.raises(RenderError, match="unknown input"):
        rendered(template, sever=SERVER)


@templates
def test_nothing_is_interpolated_into_scripts(template: Path) -> None:
    for job in yaml.safe_load(INPUT.sub("<put in>", body_of(template)).replace("<put in>", "put-in", 1)).values():
        assert "<put in>" not in json.dumps([job.get(key) for key in ("script", "before_script", "after_script")])


@templates
def test_users_keep_their_own_global_keywords_and_before_script(template: Path) -> None:
    for name, job in rendered(template).items():
        assert name.removeprefix(".").startswith("mltrail-"), "not a global keyword"
        assert not job.keys() & {"before_script", "after_script", "cache", "timeout", "retry"}


@templates
def test_it_works_from_a_mirror(template: Path) -> None:
    """By `include: project` and `include: remote`, on any GitLab: no context, no address of ours."""
    text = template.read_text()
    assert "component." not in text
    assert not re.search(r"gitlab\.com|https?://(?![?A-Za-z\[(])", text.replace("https?://[", ""))
    assert "include:" not in text, "what it includes would be looked for elsewhere"


@templates
def test_no_variable_takes_the_place_of_the_token(template: Path) -> None:
    for job in rendered(template).values():
        assert not job["variables"].keys() & job["id_tokens"].keys()


def test_track_changes_nothing_of_a_job_but_variables_and_token() -> None:
    ((name, job),) = rendered(ROOT / "templates/track.yml").items()
    assert name == ".mltrail-track"
    assert job.keys() == {"id_tokens", "variables"}
    assert job["variables"]["MLFLOW_TRACKING_URI"] == f"{SERVER}/api/v4/projects/$CI_PROJECT_ID/ml/mlflow"


def test_the_run_context_stays_json_whatever_people_name_their_things() -> None:
    context = only(ROOT / "templates/track.yml")["variables"]["MLFLOW_RUN_CONTEXT"]
    variables = set(re.findall(r"\$\{?(\w+)", context))
    assert variables == SAFE_VARIABLES.keys()
    assert "%" not in context, "the runner expands %NAME%, too"
    expanded = json.loads(string.Template(context).substitute(SAFE_VARIABLES))
    assert expanded == {f"gitlab.{name}": value for name, value in SAFE_VARIABLES.items()}


@pytest.mark.parametrize("name", ["report", "promote"])
def test_scripts_call_the_command_as_it_is(name: str) -> None:
    """Each variable that a script reads is set by the job, and the command knows each option."""
    job = only(ROOT / f"templates/{name}.yml")
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
def test_an_image_of_the_users_is_taken(name: str) -> None:
    job = only(ROOT / f"templates/{name}.yml", image="mirror.example.com/mltrail:1", install="./w.whl")
    assert job["image"] == "mirror.example.com/mltrail:1"
    assert job["variables"]["MLTRAIL_INPUT_INSTALL"] == "./w.whl"
    assert "tags" not in job, "an empty list fails the schema of gitlab-ci-local"


def test_promotions_of_a_project_wait_for_each_other() -> None:
    assert only(ROOT / "templates/promote.yml")["resource_group"] == "mltrail-promote"


class TestImage:
    def test_all_templates_name_the_image_of_this_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert image_name.main() == 0
        assert capsys.readouterr().out == f"$CI_REGISTRY/$MLTRAIL_MIRROR/cli:{__version__}\n"

    @pytest.mark.parametrize("version", ["0.2.0", "0.1.0+build.5"])
    def test_another_version_is_refused(self, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(image_name, "__version__", version)
        assert image_name.main() == 1

    @pytest.mark.parametrize("name", ["report", "promote"])
    def test_the_mirror_is_a_variable_of_the_job_so_that_a_groups_wins(self, name: str) -> None:
        """https://docs.gitlab.com/ci/variables/#cicd-variable-precedence"""
        job = only(ROOT / f"templates/{name}.yml", mirror="group/sub/tools/mltrail-mirror")
        assert job["image"] == f"$CI_REGISTRY/$MLTRAIL_MIRROR/cli:{__version__}"
        assert job["variables"]["MLTRAIL_MIRROR"] == "group/sub/tools/mltrail-mirror"
