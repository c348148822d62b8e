"""Read a contract file. Unknown keys are errors: a misspelt rule must not silently gate nothing."""

import re
from collections.abc import Collection

import yaml

from . import cases, redaction
from .model import (
    Baseline,
    BaselineKind,
    Bump,
    Contract,
    GateSettings,
    HigherOrLower,
    Imported,
    Keep,
    Model,
    Outcome,
    Promote,
    QualityCriteria,
    Rule,
    Runs,
    Then,
    Tolerance,
    TraceSettings,
    Value,
)
from .nodes import Entries, Entry, Reader, shown
from .problems import ContractError, Problem
from .text import MOST_CHARACTERS

_MOST_MODELS = 100
_MOST_RULES = 100
_MOST_RULES_TOGETHER = 1000
_VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_ALIAS = re.compile(r"[\w-]{1,255}")
_SPAN = re.compile(r"(\d{1,6})([hdw])")
_PLACE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HOUR_MS = 3_600_000
_UNITS_MS = {"h": _HOUR_MS, "d": 24 * _HOUR_MS, "w": 7 * 24 * _HOUR_MS}

TOP = ("version", "defaults", "gate", "models", "traces")
TRACES = ("redact", "keep")
GATE = ("thread", "status", "issue")
DEFAULTS = ("repeat_over", "pair_by", "if_unknown", "if_silent", "imported")
MODEL = (
    "runs",
    "paths",
    "baseline",
    "same_dataset",
    "cases",
    "rank_by",
    "rules",
    "quality_criteria",
    "prompts",
    "promote",
    "keep",
    "retired",
    *DEFAULTS,
)
IMPORTED = ("baseline", "champion")
RANK_BY = ("metric", "better")
RULE = (
    "metric",
    "better",
    "worse_by",
    "at_least",
    "at_most",
    "value",
    *(key for key in cases.RULE if key != "worse_by"),
)
PROMPT = ("alias",)
PROMOTE = ("from", "reuse_reviewed", "alias", "bump", "allow_worse", "sources", "needs_evaluation")


def read(text: str) -> Contract:
    """Read a contract. Raises `ContractError` with the line and key of every problem."""
    if len(text) > MOST_CHARACTERS:
        raise ContractError([Problem(1, 1, "", f"longer than {MOST_CHARACTERS} characters")])
    reader = Reader()
    root = _compose(text)
    top = reader.mapping(root, "", TOP)
    _version(reader, root, top.get("version"))
    defaults = _defaults(top["defaults"].mapping(DEFAULTS), Model("")) if "defaults" in top else Model("")
    gate = top.read("gate", _gate) or GateSettings()
    traces = top.read("traces", _traces) or TraceSettings()
    models: dict[str, Model] = {}
    if "models" in top:
        for name, entry in top["models"].mapping().items():
            models[name] = _model(name, entry, defaults)
        _check_size(top["models"], models.values())
    elif not reader.problems:
        reader.add_problem(root, "models", "is missing: name at least one model")
    if reader.problems:
        raise ContractError(reader.problems)
    return Contract(models, gate, traces)


def _check_size(entry: Entry, models: Collection[Model]) -> None:
    """Limit the work for each report: each model's runs are compared, and each rule is matched with each metric."""
    if len(models) > _MOST_MODELS:
        entry.add_problem(f"{len(models)} models; at most {_MOST_MODELS} are allowed")
    most = max(map(_rules_of, models), default=0)
    if most > _MOST_RULES:
        entry.add_problem(
            f"a model has {most} rules; at most {_MOST_RULES} are allowed. One glob can cover several metrics"
        )
    together = sum(map(_rules_of, models))
    if together > _MOST_RULES_TOGETHER:
        entry.add_problem(
            f"{together} rules; at most {_MOST_RULES_TOGETHER} are allowed. One glob can cover several metrics"
        )


def _rules_of(model: Model) -> int:
    return len(model.rules) + len(model.case_rules)


def _compose(text: str) -> yaml.Node:
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise ContractError([Problem(line, column, "", f"not YAML: {error.problem or error.context}")]) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ContractError([Problem(1, 1, "", f"not YAML: {str(error).splitlines()[0]}")]) from error
    if root is None:
        raise ContractError([Problem(1, 1, "", "the file is empty; begin with `version: 1`")])
    return root


class _Loader(yaml.SafeLoader):
    """Reads JSON's escapes as JSON means them: two surrogates are one character, and one alone is an error."""

    def compose_scalar_node(self, anchor: dict[str, yaml.Node]) -> yaml.ScalarNode:
        node = super().compose_scalar_node(anchor)
        try:
            node.value = node.value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            problem = "text contains half a character, in an escape such as \\ud83d; write the character itself"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None
        return node


