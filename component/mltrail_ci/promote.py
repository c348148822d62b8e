"""`mltrail promote`: make this pipeline's best candidate the next version of its model."""

import json
import os
from argparse import ArgumentParser, Namespace
from typing import Any

from . import answers, deployment, errors, release
from .answers import Promotion
from .api import Api
from .outputs import annotations, console, dotenv, files, text


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--model", help="only this model (default: every model of the pipeline)")
    parser.add_argument("--candidate", metavar="NUMBER", type=int, help="this very run, by hand (needs Maintainer)")
    parser.add_argument("--pre-release", action="store_true", help="of a merge request: X.Y.Z-rc.N, without an alias")
    parser.add_argument("--alias", help="alias that the version gets (default: the server's, champion)")
    parser.add_argument("--rank-by", metavar="METRIC", help="metric that picks the best candidate")
    parser.add_argument("--better", choices=["auto", "higher", "lower"], help="direction of that metric (default auto)")
    parser.add_argument("--bump", choices=["auto", "major", "minor", "patch"], help="size of the step (default auto)")
    parser.add_argument("--version", metavar="X.Y.Z", help="this very version, as of a Git tag; a leading v is dropped")
    parser.add_argument(
        "--dry-run",
        nargs="?",
        choices=["true", "false"],
        const="true",
        default="false",
        help="tell what would be done, and do nothing",
    )
    parser.add_argument(
        "--release",
        nargs="?",
        choices=["true", "false"],
        const="true",
        default="false",
        help="also make a Release in GitLab, with the model card, by the job's token",
    )
    parser.add_argument(
        "--deployment",
        nargs="?",
        choices=["true", "false"],
        const="true",
        default="false",
        help="also make a deployment in GitLab, in the environment model/<name>, by the job's token",
    )
    parser.add_argument("--dotenv", metavar="FILE", help="write variables for later jobs")
    parser.add_argument("--annotations", metavar="FILE", help="write links for the job's page")


def run(api: Api, options: Namespace) -> int:
    wishes = {
        "candidate": options.candidate,
        "model": options.model,
        "alias": options.alias,
        "rank_by": options.rank_by,
        "better": options.better,
        "bump": options.bump,
        "version": options.version and options.version.removeprefix("v"),
    }
    told = {key: value for key, value in wishes.items() if value not in {None, "", "auto"}}
    if options.pre_release:
        told["pre_release"] = True
    files.check(options.dotenv, options.annotations)
    answer = api.promote(told | {"dry_run": options.dry_run == "true"})
    promotions = answers.promotions(answer)
    # The server has promoted: what is to be left behind comes before the first word is printed.
    variables = dotenv.of_promotions(promotions)
    failures = files.write_all(
        [(options.dotenv, variables.text), (options.annotations, annotations.of_promotions(promotions))]
    )
    lines = []
    faces = ((options.release, release.create), (options.deployment, deployment.create))
    for wanted, create in faces:
        if wanted == "true" and options.dry_run != "true":
            for made in create(api, promotions, os.environ):
                if isinstance(made, errors.CommandError):
                    failures.append(made)
                else:
                    lines.append(made)
    _print(options, answer, promotions, lines)
    if options.dotenv:
        for left_out in variables.left_out:
            console.complain(text.clean(f"Later jobs get no {left_out}."))
    errors.together(failures)
    return errors.NO if any(one.state == "refused" for one in promotions) else errors.DONE


def _print(options: Namespace, answer: Any, promotions: list[Promotion], made: list[str]) -> None:  # noqa: ANN401 - JSON
    if options.json:
        console.tell(json.dumps(answer, indent=2))
    else:
        lines = [line for one in promotions for line in (_told(one), *_beside(one))]
        console.tell("\n".join(lines) or "Nothing to promote: this pipeline has no candidates.")
        for one in promotions:
            if options.dotenv and one.state in {"promoted", "already"}:
                console.tell(text.clean(f"Later jobs find {one.model} in {dotenv.variable('MLTRAIL_VERSION', one)}"))
    for line in map(text.clean, made):
        (console.complain if options.json else console.tell)(line)


def _told(promotion: Promotion) -> str:
    version = f"{promotion.model} {promotion.version}".strip()
    step = ": ".join(filter(None, (promotion.bump, promotion.reason)))
    step = f" ({step})" if step else ""
    replaced = f", was {promotion.replaces}" if promotion.replaces else ""
    match promotion.state:
        case "promoted" if promotion.alias:
            line = f"{version}{step} is now {promotion.alias}{replaced}"
        case "promoted":
            line = f"{version}{step} is there to try out"
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
        return f"this pipeline promoted {version} before; {promotion.alias} is now {promotion.holder}, and stays there"
    if promotion.alias:
        return f"{version} is already {promotion.alias}: this pipeline promoted it before"
    return f"{version} exists already: this pipeline promoted it before"


def _beside(promotion: Promotion) -> list[str]:
    """Tell how it compares with the version that it replaces, metric by metric."""
    found = promotion.beside
    if found is None:
        return []
    if found.why_not:
        return [text.clean(f"  not compared: {found.why_not}")]
    return [f"  compared with {text.clean(found.version)}:", *(f"    {text.clean(line)}" for line in found.lines)]
