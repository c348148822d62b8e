"""Names that mean something in a URL: pages, links and calls work with them, or refuse them at once."""

import string
from itertools import product
from urllib.parse import quote, urlencode

import pytest
from flask.testing import FlaskClient

from tests.mlflow_client import LOCAL_TOKEN, Mlflow, good
from tests.ui.browsing import form_token, sign_in
from tests.ui.prompts import register
from tests.ui.walk import Walker

MARKS = [mark for mark in string.punctuation if mark not in "/:"]
NAMES = list(
    dict.fromkeys(
        [
            *(f"a{mark}b" for mark in MARKS),
            *(mark for mark in MARKS if mark != "."),
            *(
                "a.",
                ".a",
                "a..b",
                "a...",
                "%2e%2e",
                "%2F",
                "%252F",
                "%00",
                "a%",
                "%",
                "~.",
                "versions",
                "a/versions/1".replace("/", "|"),
            ),
            *(
                " a",
                "a ",
                "a  b",
                "\u00a0a",
                "a\u3000b",
                "模型",
                "модель",
                "e\u0301",
                "🚀",
                "\u202eabc",
                "a\u200db",
                "{{ 7 * 7 }}",
                "<b>a<b>",
            ),
        ]
    )
)
REFUSED = [
    ".",
    "..",
    "...",
    "..a",
    ". .".replace(" ", "."),
    "a/b",
    "a:b",
    "",
    " ",
    *(f"a{odd}b" for odd in "\n\r\t\0\x1b\x7f\x85\u2028\u2029"),
]


def test_models_of_odd_names_work_everywhere(mlflow: Mlflow, client: FlaskClient) -> None:
    """All of them in one project, so that none is taken for another."""
    for name in NAMES:
        run = mlflow.post("runs/create", experiment_id="0", run_name=name)["run"]["info"]["run_id"]
        folder = f"api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/model"
        good(mlflow.call("PUT", f"{folder}/a.txt", data=b"x"))
        assert mlflow.post("registered-models/create", name=name)["registered_model"]["name"] == name
        made = mlflow.post("model-versions/create", name=name, source=f"runs:/{run}/model", run_id=run)["model_version"]
        mlflow.post("registered-models/alias", name=name, alias="best", version=made["version"])
        assert mlflow.get("registered-models/get", name=name)["registered_model"]["name"] == name
        assert mlflow.get("registered-models/alias", name=name, alias="best")["model_version"]["run_id"] == run
        assert mlflow.get("model-versions/get-download-uri", name=name, version="1")["artifact_uri"]
    sign_in(client, LOCAL_TOKEN)
    token = form_token(client)
    walker = Walker(client, "http://localhost", follow=r"[^?]*/models/[^/?]*(/versions/[^/?]*)?|.*/models\?.*page=.*")
    walker.walk("/1/-/ml/models", "/1/-/ml/candidates/1")
    assert not walker.wrong, walker.wrong
    for name in NAMES:
        address = f"/1/-/ml/models/{quote(name, safe='')}"
        assert client.get(f"{address}/versions/1.0.0").status_code == 200
        data = {"do": "describe", "description": f"said of {name}", "csrf_token": token}
        assert client.post(address, data=data).headers["Location"] == address
        assert mlflow.get("registered-models/get", name=name)["registered_model"]["description"] == f"said of {name}"


def test_prompts_of_odd_names_work_everywhere(mlflow: Mlflow, client: FlaskClient) -> None:
    for name in NAMES:
        register(mlflow, name, "one", "two")
    sign_in(client, LOCAL_TOKEN)
    walker = Walker(client, "http://localhost", follow=r"[^?]*/prompts/[^/?]*(\?version=.)?|.*/prompts\?.*page=.*")
    walker.walk("/1/-/ml/prompts")
    assert not walker.wrong, walker.wrong
    for name in NAMES:
        shown = client.get(f"/1/-/ml/prompts/{quote(name, safe='')}?from=1&to=2").get_data(as_text=True)
        assert "<del>one</del><ins>two</ins>" in shown, name