def _version(reader: Reader, root: yaml.Node, entry: Entry | None) -> None:
    if entry is None:
        reader.add_problem(root, "version", "is missing; write `version: 1`")
    elif (text := entry.text()) not in (None, "1"):
        entry.add_problem(f"this mltrail reads version 1, not {shown(text or '')}")


def _gate(entry: Entry) -> GateSettings:
    return GateSettings(**{name: bool(value.truth()) for name, value in entry.mapping(GATE).items()})


def _traces(entry: Entry) -> TraceSettings:
    found = entry.mapping(TRACES)
    patterns = found.each("redact", _pattern)
    if len(patterns) > redaction.MOST_PATTERNS:
        found["redact"].add_problem(f"{len(patterns)} patterns; at most {redaction.MOST_PATTERNS} are allowed")
    return TraceSettings(patterns, found.read("keep", _span_ms))


def _pattern(entry: Entry) -> str | None:
    text = entry.text()
    if text is not None and (problem := redaction.problem_of(text)):
        entry.add_problem(problem)
    return text


def _defaults(found: Entries, given: Model) -> Model:
    """Read the keys that `defaults` and every model can have."""
    repeat, pair, unknown = given.repeat_over, given.pair_by, given.if_unknown
    if "repeat_over" in found:
        repeat = frozenset(found["repeat_over"].each(Entry.text))
    if "pair_by" in found:
        pair = found["pair_by"].each(Entry.text)
    if "if_unknown" in found:
        unknown = found["if_unknown"].choice(Outcome) or unknown
    silent, silent_is_set = given.if_silent, given.if_silent_is_set
    if "if_silent" in found:
        silent, silent_is_set = found["if_silent"].choice(Outcome) or silent, True
    imported = _imported(found["imported"], given.imported) if "imported" in found else given.imported
    return Model(
        given.name,
        repeat_over=repeat,
        pair_by=pair,
        if_unknown=unknown,
        if_silent=silent,
        if_silent_is_set=silent_is_set,
        imported=imported,
    )


def _imported(entry: Entry, given: Imported) -> Imported:
    found = entry.mapping(IMPORTED)
    baseline, champion = found.truth("baseline"), found.truth("champion")
    return Imported(given.baseline if baseline is None else baseline, given.champion if champion is None else champion)


def _model(name: str, entry: Entry, defaults: Model) -> Model:
    found = entry.mapping(MODEL)
    own = _defaults(found, defaults)
    rank_by, rank_better = found.read("rank_by", _rank_by) or (None, None)
    known = cases.sources(found.get("cases"))
    rules = found.each("rules", lambda rule: _rule(rule, known))
    criteria = found.choice("quality_criteria", QualityCriteria)
    return Model(
        name,
        runs=found.read("runs", _runs) or Runs(),
        paths=found.each("paths", Entry.text),
        baseline=found.read("baseline", _baseline) or Baseline(),
        same_dataset=found.text("same_dataset"),
        rank_by=rank_by,
        rank_better=rank_better,
        rules=tuple(rule for rule in rules if rule.cases is None),
        cases=known.tables,
        evaluations=known.evaluations,
        case_rules=tuple(rule for rule in rules if rule.cases is not None),
        quality_criteria=criteria or QualityCriteria.IGNORE,
        prompts=found.read("prompts", _prompts) or {},
        promote=found.read("promote", lambda promote: _promote(promote, known)),
        keep=found.read("keep", _keep) or Keep(),
        repeat_over=own.repeat_over,
        pair_by=own.pair_by,
        if_unknown=own.if_unknown,
        if_silent=own.if_silent,
        if_silent_is_set=own.if_silent_is_set,
        imported=own.imported,
        retired=bool(found.truth("retired")),
    )


def _rank_by(entry: Entry) -> tuple[str | None, HigherOrLower | None]:
    """Read a metric's name, or a mapping that also says which values are better."""
    if not entry.is_mapping:
        return entry.text(), None
    found = entry.mapping(RANK_BY)
    if "metric" not in found:
        entry.add_problem("metric is missing: which metric ranks the candidates?")
    return found.text("metric"), found.choice("better", HigherOrLower)


def _runs(entry: Entry) -> Runs:
    found = entry.mapping(("experiment", "tags"))
    tags = {}
    if "tags" in found:
        for key, value in found["tags"].mapping().items():
            tags[key] = value.text() or ""
    return Runs(found.text("experiment"), tags)


def _baseline(entry: Entry) -> Baseline:
    text = entry.text()
    if text in (None, BaselineKind.TARGET):
        return Baseline()
    kind, colon, version = text.partition(":")
    if colon and kind == BaselineKind.VERSION and _VERSION.fullmatch(version):
        return Baseline(BaselineKind.VERSION, version)
    if not colon and _ALIAS.fullmatch(text):
        return Baseline(BaselineKind.ALIAS, text)
    entry.add_problem(f"expected target, an alias such as champion, or version:1.4.0, found {shown(text)}")
    return Baseline()


