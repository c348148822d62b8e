"""`mltrail contract check`: read the contract file as the server will, and try it on a pipeline."""

import json
import os
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import mltrail_contract
from mltrail_contract import FILE_NAME, Contract, ContractError, Problem

from . import errors, responses, settings
from .api import Api
from .outputs import console, text
from .responses import Gate, Rule


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=["check"], help="what to do")
    parser.add_argument("file", nargs="?", default=FILE_NAME, metavar="FILE", help=f"the file (default {FILE_NAME})")


def run(options: Namespace) -> int:
    """Check the file without a server; with `--pipeline` the server says how it would judge that pipeline."""
    try:
        content = mltrail_contract.decoded(_content(options.file))
        contract = mltrail_contract.read(content)
    except ContractError as error:
        _print(options, {"problems": [_shown(one) for one in error.problems]}, _problems(options.file, error.problems))
        return errors.NO
    if not options.pipeline:
        _print(options, {"problems": []}, _summary(options.file, contract))
        return errors.DONE
    where = settings.read(options, os.environ)
    settings.require_token(where, "contract")
    response = Api(where).try_contract(content)
    gate, rules = responses.contract_trial(response)
    _print(options, response, _trial(where.pipeline, gate, rules))
    return errors.NO if gate.outcome == "fail" else errors.DONE


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise errors.usage(
            f"Can't read {path}: {error.strerror}. Run this at the root of the repository, or give the file's path."
        ) from error


def _print(options: Namespace, content: Any, shown: str) -> None:  # noqa: ANN401 - any JSON
    console.write(json.dumps(content, indent=2) if options.json else shown)


def _problems(path: str, problems: tuple[Problem, ...]) -> str:
    """Write them as compilers do, so that editors can jump to them."""
    lines = (f"{path}:{one.line}:{one.column}: {one.sentence}" for one in problems)
    return "\n".join(map(text.clean, lines))


def _shown(one: Problem) -> dict[str, Any]:
    return {"line": one.line, "column": one.column, "key": one.key, "message": one.message}


def _summary(path: str, contract: Contract) -> str:
    rules = sum(len(model.rules) + len(model.case_rules) for model in contract.models.values())
    return text.clean(f"{path} is valid: {_count(len(contract.models), 'model')}, {_count(rules, 'rule')}.")


def _trial(pipeline: str, gate: Gate, rules: list[tuple[str, Rule]]) -> str:
    level = {"pass": "good", "fail": "bad"}.get(gate.outcome, "unknown")
    parts = [text.coloured(text.clean(f"Pipeline {pipeline}: {gate.sentence}"), level)]
    if rules:
        head = ["rule", "model", "metric", "must", "found"]
        parts.append(
            text.table([head, *([one.outcome, of, one.metric, one.expects, one.sentence] for of, one in rules)])
        )
    return "\n\n".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
