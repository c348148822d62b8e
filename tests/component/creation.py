"""How GitLab makes a pipeline from a `.gitlab-ci.yml`: its jobs, whether there is one at all, and what it refuses.

gitlab-ci-local lets much of this pass. https://docs.gitlab.com/ci/yaml/, and GitLab's own code where that says more:
`lib/gitlab/ci/config/entry/processable.rb` (default refs), `lib/gitlab/ci/pipeline/seed/build.rb` (needs),
`lib/gitlab/ci/pipeline/chain/populate.rb` (a pipeline of `.pre` and `.post` alone).
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from .expressions import ExpressionError, holds
from .render import RenderError, render

TEMPLATES = Path(__file__).parents[2] / "templates"
EDGES = (".pre", ".post")
_STAGES = ["build", "test", "deploy"]
_GLOBAL = {"default", "include", "stages", "variables", "workflow", "image", "services", "cache", "before_script"} | {
    "after_script",
    "spec",
}
_DEFAULT = {"after_script", "artifacts", "before_script", "cache", "hooks", "id_tokens", "identity", "image"} | {
    *("interruptible", "retry", "services", "tags", "timeout"),
}
_REFS = {"merge_request_event": "merge_requests", "web": "web", "api": "api", "external": "external", "push": "pushes"}
_DEEPEST = 11
_MOST_NEEDS = 50
_COMPONENT = re.compile(r"\$CI_SERVER_FQDN/(?:mlops/mltrail|\S+/mltrail-mirror)/(\w+)@\S+")

# What templates of GitLab say that bears on which pipelines there are.
GITLABS_TEMPLATES: dict[str, Any] = {
    "Workflows/MergeRequest-Pipelines.gitlab-ci.yml": {
        "workflow": {
            "rules": [
                {"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'},
                {"if": "$CI_COMMIT_TAG"},
                {"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"},
            ]
        }
    },
    "Workflows/Branch-Pipelines.gitlab-ci.yml": {
        "workflow": {"rules": [{"if": "$CI_COMMIT_TAG"}, {"if": "$CI_COMMIT_BRANCH"}]}
    },
    "Auto-DevOps.gitlab-ci.yml": {
        "stages": ["build", "test", "deploy", "review", "dast", "staging", "canary", "production", "cleanup"],
        "workflow": {"rules": [{"if": '$BUILDPACK_URL || $AUTO_DEVOPS_EXPLICITLY_ENABLED == "1"'}]},
        "build": {"stage": "build", "script": ["build"], "rules": [{"if": "$CI_COMMIT_TAG || $CI_COMMIT_BRANCH"}]},
    },
}


class RefusedError(Exception):
    """GitLab makes a failed pipeline without jobs and shows this sentence."""


@dataclass(frozen=True)
class Made:
    """A job of a pipeline; `config` has what it inherits."""

    name: str
    stage: str
    when: str
    allow_failure: bool
    needs: tuple[str, ...] | None
    variables: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)


class Reference(list[Any]):
    """`!reference [job, key]`."""


class _Loader(yaml.SafeLoader):
    pass


_Loader.add_constructor("!reference", lambda loader, node: Reference(loader.construct_sequence(node)))


def read(text: str, files: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The whole configuration: includes, `extends` and references resolved. `files` are those of `include: local`.

    Raises `RefusedError`.
    """
    return resolve(yaml.load(text, _Loader) or {}, files)