def _rule(entry: Entry, known: cases.Sources) -> Rule | None:
    before = len(entry.reader.problems)
    found = entry.mapping(RULE)
    worse_by = found.read("worse_by", _tolerance)
    if cases.is_about_cases(found):
        return cases.rule(entry, found, known, worse_by)
    metric = found.text("metric")
    rule = Rule(
        metric or "",
        better=found.choice("better", HigherOrLower),
        worse_by=worse_by,
        at_least=found.number("at_least"),
        at_most=found.number("at_most"),
        value=found.choice("value", Value) or Value.LAST,
        then=found.choice("then", Then) or Then.FAIL,
        target=found.text("target"),
        line=entry.line,
    )
    if len(entry.reader.problems) == before:
        _check(entry, rule)
    return rule


def _check(entry: Entry, rule: Rule) -> None:
    if not rule.metric:
        entry.add_problem("metric is missing: which metric, or glob for metrics, does the rule apply to?")
    if rule.worse_by is None and rule.at_least is None and rule.at_most is None:
        entry.add_problem("the rule has no bound: add worse_by, at_least or at_most")
    if rule.better is None and (rule.worse_by is not None or rule.value is Value.BEST):
        entry.add_problem("better is missing: are higher or lower values of this metric better?")
    if rule.at_least is not None and rule.at_most is not None and rule.at_least > rule.at_most:
        entry.add_problem(f"no value can be at least {rule.at_least:g} and at most {rule.at_most:g}")


def _tolerance(entry: Entry) -> Tolerance | None:
    if not entry.is_mapping:
        amount = entry.number(least=0)
        return None if amount is None else Tolerance(amount)
    found = entry.mapping(("percent",))
    amount = found.number("percent", least=0)
    if not found:
        entry.add_problem("expected a number, or {percent: 10}")
    return None if amount is None else Tolerance(amount, percent=True)


def _prompts(entry: Entry) -> dict[str, str]:
    """Read which alias of each prompt only promotions move."""
    managed = {}
    for name, prompt in entry.mapping().items():
        found = prompt.mapping(PROMPT)
        if "alias" not in found:
            prompt.add_problem("alias is missing: which alias of the prompt do promotions move?")
        elif (alias := _alias(found["alias"])) is not None:
            managed[name] = alias
    return managed


def _alias(entry: Entry) -> str | None:
    alias = entry.text()
    if alias is not None and not _ALIAS.fullmatch(alias):
        entry.add_problem(f"an alias consists of letters, digits, - and _, found {shown(alias)}")
    return alias


def _promote(entry: Entry, known: cases.Sources) -> Promote:
    found = entry.mapping(PROMOTE)
    given = Promote()
    alias = found.read("alias", _alias)
    needed = found.text("needs_evaluation")
    if needed is not None and needed not in known.evaluations:
        found["needs_evaluation"].add_problem(
            f"the model has no evaluation {shown(needed)}; describe it under `cases:`"
        )
    return Promote(
        origins=found.each("from", Entry.text, given.origins),
        reuse_reviewed=bool(found["reuse_reviewed"].truth()) if "reuse_reviewed" in found else given.reuse_reviewed,
        alias=alias or given.alias,
        bump=found.choice("bump", Bump) or given.bump,
        allow_worse=found.each("allow_worse", Entry.text, given.allow_worse),
        sources=_sources(found["sources"]) if "sources" in found else given.sources,
        needs_evaluation=needed,
    )


def _sources(entry: Entry) -> dict[str, str]:
    """Read the digests of the files at places such as `s3://bucket/model`."""
    pins = {}
    for uri, value in entry.mapping().items():
        digest = value.text() or ""
        if not _PLACE.match(uri):
            value.add_problem(f"expected a place such as s3://bucket/model, found {shown(uri)}")
        if not _DIGEST.fullmatch(digest):
            value.add_problem(f"expected sha256: and 64 hexadecimal digits, found {shown(digest)}")
        pins[uri] = digest
    return pins


def _keep(entry: Entry) -> Keep:
    found = entry.mapping(("losers",))
    return Keep(found.read("losers", _span_ms))


def _span_ms(entry: Entry) -> int | None:
    text = entry.text()
    match = _SPAN.fullmatch(text or "")
    if match is not None:
        return int(match[1]) * _UNITS_MS[match[2]]
    if text is not None:
        entry.add_problem(f"expected a time such as 12h, 30d or 8w, found {shown(text)}")
    return None
