"""`mltrail card`: prints, or writes for a release."""

import json
from pathlib import Path

from tests.component.conftest import Job

CARD = {"model": "churn", "version": "1.5.0", "number": 7, "markdown": "# `churn` 1.5.0\n"}


def test_it_prints_the_champions_card(job: Job) -> None:
    job.server.lay(f"GET {job.base}/models/churn/versions/champion/card", CARD)
    assert job.run("card", "churn") == (0, "# `churn` 1.5.0\n", "")


def test_or_writes_it(job: Job, tmp_path: Path) -> None:
    job.server.lay(f"GET {job.base}/models/churn/versions/1.5.0/card", CARD)
    assert job.run("card", "churn", "v1.5.0", "--output", str(tmp_path / "new/card.md")) == (0, "", "")
    assert (tmp_path / "new/card.md").read_text() == CARD["markdown"]
    assert json.loads(job.run("card", "churn", "1.5.0", "--json")[1]) == CARD