def resolve(config: dict[str, Any], files: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The same of what has been read."""
    config = _included(config, files or {})
    extended = {name: _extended(config, name, ()) for name in config}
    return {name: _resolved(extended, value, 0) for name, value in extended.items()}


def pipeline(config: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, Made] | None:
    """The jobs by name, or None where GitLab makes no pipeline, without an error. Raises `RefusedError`.

    `variables` are those that GitLab sets for this kind of pipeline.
    """
    stages = [EDGES[0], *config.get("stages", _STAGES), EDGES[1]]
    jobs = {name: _inherited(config, job) for name, job in _jobs(config)}
    for name, job in jobs.items():
        _check(name, job, jobs, stages)
    known = {**_plain(config.get("variables", {})), **variables}
    workflow = config.get("workflow", {}).get("rules")
    if workflow is not None and (_first(workflow, known, "workflow") or {"when": "never"}).get("when") == "never":
        return None
    made = {}
    for name, job in jobs.items():
        one = _made(name, job, known, has_workflow_rules=workflow is not None)
        if one is not None:
            made[name] = one
    if all(one.stage in EDGES for one in made.values()):
        return None
    for one in made.values():
        for need in _needs(one.config.get("needs") or []):
            if need["job"] not in made and not need["optional"]:
                raise RefusedError(
                    f"'{one.name}' job needs '{need['job']}' job, but '{need['job']}' does not exist in the pipeline"
                )
    return made


def _included(config: dict[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    items = config.get("include", [])
    base: dict[str, Any] = {}
    for item in items if isinstance(items, list) else [items]:
        base = merged(base, _one_include(item, files))
    return merged(base, {key: value for key, value in config.items() if key != "include"})


def _one_include(item: Any, files: Mapping[str, str]) -> dict[str, Any]:
    if not isinstance(item, dict):
        item = {"local": item}
    inputs = item.get("inputs", {})
    try:
        if named := _COMPONENT.fullmatch(item.get("component", "")):
            return _rendered(named[1], json.dumps(inputs))
        if item.get("project") == "mlops/mltrail":
            return _rendered(Path(item["file"]).stem, json.dumps(inputs))
    except RenderError as error:
        raise RefusedError(str(error)) from error
    if "template" in item:
        template: dict[str, Any] = GITLABS_TEMPLATES[item["template"]]
        return template
    if "local" in item:
        return _included(yaml.load(files[item["local"]], _Loader), files)
    raise RefusedError(f"{item} can't be included")


@cache
def _rendered(name: str, inputs: str) -> dict[str, Any]:
    return render(TEMPLATES / f"{name}.yml", json.loads(inputs))


def merged(under: Any, over: Any) -> Any:
    """Hashes merge key by key; everything else is replaced."""
    if not (isinstance(under, dict) and isinstance(over, dict)):
        return over
    return under | {key: merged(under[key], value) if key in under else value for key, value in over.items()}


def _extended(config: Mapping[str, Any], name: str, above: tuple[str, ...]) -> Any:
    job = config[name]
    if not isinstance(job, dict) or "extends" not in job:
        return job
    if name in above:
        raise RefusedError(f"{name}: circular dependency detected in `extends`")
    if len(above) >= _DEEPEST:
        raise RefusedError(f"{name}: nesting too deep in `extends`")
    parents = job["extends"] if isinstance(job["extends"], list) else [job["extends"]]
    if unknown := [parent for parent in parents if parent not in config]:
        raise RefusedError(f"{name}: unknown keys in `extends` ({', '.join(unknown)})")
    base: dict[str, Any] = {}
    for parent in parents:
        base = merged(base, _extended(config, parent, (*above, name)))
    return merged(base, {key: value for key, value in job.items() if key != "extends"})


def _resolved(config: Mapping[str, Any], value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        raise RefusedError("!reference is nested too deeply")
    if isinstance(value, Reference):
        found: Any = config
        for key in value:
            if not isinstance(found, dict) or key not in found:
                raise RefusedError(f"!reference {list(value)} could not be found")
            found = found[key]
        return _resolved(config, found, depth + 1)
    if isinstance(value, dict):
        return {key: _resolved(config, one, depth) for key, one in value.items()}
    if isinstance(value, list):
        flat: list[Any] = []
        for one in value:
            found = _resolved(config, one, depth)
            flat.extend(found if isinstance(one, Reference) and isinstance(found, list) else [found])
        return flat
    return value


def _jobs(config: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in config.items():
        if name not in _GLOBAL and not str(name).startswith("."):
            yield str(name), job


def _inherited(config: Mapping[str, Any], job: Mapping[str, Any]) -> dict[str, Any]:
    """A job's own keyword replaces that of `default:` as a whole, hashes too."""
    given = config.get("default", {})
    if unknown := given.keys() - _DEFAULT:
        raise RefusedError(f"default config contains unknown keys: {', '.join(sorted(unknown))}")
    wanted = (job.get("inherit") or {}).get("default", True)
    names = given.keys() if wanted is True else set(wanted or ()) & given.keys()
    return {name: given[name] for name in names} | {key: one for key, one in job.items() if one is not None}


def _check(name: str, job: Mapping[str, Any], jobs: Mapping[str, Mapping[str, Any]], stages: list[str]) -> None:
    if not job.keys() & {"script", "trigger", "run"}:
        raise RefusedError(f"jobs:{name} config should implement the script:, run:, or trigger: keyword")
    if "rules" in job and (clash := job.keys() & {"only", "except", "start_in"}):
        raise RefusedError(f"jobs:{name} config key may not be used with `rules`: {', '.join(sorted(clash))}")
    stage = _stage(job)
    if stage not in stages:
        raise RefusedError(f"{name} job: chosen stage {stage} does not exist; available stages are {', '.join(stages)}")
    needs = [*(job.get("needs") or []), *(one for rule in _listed(job.get("rules")) for one in rule.get("needs", []))]
    if len(needs) > _MOST_NEEDS:
        raise RefusedError(f"{name} job: one job can only need {_MOST_NEEDS} others")
    for need in _needs(needs):
        if need["job"] not in jobs:
            if not need["optional"]:
                raise RefusedError(f"{name} job: undefined need: {need['job']}")
        elif stages.index(_stage(jobs[need["job"]])) > stages.index(stage):
            raise RefusedError(f"{name} job: need {need['job']} is not defined in current or prior stages")


def _stage(job: Mapping[str, Any]) -> str:
    return str(job.get("stage", "test"))


def _needs(needs: list[Any]) -> Iterator[dict[str, Any]]:
    for need in needs:
        entry = {"job": need} if isinstance(need, str) else need
        if "job" in entry and not entry.keys() & {"pipeline", "project"}:
            yield {"job": entry["job"], "optional": entry.get("optional", False)}


def _listed(rules: Any) -> list[dict[str, Any]]:
    """`rules` may hold lists, by references."""
    return [one for rule in rules or [] for one in (_listed(rule) if isinstance(rule, list) else [rule])]


def _made(name: str, job: dict[str, Any], variables: Mapping[str, str], *, has_workflow_rules: bool) -> Made | None:
    when, allow = job.get("when", "on_success"), job.get("allow_failure")
    own = _plain(job.get("variables", {}))
    if "rules" in job:
        rule = _first(_listed(job["rules"]), variables, name)
        if rule is None:
            return None
        when, allow = rule.get("when", when), rule.get("allow_failure", allow)
        own |= _plain(rule.get("variables", {}))
        if "needs" in rule:
            job = job | {"needs": rule["needs"]}
    else:
        only = job.get("only") or (None if has_workflow_rules else ["branches", "tags"])
        if only is not None and not _any_ref(only, variables, name):
            return None
        if "except" in job and _any_ref(job["except"], variables, name):
            return None
    if when == "never":
        return None
    if allow is None:
        allow = when == "manual" and "rules" not in job
    needs = tuple(one["job"] for one in _needs(job["needs"])) if "needs" in job else None
    return Made(name, _stage(job), when, bool(allow), needs, own, job)


def _first(rules: list[dict[str, Any]], variables: Mapping[str, str], where: str) -> dict[str, Any] | None:
    for rule in rules:
        if unknown := rule.keys() - {"if", "when", "allow_failure", "variables", "needs", "auto_cancel"}:
            raise NotImplementedError(f"{where}: rules:{unknown} is not known here")
        try:
            if "if" not in rule or holds(rule["if"], variables):
                return rule
        except ExpressionError as error:
            raise RefusedError(f"{where}: rules:rule if {error}") from error
    return None


def _any_ref(policy: Any, variables: Mapping[str, str], where: str) -> bool:
    """`only` and `except`: all kinds of conditions of `only` have to hold."""
    conditions = policy if isinstance(policy, dict) else {"refs": policy}
    if unknown := conditions.keys() - {"refs", "variables"}:
        raise NotImplementedError(f"{where}: only:{unknown} is not known here")
    refs = conditions.get("refs")
    refs = [refs] if isinstance(refs, str) else refs
    fits = refs is None or any(_is_ref(str(one), variables) for one in refs)
    return fits and ("variables" not in conditions or any(holds(one, variables) for one in conditions["variables"]))


def _is_ref(pattern: str, variables: Mapping[str, str]) -> bool:
    branch, tag = variables.get("CI_COMMIT_BRANCH"), variables.get("CI_COMMIT_TAG")
    source = variables["CI_PIPELINE_SOURCE"]
    if (tag and pattern == "tags") or (branch and pattern == "branches"):
        return True
    if pattern == _REFS.get(source, f"{source}s"):
        return True
    if found := re.fullmatch(r"/(.*)/", pattern):
        return re.search(found[1], branch or tag or "") is not None
    # Names of refs do not match in pipelines of merge requests.
    return pattern == (branch or tag)


def _plain(variables: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(one["value"] if isinstance(one, dict) else one) for key, one in variables.items()}
