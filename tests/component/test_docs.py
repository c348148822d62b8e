"""The docs say what the command and the components do."""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import jsonschema
import pytest
import yaml
from scripts import cli_options

from mltrail_ci import __version__
from mltrail_ci.outputs import dotenv
from mltrail_ci.responses import Promotion
from tests.component.render import render, schema
from tests.component.snippets import EXAMPLES
from tests.places import ROOT

ADD = "docs/how-to/add-to-a-pipeline.md"
EVALUATE = "docs/how-to/evaluate-prompts-and-agents.md"
COMPONENT = re.compile(r"\$CI_SERVER_FQDN/mlops/mltrail/(?P<name>\w+)@(?P<version>\S+)")


def included(page: Path) -> Iterator[dict[str, Any]]:
    """The includes of components in a YAML file, or in the YAML blocks of a page."""
    text = page.read_text()
    blocks = [text] if page.suffix == ".yml" else re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    for block in map(yaml.safe_load, blocks):
        items = block if isinstance(block, list) else block.get("include", ())
        yield from (item for item in items if "component" in item)


@pytest.mark.parametrize("page", ["README.md", ADD, EVALUATE])
def test_each_block_is_a_configuration_that_gitlab_takes(page: str) -> None:
    blocks = re.findall(r"^ *```yaml\n(.*?)^ *```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    found = [block for block in map(yaml.safe_load, map(dedent, blocks)) if isinstance(block, dict | list)]
    assert found
    for block in found:
        if isinstance(block, dict) and "models" in block:
            continue  # a contract file
        jsonschema.Draft7Validator(schema()).validate({"include": block} if isinstance(block, list) else block)


def test_what_every_job_may_have_by_default_is_what_the_component_gives() -> None:
    """The block of the how-to that does without the component, for `default:`."""
    page = (ROOT / ADD).read_text()
    found = map(yaml.safe_load, re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE))
    (block,) = (one for one in found if isinstance(one, dict) and "default" in one)
    (job,) = render(ROOT / "templates/track.yml", {"server": "https://mltrail.example.com"}).values()
    assert block["default"] == {"id_tokens": job["id_tokens"]}
    assert block["variables"].items() <= job["variables"].items()


def test_the_reference_lists_the_options() -> None:
    assert cli_options.page() == cli_options.PAGE.read_text(), "run: python -m scripts.cli_options"


def test_a_downstream_deploy_is_triggered_with_what_was_promoted() -> None:
    """The how-to's file, rendered as GitLab does: the component's jobs beside the user's own."""
    page = (ROOT / "docs/how-to/promote.md").read_text()
    found = re.search(r"^<!-- a pipeline's file -->\n```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert found
    config = yaml.safe_load(found[1])
    (include,) = config.pop("include")
    jobs = config | render(ROOT / "templates/promote.yml", include["inputs"])
    jsonschema.Draft7Validator(schema()).validate(jobs | {"train": {"script": ["python train.py"]}})
    deploy = jobs["deploy"]
    assert set(deploy["needs"]) <= jobs.keys()
    done = [promotion(state="promoted", model="churn", version="1.1.0", alias="champion", url="https://x.example")]
    handed_on = dict(line.split("=", 1) for line in dotenv.of_promotions(done).text.splitlines())
    used = {value.removeprefix("$") for value in deploy["variables"].values()}
    assert used <= handed_on.keys()
    assert jobs["mltrail-promote"]["artifacts"]["reports"]["dotenv"]
    assert deploy["trigger"]["project"]


def promotion(**fields: str) -> Promotion:
    return Promotion(**dict.fromkeys(Promotion._fields, "") | fields)


@pytest.mark.parametrize(
    "page",
    [
        *("README.md", ADD, EVALUATE, "docs/how-to/promote.md"),
        *EXAMPLES,
    ],
)
def test_what_the_docs_include_would_be_accepted(page: str) -> None:
    includes = list(included(ROOT / page))
    assert includes
    for item in includes:
        named = COMPONENT.fullmatch(item["component"])
        assert named
        template = ROOT / f"templates/{named['name']}.yml"
        render(template, item["inputs"])
        assert named["version"] == __version__
