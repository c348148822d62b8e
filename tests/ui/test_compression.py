"""Pages and their style sheets are sent compressed, and the form's token can't be guessed from a page's length."""

import gzip
import re

from flask.testing import FlaskClient

from tests.mlflow_client import LOCAL_TOKEN
from tests.ui.browsing import ML, sign_in

GZIP = {"Accept-Encoding": "gzip, deflate, br"}


def test_a_page_is_sent_compressed_to_who_takes_that(client: FlaskClient) -> None:
    sign_in(client, LOCAL_TOKEN)
    plain = client.get(f"{ML}/experiments")
    assert "Content-Encoding" not in plain.headers
    refused = client.get(f"{ML}/experiments", headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in refused.headers
    packed = client.get(f"{ML}/experiments", headers=GZIP)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert b"Experiments" in gzip.decompress(packed.data)
    assert len(packed.data) < len(plain.data) / 2
    assert int(packed.headers["Content-Length"]) == len(packed.data)


def test_style_sheets_and_scripts_are_sent_compressed(client: FlaskClient) -> None:
    packed = client.get("/-/assets/app.css", headers=GZIP)
    assert gzip.decompress(packed.data) == client.get("/-/assets/app.css").data


def test_the_apis_are_left_alone(client: FlaskClient) -> None:
    answer = client.get(
        "/api/v4/projects/1/ml/mlflow/api/2.0/mlflow/experiments/search?max_results=1000",
        headers={**GZIP, "Authorization": f"Bearer {LOCAL_TOKEN}"},
    )
    assert answer.status_code == 200
    assert "Content-Encoding" not in answer.headers


def test_a_forms_token_is_written_differently_each_time_and_stays_valid(client: FlaskClient) -> None:
    sign_in(client, LOCAL_TOKEN)
    written = [
        re.findall(r'name="csrf_token" value="([^"]+)"', client.get(f"{ML}/experiments").get_data(as_text=True))
        for _ in range(2)
    ]
    every = [token for page in written for token in page]
    assert len(set(every)) == len(every)
    for number, token in enumerate(every):
        made = client.post(f"{ML}/experiments", data={"csrf_token": token, "name": f"made-{number}"})
        assert made.status_code == 303
    for wrong in ("", "AAAA", every[0][:-4], "ü"):
        answer = client.post(f"{ML}/experiments", data={"csrf_token": wrong, "name": "never"})
        assert answer.status_code == 403, wrong
