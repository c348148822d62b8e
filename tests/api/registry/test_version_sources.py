"""Where a version's files come from: folders of the project, or places that only clients read.

https://mlflow.org/docs/latest/api_reference/rest-api.html#create-modelversion
"""

import pytest

from tests.api.promotion.promoting import aliases, promote
from tests.api.registry.versions import uri
from tests.api.trail import SHAS, Trail
from tests.mlflow_client import INVALID, LOCAL_TOKEN, MISSING, Make, Mlflow, failure


def test_sources_are_resolved_to_folders_of_the_project(mlflow: Mlflow, make: Make, run_id: str) -> None:
    mlflow.post("experiments/create", name="other")
    second = mlflow.post("runs/create", experiment_id="1")["run"]["info"]["run_id"]
    cases = {
        f"runs:/{run_id}/model": f"0/{run_id}/artifacts/model",
        f"runs:/{run_id}": f"0/{run_id}/artifacts",
        f"runs:/{second}/a/b/": f"1/{second}/artifacts/a/b",
        f"mlflow-artifacts:/1/{second}/artifacts/my%20model": f"1/{second}/artifacts/my model",
        "models:/churn/1": f"0/{run_id}/artifacts/model",
        "models:/churn/1.0.2": f"1/{second}/artifacts/a/b",
        "models:/churn@champion": f"0/{run_id}/artifacts/model",
    }
    for source, location in cases.items():
        made = make(source=source)
        assert uri(mlflow, made["version"]) == f"mlflow-artifacts:/{location}"
        assert made["source"] == source
        assert made["run_id"] == location.split("/")[1]
        mlflow.post("registered-models/alias", name="churn", alias="champion", version="1")


def test_a_copy_has_the_files_of_the_original(mlflow: Mlflow, make: Make, run_id: str) -> None:
    make(source=f"runs:/{run_id}/model", run_id=run_id)
    mlflow.post("registered-models/create", name="copy")
    made = make("copy", source="models:/churn/1", run_id=run_id)
    assert made["run_id"] == run_id
    assert uri(mlflow, "1", "copy") == uri(mlflow, "1") == f"mlflow-artifacts:/0/{run_id}/artifacts/model"


def test_a_logged_model_is_a_source(mlflow: Mlflow, make: Make, run_id: str) -> None:
    logged = mlflow.post("logged-models", experiment_id="0", name="model", source_run_id=run_id)["model"]["info"]
    model_id = logged["model_id"]
    folder = f"mlflow-artifacts:/0/models/{model_id}/artifacts"
    for fields in (
        {"source": f"models:/{model_id}"},
        {"source": folder, "run_id": run_id, "model_id": model_id},
        {"model_id": model_id},
        {"source": f"runs:/{run_id}/model"},  # nothing of that name lies in the run itself
    ):
        made = make(**fields)
        assert (made["model_id"], made["run_id"]) == (model_id, run_id)
        assert uri(mlflow, made["version"]) == folder
    for fields in (
        {"source": "models:/m-" + "0" * 32},
        {"model_id": "m-" + "0" * 32},
    ):
        assert mlflow.error("POST", "model-versions/create", name="churn", **fields)[:2] == MISSING
    other = mlflow.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    for fields in (
        {"source": folder, "run_id": other},
        {"source": folder, "model_id": "m-" + "0" * 32},
        {"source": folder.replace("/0/", "/1/")},
        {"source": f"runs:/{other}/model", "model_id": model_id},
    ):
        assert mlflow.error("POST", "model-versions/create", name="churn", **fields)[:2] == INVALID


def test_gitlabs_calls_register_without_files(mlflow: Mlflow, make: Make, run_id: str) -> None:
    for source in ("", "1.2.3", None):
        made = make(source=source)
        run = mlflow.get("runs/get", run_id=made["run_id"])["run"]
        assert uri(mlflow, made["version"]) == run["info"]["artifact_uri"]
    made = make(source="", run_id=run_id)
    assert uri(mlflow, made["version"]) == f"mlflow-artifacts:/0/{run_id}/artifacts"


def test_a_prompt_has_a_text_and_no_files(mlflow: Mlflow) -> None:
    is_prompt = {"key": "mlflow.prompt.is_prompt", "value": "true"}
    mlflow.post("registered-models/create", name="greeting", tags=[is_prompt])
    tags = [is_prompt, {"key": "mlflow.prompt.text", "value": "Hello {{name}}"}]
    made = mlflow.post("model-versions/create", name="greeting", source="dummy-source", tags=tags)["model_version"]
    assert "run_id" not in made
    assert mlflow.error("GET", "model-versions/get-download-uri", name="greeting", version="1")[:2] == MISSING
    assert mlflow.get("model-versions/search") == {"model_versions": []}
    asked = mlflow.get("model-versions/search", filter="tag.`mlflow.prompt.is_prompt` = 'true'")
    assert [one["name"] for one in asked["model_versions"]] == ["greeting"]


