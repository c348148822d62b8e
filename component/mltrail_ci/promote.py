"""`mltrail promote`: make this pipeline's best candidate the next version of its model."""

import json
import os
from argparse import ArgumentParser, Namespace
from typing import Any

from . import deployment, errors, release, responses
from .api import Api
from .outputs import annotations, console, dotenv, files, text
from .responses import Promotion


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--model", help="only this model (default: every model of the pipeline)")
    parser.add_argument(
        "--candidate", metavar="NUMBER", type=int, help="exactly this run, by hand (requires Maintainer)"
    )
    parser.add_argument("--pre-release", action="store_true", help="in a merge request: X.Y.Z-rc.N, without an alias")
    parser.add_argument("--alias", help="alias that the version gets (default: the contract file's, or champion)")
    parser.add_argument("--rank-by", metavar="METRIC", help="metric that picks the best candidate")
    parser.add_argument("--better", choices=["auto", "higher", "lower"], help="direction of that metric (default auto)")
    parser.add_argument("--bump", choices=["auto", "major", "minor", "patch"], help="size of the step (default auto)")
    parser.add_argument(
        "--version", metavar="X.Y.Z", help="exactly this version, for example a Git tag's; a leading v is removed"
    )
    parser.add_argument(
        "--dry-run",
        nargs="?",
        choices=["true", "false"],
        const="true",
        default="false",
        help="show what would be done, and do nothing",
    )
    parser.add_argument(
        "--release",
        nargs="?",
        choices=["true", "false"],
        const="true",
        default="false",
        help="also create a Release in GitLab, with the model card, using the job's token",
    )
    parser.add_argument(
        "--deployment",
        nargs="?",
        choices=["true", "false"],
        const="true",
        default="false",
        help="also create a deployment in GitLab, in the environment model/<name>, using the job's token",
    )
    parser.add_argument("--dotenv", metavar="FILE", help="write variables for later jobs")
    parser.add_argument("--annotations", metavar="FILE", help="write links for the job's page")


def run(api: Api, options: Namespace) -> int:
    wanted = {
        "candidate": options.candidate,
        "model": options.model,
        "alias": options.alias,
        "rank_by": options.rank_by,
        "better": options.better,
        "bump": options.bump,
        "version": options.version and options.version.removeprefix("v"),
    }
    given = {key: value for key, value in wanted.items() if value not in {None, "", "auto"}}
    if options.pre_release:
        given["pre_release"] = True
    files.check(options.dotenv, options.annotations)
    response = api.promote(given | {"dry_run": options.dry_run == "true"})
    promotions = responses.promotions(response)
    # The server has promoted: files, Release and deployment are made before anything is printed.
    variables = dotenv.of_promotions(promotions)
    failures = files.write_all(
        [(options.dotenv, variables.text), (options.annotations, annotations.of_promotions(promotions))]
    )
    lines = []
    creators = ((options.release, release.create), (options.deployment, deployment.create))
    for asked, create in creators:
        if asked == "true" and options.dry_run != "true":
            for made in create(api, promotions, os.environ):
                if isinstance(made, errors.CommandError):
                    failures.append(made)
                else:
                    lines.append(made)
    _print(options, response, promotions, lines)
    if options.dotenv:
        for left_out in variables.left_out:
            console.log(text.clean(f"Later jobs don't get {left_out}."))
    errors.together(failures)
    return errors.NO if any(one.state == "refused" for one in promotions) else errors.DONE


def _print(options: Namespace, content: Any, promotions: list[Promotion], made: list[str]) -> None:  # noqa: ANN401 - JSON
    if options.json:
        console.write(json.dumps(content, indent=2))
    else:
        lines = [line for one in promotions for line in (_sentence(one), *_comparison(one), *_prompts(one))]
        console.write("\n".join(lines) or "Nothing to promote: this pipeline has no candidates.")
        for one in promotions:
            if options.dotenv and one.state in {"promoted", "already"}:
                console.write(
                    text.clean(
                        f"Later jobs find the version of {one.model} in {dotenv.variable('MLTRAIL_VERSION', one)}"
                    )
                )
    for line in map(text.clean, made):
        (console.log if options.json else console.write)(line)


def _sentence(promotion: Promotion) -> str:
    version = f"{promotion.model} {promotion.version}".strip()
    step = ": ".join(filter(None, (promotion.bump, promotion.reason)))
    step = f" ({step})" if step else ""
    replaced = f", was {promotion.replaces}" if promotion.replaces else ""
    match promotion.state:
        case "promoted" if promotion.alias:
            line = f"{version}{step} is now {promotion.alias}{replaced}"
        case "promoted":
            line = f"{version}{step} is now there to try out"
        case "dry_run":
            line = f"{version}{step} would become {promotion.alias or 'a version to try out'}{replaced}"
        case "already":
            line = _already(promotion, version)
        case state:
            what = "refused" if state == "refused" else "not promoted"
            line = f"{promotion.model or 'nothing'}: {what}: {promotion.reason or 'no reason given'}"
    return text.clean(f"{line}  {promotion.url}".rstrip())


def _already(promotion: Promotion, version: str) -> str:
    if promotion.is_overtaken:
        return f"this pipeline has promoted {version} before; {promotion.alias} stays at {promotion.holder}"
    if promotion.alias:
        return f"{version} is already {promotion.alias}: this pipeline has promoted it before"
    return f"{version} already exists: this pipeline has promoted it before"


def _prompts(promotion: Promotion) -> list[str]:
    """Say which aliases of prompts move with it."""
    moves = "would be" if promotion.state == "dry_run" else "is now"
    return [
        text.clean(f"  {one.alias} of the prompt {one.name} {moves} version {one.version}" + _was(one.replaces))
        for one in promotion.prompts
        if one.version != one.replaces
    ]


def _was(version: str) -> str:
    return f", was {version}" if version else ""


def _comparison(promotion: Promotion) -> list[str]:
    """Describe how it compares with the version that it replaces, metric by metric."""
    found = promotion.comparison
    if found is None:
        return []
    if found.why_not:
        return [text.clean(f"  not compared: {found.why_not}")]
    which = f"{found.version} ({found.imported})" if found.imported else found.version
    return [f"  compared with {text.clean(which)}:", *(f"    {text.clean(line)}" for line in found.lines)]
