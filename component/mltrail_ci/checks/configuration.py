"""What `.gitlab-ci.yml` sets by default and this job does not get."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from . import Check

_CELL = re.compile(r"(: \[.*\]| \d+/\d+)$")
"""What GitLab appends to the name of a job with `parallel`."""

_OF_THE_COMPONENT = "MLTRAIL_INPUT_INSTALL"
"""A variable of the component's own jobs, which inherit nothing from `default:`."""


def checks(variables: Mapping[str, str]) -> Iterator[Check]:
    """A job's own `id_tokens`, including those from `extends`, replace all those of `default:`."""
    config = _configuration(variables)
    tokens = _mapping(_mapping(config.get("default")).get("id_tokens"))
    missing = [name for name in tokens if name not in variables]
    job = _mapping(config.get(_CELL.sub("", variables.get("CI_JOB_NAME", ""))))
    if not tokens or not _inherits(job) or _OF_THE_COMPONENT in variables:
        return
    if missing:
        names = ", ".join(missing)
        yield Check(
            "id_tokens of default",
            ok=False,
            message=f"`default:` in .gitlab-ci.yml has {names}, which this job lacks: its own `id_tokens`, including "
            "those from `extends: .mltrail-track`, replace all those of `default:`. Repeat the missing ones in the job "
            "itself; GitLab then merges them.",
            # JSON is YAML, too.
            fix=f"id_tokens: {json.dumps({name: tokens[name] for name in missing}, ensure_ascii=False)}",
        )
    else:
        yield Check("id_tokens of default", ok=True, message=f"the job has {', '.join(tokens)}")


def _inherits(job: Mapping[str, Any]) -> bool:
    inherit = job.get("inherit")
    wanted = inherit.get("default", "true") if isinstance(inherit, dict) else "true"
    return "id_tokens" in wanted if isinstance(wanted, list) else wanted != "false"


def _configuration(variables: Mapping[str, str]) -> Mapping[str, Any]:
    """Read the project's file as it is, without its includes. Empty if it is elsewhere or can't be read."""
    folder, name = variables.get("CI_PROJECT_DIR"), variables.get("CI_CONFIG_PATH") or ".gitlab-ci.yml"
    if not folder:
        return {}
    import yaml  # noqa: PLC0415 - only here, and it is slow to load

    try:
        text = (Path(folder) / name).read_text(encoding="utf-8")
        # The base loader ignores GitLab's own tags, such as !reference, and reads the value after them.
        documents = list(yaml.load_all(text, yaml.BaseLoader))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return {}
    return _mapping(documents[-1] if documents else None)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