def test_a_page_of_an_odd_name_comes_again_after_the_sign_in(mlflow: Mlflow, client: FlaskClient) -> None:
    for name in NAMES:
        mlflow.post("registered-models/create", name=name)
        address = f"/1/-/ml/models/{quote(name, safe='')}?page=a%26b"
        shown = client.get(client.get(address).headers["Location"]).get_data(as_text=True)
        assert f'name="next" value="{address}"' in shown
    assert sign_in(client, LOCAL_TOKEN, to=address).headers["Location"] == address
    assert client.get(address).status_code == 400  # a page token of nobody's making


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_no_page_can_have_is_refused(mlflow: Mlflow, name: str) -> None:
    status, code, _ = mlflow.error("POST", "registered-models/create", name=name)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    mlflow.post("registered-models/create", name="fine")
    assert mlflow.error("POST", "registered-models/rename", name="fine", new_name=name)[0] == 400


def test_experiments_tags_and_files_of_odd_names(mlflow: Mlflow, client: FlaskClient) -> None:
    files = 0
    for name in NAMES:
        experiment = mlflow.post("experiments/create", name=name)["experiment_id"]
        assert mlflow.get("experiments/get-by-name", experiment_name=name)["experiment"]["experiment_id"] == experiment
        run = mlflow.post("runs/create", experiment_id=experiment)["run"]["info"]["run_id"]
        tag = {"key": name, "value": name}
        assert mlflow.call("POST", "api/2.0/mlflow/runs/set-tag", json={"run_id": run, **tag}).status_code in (200, 400)
        path = "api/2.0/mlflow/experiments/set-experiment-tag"
        assert mlflow.call("POST", path, json={"experiment_id": experiment, **tag}).status_code in (200, 400)
        file = f"api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/{quote(name, safe='')}"
        put = mlflow.call("PUT", file, data=name.encode())
        assert put.status_code in (200, 400), put.get_data(as_text=True)
        if put.status_code == 200:
            files += 1
            assert mlflow.call("GET", file).data == name.encode()
    sign_in(client, LOCAL_TOKEN)
    walker = Walker(client, "http://localhost", follow="[^?]*/(files|browse/[^?]*|files/[^?]*)")
    walker.walk(*(f"/1/-/ml/candidates/{number + 1}" for number in range(len(NAMES))))
    assert not walker.wrong, walker.wrong
    assert len([one for one in walker.seen if "/files/" in one]) == files


@pytest.mark.parametrize("name", [*(f"a{odd}b" for odd in "\n\r\t\0\x1b\x7f"), "..", "a\\b", "a#b"])
def test_a_file_that_no_page_can_show_is_refused(mlflow: Mlflow, registered_run: str, name: str) -> None:
    path = f"api/2.0/mlflow-artifacts/artifacts/0/{registered_run}/artifacts/{quote(name, safe='')}"
    assert mlflow.call("PUT", path, data=b"x").status_code == 400


@pytest.fixture
def registered_run(mlflow: Mlflow) -> str:
    made: str = mlflow.post("runs/create", experiment_id="0", run_name="first")["run"]["info"]["run_id"]
    mlflow.post("runs/log-metric", run_id=made, key="loss", value=0.5, timestamp=1)
    mlflow.post("registered-models/create", name="churn")
    mlflow.post("model-versions/create", name="churn", source=f"runs:/{made}/model", run_id=made)
    return made