@pytest.mark.parametrize(
    "source",
    [
        "model",
        "/etc",
        "./model",
        "file:///etc",
        "file:/etc/passwd",
        "http://169.254.169.254/latest",
        "https://example.com/model",
        "s3://bucket/../model",
        "s3://bucket/%2e%2e/model",
        "s3://bucket/a/./model",
        "s3://bucket/a%00b",
        "s3://bucket",
        "s3:model",
        "s3://user:secret@bucket/model",
        "s3://[bucket/model",
        "dbfs:/a/../../etc",
        "FILE:///etc",
        "javascript:alert(1)",
        "javascript://x/%0aalert(1)",
        "JavaScript:/alert(1)",
        "data:text/html,x",
        "HTTPS://example.com/model",
        "://x/y",
        "mlflow-artifacts://example.com/0/RUN/artifacts/model",
        "mlflow-artifacts:/0/RUN/artifacts/../../other",
        "mlflow-artifacts:/0/RUN/artifacts/%2e%2e/x",
        "mlflow-artifacts:/0/RUN/artifacts/%252e%252e/x",
        "mlflow-artifacts:/0/RUN/model",
        "mlflow-artifacts:/RUN",
        "mlflow-artifacts:/",
        "mlflow-artifacts:/1/RUN/artifacts/model",
        "runs:/RUN/../model",
        "runs:/RUN//model",
        "runs:/",
        "runs://RUN/model",
        "models:/churn",
        "models:/",
        "models:/churn/1/2",
        "models:/churn@nobody",
        "models:/churn/newest",
        "MLFLOW-ARTIFACTS:/0/RUN/model",
        "Mlflow-Artifacts:/1/RUN/artifacts/model",
        "RUNS:/RUN/../model",
        " Models:/churn@nobody",
    ],
)
def test_foreign_and_odd_sources_are_refused(mlflow: Mlflow, make: Make, run_id: str, source: str) -> None:
    source = source.replace("RUN", run_id)
    status, code, message = mlflow.error("POST", "model-versions/create", name="churn", source=source)
    assert (status, code) == INVALID
    assert len(message) > 20
    assert mlflow.get("model-versions/search") == {"model_versions": []}


def test_a_source_has_to_be_of_the_run_and_of_the_project(mlflow: Mlflow, make: Make, run_id: str) -> None:
    second = mlflow.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    create = ("POST", "model-versions/create")
    assert mlflow.error(*create, name="churn", source=f"runs:/{run_id}/m", run_id=second)[:2] == INVALID
    for source in (f"runs:/{'0' * 32}/m", "models:/churn/9"):
        assert mlflow.error(*create, name="churn", source=source)[:2] == MISSING
    elsewhere = f"mlflow-artifacts:/0/{'0' * 32}/artifacts"
    assert mlflow.error(*create, name="churn", source=elsewhere)[:2] == INVALID
    assert mlflow.error(*create, name="churn", run_id="0" * 32)[:2] == MISSING
    other = Mlflow(mlflow.client, project="2")
    other.post("registered-models/create", name="churn")
    for source in (f"runs:/{run_id}/m", "models:/churn/1"):
        assert other.error(*create, name="churn", source=source)[:2] == MISSING
    assert other.error(*create, name="churn", source=f"mlflow-artifacts:/0/{run_id}/artifacts")[:2] == INVALID


def test_a_deleted_runs_files_can_be_registered_as_in_mlflow(mlflow: Mlflow, make: Make, run_id: str) -> None:
    mlflow.post("runs/delete", run_id=run_id)
    assert make(source=f"runs:/{run_id}/m", run_id=run_id)["run_id"] == run_id


@pytest.mark.parametrize("scheme", ["runs", "Runs", "RUNS", " runs", "mlflow-artifacts", "MLFLOW-ARTIFACTS", "Models"])
def test_our_own_schemes_are_known_however_they_are_spelt(mlflow: Mlflow, make: Make, run_id: str, scheme: str) -> None:
    """https://www.rfc-editor.org/rfc/rfc3986#section-3.1. Clients read them as ours, so they are no place elsewhere."""
    make(source=f"runs:/{run_id}/m")
    inner = {"mlflow-artifacts": f"0/{run_id}/artifacts/m", "models": "churn/1"}
    made = make(source=f"{scheme}:/{inner.get(scheme.lower(), f'{run_id}/m')}")
    assert uri(mlflow, made["version"]) == f"mlflow-artifacts:/0/{run_id}/artifacts/m"


