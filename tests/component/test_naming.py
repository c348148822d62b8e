"""No two models share a variable, an environment or a tag, and GitLab and Git take each name.

https://docs.gitlab.com/ci/yaml/#environmentname
https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsdotenv
https://git-scm.com/docs/git-check-ref-format
"""

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltrail_ci import naming
from mltrail_ci.outputs import dotenv
from mltrail_ci.responses import Promotion
from tests.component.conftest import Job
from tests.component.server import a_promotion

WORDS = ("churn", "Churn", "CHURN", "url", "URL", "version", "model", "alias", "eu", "v1.0.0", "v2", "1", "ü", "模型")
JOINTS = ("", "-", "_", ".", " ", "/", "--", "__", "___", "..", "@", "\n", "\0", "$", "%", "🚀", "\u200d", "\ud800")
ODD = [left + joint + right for left, joint, right in itertools.product(WORDS, JOINTS, WORDS)] + [
    *("HEAD", "@", "@{", "-", ".", "..", "a.lock", ".hidden", "a.", "~^:?*[\\", "\x7f", " ", "\u3000"),
    *("流失模型", "欺诈模型", "🚀", "é", "e\u0301", "ß", "ss", "\u212a", "k", "\u0131", "i", "\u0130"),
    *("a" * 300, "a" * 301, "模" * 300, "a-" * 200 + "a"),
]
NAMES = st.one_of(
    st.text(min_size=1),
    st.text(alphabet="aA1-_. /@~^:?*[\\{\0\n\t$üé模🚀", min_size=1, max_size=8),
    st.lists(st.sampled_from([*WORDS, *JOINTS]), min_size=1, max_size=5).map("".join).filter(bool),
)
VERSIONS = st.one_of(
    st.sampled_from(["1.0.0", "1.0.0-rc.1", "1.0.0-v2.0.0", "1.0.0-x.lock", "2.0.0+b.lock", "1.0.0-" + "a" * 300]),
    st.from_regex(r"[0-9]\.[0-9]\.[0-9](-[0-9A-Za-z-]{1,6}(\.[0-9A-Za-z-]{1,6}){0,2})?", fullmatch=True),
)


def outside(model: str) -> dict[str, str]:
    """All names of a model, compared as the strictest reader does: a file system may ignore capitals."""
    return {
        "variable": naming.variable(model).casefold(),
        "environment": naming.environment(model).casefold(),
        "tag": naming.tag(model, "1.0.0").casefold(),
    }


