"""Where a project ends in a URL."""

import pytest

from mltrail_server.http.project_paths import ProjectPaths

PATHS = ProjectPaths(
    [
        "/healthz",
        "/api/v4/projects/<project:project>/ml/mlflow/api/2.0/mlflow/runs/get",
        "/api/v4/projects/<project:project>/ml/mlflow/version",
        "/api/v4/projects/<project:project>/ml/promotions",
        "/<project:project>/-/ml/candidates/<int:iid>",
    ]
)


@pytest.mark.parametrize(
    ("path", "project"),
    [
        ("/api/v4/projects/42/ml/mlflow/api/2.0/mlflow/runs/get", "42"),
        ("/api/v4/projects/team/churn/ml/mlflow/api/2.0/mlflow/runs/get", "team/churn"),
        ("/api/v4/projects/org/ml/churn/ml/mlflow/version", "org/ml/churn"),
        ("/api/v4/projects/org/ml/mlflow/ml/mlflow/api/2.0/mlflow/runs/get", "org/ml/mlflow"),
        ("/api/v4/projects/ml/promotions/ml/promotions", "ml/promotions"),
        ("/team/sub/churn/-/ml/candidates/7", "team/sub/churn"),
    ],
)
def test_a_project_becomes_one_segment_also_where_a_group_is_called_like_a_route(path: str, project: str) -> None:
    assert PATHS.isolated(path).replace("\0", "/") == path
    assert project.replace("/", "\0") in PATHS.isolated(path).split("/")


@pytest.mark.parametrize("path", ["/healthz", "/", "/api/v4/projects/42", "/api/v4/projects//ml/promotions"])
def test_a_path_without_a_project_stays_as_it_is(path: str) -> None:
    assert PATHS.isolated(path) == path


def test_the_mark_itself_opens_no_door() -> None:
    assert "\0" not in PATHS.isolated("/api/v4/projects/team\0churn/ml/promotions")


def test_a_tracking_uri_may_end_in_a_slash() -> None:
    path = "/api/v4/projects/team/churn/ml/mlflow//api/2.0/mlflow/runs/get"
    assert PATHS.isolated(path) == PATHS.isolated(path.replace("//", "/"))