@pytest.mark.parametrize(
    "source",
    [
        *(f"{scheme}://user:Hunter2@host/model" for scheme in ("s3", "S3", " s3", "https", "HTTP", "ftp", "git+https")),
        *("s3://user%3AHunter2%40host/model", "//user:Hunter2@host/model"),
        "https://host/model?X-Amz-Signature=Hunter2",
        *("abfss://c@account/model?sv=1&sig=Hunter2", "s3://bucket/m?access_key=Hunter2", "file://h/m?token=Hunter2"),
    ],
)
def test_a_secret_in_a_source_is_neither_kept_nor_shown(mlflow: Mlflow, make: Make, source: str) -> None:
    status, code, message = mlflow.error("POST", "model-versions/create", name="churn", source=source)
    assert (status, code) == INVALID
    assert "Hunter2" not in message
    assert mlflow.get("model-versions/search") == {"model_versions": []}


ELSEWHERE = (
    "s3://bucket/model",
    "s3a://bucket/model/",
    "gs://bucket/my model",
    "hf://owner/model",
    "huggingface:/owner/model",
    "dbfs:/model",
    "dbfs://profile@databricks/model",
    "wasbs://container@account.blob.core.windows.net/model",
    "abfss://container@account.dfs.core.windows.net/model",
    "azureml://subscriptions/1/model",
    "hdfs://host:8020/model",
    "sftp://host/model",
    "r2://bucket@account.r2.cloudflarestorage.com/model",
    "oci://bucket@tenant/model",
    "S3://bucket/model?versionId=1#x",
    "made-up.scheme://x/y",
)


@pytest.mark.parametrize("source", ELSEWHERE)
def test_a_place_elsewhere_is_kept_as_text(mlflow: Mlflow, make: Make, run_id: str, source: str) -> None:
    """Clients read it, with credentials of their own: https://mlflow.org/docs/latest/ml/tracking/artifact-stores/."""
    made = make(source=source, run_id=run_id)
    assert (made["source"], made["run_id"]) == (source, run_id)
    assert uri(mlflow, "1") == source
    mlflow.post("registered-models/create", name="copy")
    assert make("copy", source="models:/churn/1")["source"] == "models:/churn/1"
    assert uri(mlflow, "1", "copy") == source
    asked = {"name": "churn", "version": "1", "path": "MLmodel"}
    error = failure(mlflow.call("GET", "model-versions/get-artifact", query_string=asked))
    assert error[:2] == INVALID
    assert f"lie at {source}" in error[2]
    package = mlflow.client.put(
        "/api/v4/projects/1/packages/ml_models/1/files/x",
        data=b"x",
        headers={"Authorization": f"Bearer {LOCAL_TOKEN}"},
    )
    assert package.status_code == 400
    assert make(source=source)["run_id"] not in ("", run_id), "one without a run gets one, for its metrics"
    assert uri(mlflow, "2") == source


PINNED = "s3://bucket/imported"
PIN = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("pins", "status"),
    [
        ("", 409),
        (f'promote: {{sources: {{"{PINNED}": "{PIN}"}}}}', 200),
        (f'promote: {{sources: {{"{PINNED}/other": "{PIN}"}}}}', 409),
        (f'promote: {{sources: {{"s3://bucket": "{PIN}"}}}}', 409),
    ],
)
@pytest.mark.parametrize("own_route", [True, False])
def test_a_managed_alias_goes_to_a_place_elsewhere_only_where_the_contract_pins_it(
    trail: Trail, pins: str, status: int, own_route: bool
) -> None:
    first = trail.main(SHAS["a"])
    trail.train(first, [0.8])
    promote(trail, first)
    contract = (
        "version: 1\nmodels:\n  churn: {rank_by: val_accuracy}\n"
        if not pins
        else (f"version: 1\nmodels:\n  churn:\n    {pins}\n")
    )
    second = trail.main(SHAS["b"], contract)
    trail.train(second, [0.81])
    trail.report(second)
    token = trail.team.tokens["maintainer"]
    maintainer = Mlflow(trail.client, project="42", token=token)
    maintainer.post("model-versions/create", name="churn", source=PINNED)
    if own_route:
        answer = trail.client.put(
            "/api/v4/projects/42/ml/models/churn/aliases/champion",
            headers={"Authorization": f"Bearer {token}"},
            json={"version": "2"},
        )
        assert answer.status_code == status, answer.get_data()
        message = answer.get_json().get("message", "")
    elif status == 200:
        maintainer.post("registered-models/alias", name="churn", alias="champion", version="2")
        message = ""
    else:
        message = maintainer.error("POST", "registered-models/alias", name="churn", alias="champion", version="2")[2]
    assert aliases(trail) == {"champion": "2" if status == 200 else "1"}
    assert (PINNED in message and "sources:" in message) == (status != 200)
    moves = trail.client.get(
        "/api/v4/projects/42/ml/models/churn/aliases", headers={"Authorization": f"Bearer {token}"}
    ).get_json()["moves"]
    assert (PIN in (moves[0]["reason"] or "")) == (status == 200)