def is_ref(tag: str) -> bool:
    """The rules of git-check-ref-format for `refs/tags/<tag>`, and the longest name that a file may have."""
    parts = tag.split("/")
    return not (
        re.search(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//", tag)
        or tag in {"", "@"}
        or tag.startswith(("-", "/"))
        or tag.endswith((".", "/"))
        or any(part.startswith(".") or part.endswith(".lock") for part in parts)
        or len(f"{tag}.lock".encode()) > 255
    )


def is_environment(name: str) -> bool:
    inner = r"a-zA-Z0-9_/\\${}. -"
    ends = inner.replace("/", "")
    return len(name) <= 255 and re.fullmatch(rf"[{ends}]([{inner}]*[{ends}])?", name) is not None


def test_odd_names_share_nothing() -> None:
    names = sorted(set(ODD))
    for kind in ("variable", "environment", "tag"):
        assert len({outside(name)[kind] for name in names}) == len(names)


@given(NAMES, NAMES)
def test_two_names_share_nothing(one: str, other: str) -> None:
    if one != other:
        assert not set(outside(one).items()) & set(outside(other).items())


@given(NAMES, VERSIONS)
def test_git_and_gitlab_take_each_name(name: str, version: str) -> None:
    assert is_ref(naming.tag(name, version))
    assert is_environment(naming.environment(name))
    assert re.fullmatch(r"[A-Z0-9_]{1,230}", naming.variable(name))


@given(st.lists(st.tuples(NAMES, VERSIONS), unique=True, min_size=2, max_size=6))
def test_a_tag_belongs_to_one_version_of_one_model(versions: list[tuple[str, str]]) -> None:
    assert len({naming.tag(*one) for one in versions}) == len(versions)


def test_a_version_inside_a_name_differs_from_the_version() -> None:
    assert naming.tag("a", "1.0.0-v2.0.0") != naming.tag("a-v1.0.0", "2.0.0")


def test_git_itself_takes_the_tags() -> None:
    tags = sorted({naming.tag(name, version) for name in ODD for version in ("1.0.0-x.lock",)})[::40]
    for tag in tags:
        subprocess.run(["git", "check-ref-format", f"refs/tags/{tag}"], check=True)


@pytest.mark.parametrize(
    ("model", "variable", "environment", "tag"),
    [
        ("churn", "CHURN", "model/churn", "churn-v1.0.0"),
        ("churn-eu", "CHURN_EU", "model/churn-eu", "churn-eu-v1.0.0"),
        ("churn_eu", "CHURN__EU", "model/churn_eu", "churn_eu-v1.0.0"),
        ("fraud.v2", "FRAUD_V2___", "model/fraud.v2", "fraud.v2-v1.0.0"),
        ("Churn", "CHURN___", "model/churn--", "churn--"),
        ("früh warnung", "FRUH_WARNUNG___", "model/fruh-warnung--", "fruh-warnung--"),
        ("流失模型", "MODEL___", "model/model--", "model--"),
        ("url", "MODEL_URL___", "model/url", "url-v1.0.0"),
    ],
)
def test_plain_names_stay_and_others_can_be_read(model: str, variable: str, environment: str, tag: str) -> None:
    for name, wanted in (
        (naming.variable(model), variable),
        (naming.environment(model), environment),
        (naming.tag(model, "1.0.0"), tag),
    ):
        assert name.startswith(wanted) if wanted.endswith(("___", "--")) else name == wanted


def a_model(name: str, number: int = 1) -> Promotion:
    url = f"https://mltrail.example.com/-/ml/models/{number}"
    return Promotion("promoted", name, f"1.0.{number}", "champion", "", "", "", url)


def parsed(text: str) -> Iterator[tuple[str, str]]:
    """Read a file as GitLab does: lines at line feeds, the first `=` divides, white space and NUL are cut off."""
    for line in text.removesuffix("\n").split("\n") if text else ():
        key, separator, value = line.partition("=")
        assert separator
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key)
        assert value == value.strip("\0\t\n\v\f\r ")
        yield key, value


@given(st.lists(NAMES, unique=True, min_size=1, max_size=6))
def test_each_dotenv_is_read_as_it_was_meant(names: list[str]) -> None:
    promotions = [a_model(name, number) for number, name in enumerate(names)]
    text, left_out = dotenv.of_promotions(promotions)
    lines = list(parsed(text))
    assert len(lines) == len(dict(lines)) <= 20
    assert len(text.encode()) <= 5120
    found = dict(lines)
    for one in promotions:
        assert found[dotenv.variable("MLTRAIL_VERSION", one)] == one.version
        name = found.get(dotenv.variable("MLTRAIL_MODEL", one))
        assert name == one.model if name is not None else left_out
        assert found.get(dotenv.variable("MLTRAIL_VERSION_URL", one), one.url) == one.url


def test_a_models_variables_don_t_depend_on_what_else_was_promoted() -> None:
    alone, _ = dotenv.of_promotions([a_model("churn", 1)])
    beside, _ = dotenv.of_promotions([a_model("churn", 1), a_model("fraud", 2)])
    wanted = set(parsed(beside)) & {(key, value) for key, value in parsed(beside) if "CHURN" in key}
    assert wanted <= set(parsed(alone))
    assert dict(parsed(alone))["MLTRAIL_VERSION"] == "1.0.1"


