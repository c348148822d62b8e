"""What a load balancer asks."""

import shutil

from flask.testing import FlaskClient

from mltrail_server.services.context.deps import Deps


def test_alive_and_ready(client: FlaskClient) -> None:
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200


def test_alive_but_not_ready_without_a_place_for_files(client: FlaskClient, deps: Deps) -> None:
    folder = deps.settings.artifacts_path
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("a file stands where the folder should be")
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
