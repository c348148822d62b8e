"""A tracking URI that was joined to a server's address with a slash at its end. Whole pipelines have one, too:
tests/component/test_whole_snippets.py.
"""

from typing import Any

import pytest
from werkzeug.test import run_wsgi_app

from mltrail_server.http.joined_paths import JoinedPaths


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("//api/v4/projects/42/ml/mlflow", "/api/v4/projects/42/ml/mlflow"),
        ("///api/v4/projects/team/churn/ml", "/api/v4/projects/team/churn/ml"),
        ("/tools/mltrail//api/v4/projects/42", "/tools/mltrail/api/v4/projects/42"),
        ("/api/v4/projects/42/artifacts/a//api/v4/b", "/api/v4/projects/42/artifacts/a//api/v4/b"),
        ("//api/v4/projects/42/artifacts/a//api/v4/b", "/api/v4/projects/42/artifacts/a//api/v4/b"),
        ("//evil.example/api/v4/x", "//evil.example/api/v4/x"),
        ("/team/churn/-/ml", "/team/churn/-/ml"),
        ("", ""),
    ],
)
def test_slashes_before_the_api_go(path: str, found: str) -> None:
    seen = []

    def inner(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(environ["PATH_INFO"])
        start_response("200 OK", [])
        return []

    run_wsgi_app(JoinedPaths(inner), {"PATH_INFO": path})
    assert seen == [found]