ODD = [
    *("\r\nSet-Cookie: a=b", "\0", "\x1b", "'", '"', "`", "%00", "\\", "//evil.example.com"),
    *("-1", "1e999", "NaN", "9" * 19, "9" * 400, "\u0661", " 1", "", "../..", "\xed\xa0\x80"),
    *("models/churn", "models/\n", "(" * 50, "\uffff", "metrics.loss > 1e999", "params.`a", "ts:1", "W10=", "bnVsbA=="),
]
PAGES = {
    "/-/sign-in": ["next"],
    "/-/sign-in/gitlab": ["next"],
    "/-/sign-in/callback": ["state", "code", "error"],
    "/": ["next"],
    "/1/-/ml/experiments": ["find", "order", "view", "page"],
    "/1/-/ml/experiments/0": ["filter", "order", "view", "c", "page", "k", "op", "v"],
    "/1/-/ml/experiments/0.csv": ["filter", "order", "view", "c", "page"],
    "/1/-/ml/candidates/1": ["folder", "charts", "find", "page"],
    "/1/-/ml/candidates/1/metric": ["key", "page", "axis"],
    "/1/-/ml/compare": ["run", "base", "key", "all", "of", "x", "y", "axis"],
    "/1/-/ml/curves": ["run", "key", "axis", "of", "width", "log"],
    "/1/-/ml/curves.svg": ["run", "key", "axis", "of", "width", "log"],
    "/1/-/ml/models": ["find", "page"],
    "/1/-/ml/models/churn": ["page", "run"],
    "/1/-/ml/models/churn/versions/1": ["folder", "page"],
    "/1/-/ml/merge_requests": ["page", "state", "find"],
    "/1/-/ml/settings": ["page"],
}
FORMS = {
    "/-/sign-in": ["token", "next"],
    "/-/sign-out": ["next"],
    "/1/-/ml/experiments": ["name"],
    "/1/-/ml/experiments/0": ["do", "name", "note"],
    "/1/-/ml/candidates/1": ["do", "name", "note", "key", "value"],
    "/1/-/ml/candidates/1/promote": ["do", "model"],
    "/1/-/ml/models": ["name", "description"],
    "/1/-/ml/models/churn": ["do", "name", "description", "alias", "version", "reason"],
    "/1/-/ml/models/churn/versions/1": ["do", "description", "key", "value"],
}
DEEDS = {
    "name": ("rename",),
    "note": ("describe",),
    "description": ("describe",),
    "key": ("tag", "untag"),
    "value": ("tag",),
    "alias": ("alias", "unalias", "roll-back", "roll-back:1"),
    "version": ("alias",),
    "reason": ("alias", "roll-back"),
}


@pytest.mark.parametrize("path", PAGES)
def test_no_query_breaks_a_page(client: FlaskClient, registered_run: str, path: str) -> None:
    sign_in(client, LOCAL_TOKEN)
    for name, odd in product(PAGES[path], ODD):
        for fields in ([(name, odd)], [("run", "1"), ("key", "loss"), (name, odd), (name, "2")]):
            answer = client.get(f"{path}?{urlencode(fields)}", buffered=True)
            assert answer.status_code < 500, (path, fields)
    for raw in (
        "%",
        "%ff",
        "a=%ff&%80=1",
        "=",
        "&&&",
        "a" * 3000,
        "next=%0d%0a",
        "next=/a%0d%0ab",
        "next=/%09/evil.org",
    ):
        assert client.get(f"{path}?{raw}", buffered=True).status_code < 500, raw


@pytest.mark.parametrize("path", FORMS)
def test_no_form_breaks_a_page(client: FlaskClient, registered_run: str, path: str) -> None:
    sign_in(client, LOCAL_TOKEN)
    token = form_token(client)
    for name, odd in product(FORMS[path], ODD):
        for deed in DEEDS.get(name, ("",)):
            if path == "/-/sign-out":
                sign_in(client, LOCAL_TOKEN)
                token = form_token(client)
            data = {"do": deed, "name": "x", "key": "k", "csrf_token": token, name: odd}
            answer = client.post(path, data=data)
            assert answer.status_code < 500, (path, data)


def test_no_path_breaks_a_page(client: FlaskClient, registered_run: str) -> None:
    sign_in(client, LOCAL_TOKEN)
    below_a_run = (f"candidates/1/{what}/{{}}" for what in ("files", "preview", "pictures"))
    places = ("{}", "experiments/{}", "candidates/{}", "models/{}", "models/churn/versions/{}", "runs/{}", *below_a_run)
    for where, odd in product(places, ODD):
        assert client.get(f"/1/-/ml/{where.format(quote(odd))}").status_code < 500, (where, odd)


@pytest.mark.parametrize(
    "target",
    [
        "/a\r\nb",
        "/a\nb",
        "/\t/evil.org",
        "/\n/evil.org",
        "//evil.org",
        "///evil.org",
        "/\\evil.org",
        "\\\\evil.org",
        "/\r//evil.org",
        "https://evil.org",
        "javascript:alert(1)",
        " //evil.org",
        "\x01//evil.org",
        "/a\0b",
        "/a\u2028b",
        "http:evil.org",
        "/a\x7f",
        "",
    ],
)
def test_the_way_back_is_a_path_or_the_first_page(client: FlaskClient, target: str) -> None:
    assert sign_in(client, LOCAL_TOKEN, to=target).headers["Location"] == "/"
    answer = client.get("/-/sign-in", query_string={"next": target})
    assert answer.status_code == 200
    assert 'name="next" value="/"' in answer.get_data(as_text=True)