def test_promote_names_the_variables_and_what_it_had_to_leave_out(job: Job, tmp_path: Path) -> None:
    both = [a_promotion(model="churn_eu"), a_promotion(model="pay\n$ROLL")]
    job.server.lay(f"POST {job.base}/promotions", {"promotions": both})
    code, output, error = job.run("promote", "--dotenv", str(tmp_path / "env"))
    assert code == 0
    assert "Later jobs find the version of churn_eu in MLTRAIL_VERSION_CHURN__EU\n" in output
    assert re.search(
        r"Later jobs don't get MLTRAIL_MODEL_PAY_ROLL___[A-Z2-7]{16}: no variable can hold its value", error
    )
    assert "ROLL\n" not in (tmp_path / "env").read_text()


def test_the_command_that_prints_names_needs_no_server(job: Job) -> None:
    job.environment.delenv("MLFLOW_TRACKING_URI")
    code, output, _ = job.run("names", "churn_eu", "Churn", "--json")
    assert code == 0
    assert [row["variable"] for row in json.loads(output)] == [
        "MLTRAIL_VERSION_CHURN__EU",
        f"MLTRAIL_VERSION_{naming.variable('Churn')}",
    ]
    assert "model/churn_eu" in job.run("names", "churn_eu")[1]


def be_a_job_of_gitlab(job: Job) -> None:
    job.environment.setenv("CI_API_V4_URL", f"{job.server.url}/api/v4")
    job.environment.setenv("CI_JOB_TOKEN", "glcbt-1")
    job.environment.setenv("CI_COMMIT_SHA", "a" * 40)


def test_a_release_of_another_model_is_not_ours(job: Job) -> None:
    be_a_job_of_gitlab(job)
    job.environment.delenv("CI_COMMIT_TAG", raising=False)
    job.server.lay(f"POST {job.base}/promotions", {"promotions": [a_promotion()]})
    job.server.lay(f"GET {job.base}/models/churn/versions/1.1.0/card", {"markdown": "# churn"})
    job.server.lay("POST /api/v4/projects/42/releases", {"message": "Release already exists"}, status=409)
    job.server.lay("GET /api/v4/projects/42/releases/churn-v1.1.0", {"name": "Churn 1.1.0"})
    code, _, error = job.run("promote", "--release")
    assert code == 3
    assert "'Churn 1.1.0'" in error
    assert "'churn 1.1.0'" in error


def test_the_release_of_a_tag_is_of_all_models(job: Job) -> None:
    be_a_job_of_gitlab(job)
    job.environment.setenv("CI_COMMIT_TAG", "v7")
    both = [a_promotion(), a_promotion(model="fraud", url="https://mltrail.example.com/fraud")]
    job.server.lay(f"POST {job.base}/promotions", {"promotions": both})
    for model in ("churn", "fraud"):
        job.server.lay(f"GET {job.base}/models/{model}/versions/1.1.0/card", {"markdown": f"# {model}"})
    job.server.lay("POST /api/v4/projects/42/releases", {}, status=201)
    assert job.run("promote", "--release")[0] == 0
    made = job.server.asked[-1].body
    assert (made["tag_name"], made["description"]) == ("v7", "# churn\n\n# fraud")
    assert len(made["assets"]["links"]) == 2
    # Another job of the same tag finds it there, and adds what is its own.
    job.server.lay("POST /api/v4/projects/42/releases", {"message": "Release already exists"}, status=409)
    job.server.lay(
        "GET /api/v4/projects/42/releases/v7", {"name": "x", "assets": {"links": made["assets"]["links"][:1]}}
    )
    job.server.lay("POST /api/v4/projects/42/releases/v7/assets/links", {}, status=201)
    assert job.run("promote", "--release")[0] == 0
    assert [one.body["name"] for one in job.server.asked if one.path.endswith("/assets/links")] == ["fraud 1.1.0"]
