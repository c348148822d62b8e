"""Read which tables of cases a model logs and which evaluations it has, and the rules about them."""

from collections.abc import Mapping
from typing import NamedTuple

from .model import (
    OF_CHANCES,
    OF_CLASSES,
    OF_NUMBERS,
    CaseTable,
    Evaluation,
    HigherOrLower,
    Measure,
    Rule,
    Then,
    Tolerance,
)
from .nodes import Entries, Entry, shown

TABLE = ("table", "id", "label", "prediction", "score", "threshold", "better", "positive", "cluster", "measure")
EVALUATION = ("evaluation", "scorers", "pass_at", "better")
FORMATS = (".json", ".jsonl", ".csv", ".parquet")
OF_EVALUATIONS = ("scorer", "pass_rate_at_least", "must_pass")
BOUNDS = ("broke_at_most", "worse_by", "pass_rate_at_least", "must_pass")
RULE = ("cases", "scorer", "broke_at_most", "worse_by", "pass_rate_at_least", "must_pass", "then", "target")
_OF_METRICS = ("metric", "better", "at_least", "at_most", "value")
_MOST_TABLES = 20
_LONGEST_PATH = 500


class Sources(NamedTuple):
    """Where a model's cases come from, by the name that its rules use."""

    tables: Mapping[str, CaseTable]
    evaluations: Mapping[str, Evaluation]


def sources(entry: Entry | None) -> Sources:
    """Read a model's tables of cases and its evaluations."""
    tables: dict[str, CaseTable] = {}
    evaluations: dict[str, Evaluation] = {}
    found = entry.mapping() if entry is not None else {}
    for name, one in found.items():
        if one.has("evaluation"):
            evaluations[name] = _evaluation(name, one)
        elif (made := _table(name, one)) is not None:
            tables[name] = made
    if entry is not None and len(found) > _MOST_TABLES:
        entry.add_problem(f"{len(found)} tables of cases; at most {_MOST_TABLES} are allowed")
    return Sources(tables, evaluations)


def _evaluation(name: str, entry: Entry) -> Evaluation:
    found = entry.mapping(EVALUATION)
    pass_at, better = (found[key].mapping() if key in found else {} for key in ("pass_at", "better"))
    bars = {scorer: bar for scorer, one in pass_at.items() if (bar := one.number()) is not None}
    ways = {scorer: way for scorer, one in better.items() if (way := one.choice(HigherOrLower)) is not None}
    return Evaluation(
        name,
        found.text("evaluation") or "",
        scorers=found.each("scorers", Entry.text, ("*",)),
        pass_at=bars,
        better=ways,
        line=entry.line,
    )


def is_about_cases(found: Entries) -> bool:
    """Whether a rule's keys are those of a rule about cases."""
    return any(key in found for key in ("cases", "broke_at_most", *OF_EVALUATIONS))


def rule(entry: Entry, found: Entries, known: Sources, worse_by: Tolerance | None) -> Rule:
    """Read a rule about cases. `known` are what the model has; `worse_by` has been read."""
    for key in (key for key in _OF_METRICS if key in found):
        found[key].add_problem("a rule is about a metric or about cases; make two rules of it")
    if not any(bound in found for bound in BOUNDS):
        entry.add_problem("the rule has no bound: add broke_at_most or worse_by")
    made = Rule(
        "",
        worse_by=worse_by,
        then=found.choice("then", Then) or Then.FAIL,
        target=found.text("target"),
        line=entry.line,
        cases=_named(entry, found, known),
        broke_at_most=found.read("broke_at_most", _most),
        scorer=found.text("scorer"),
        pass_rate_at_least=found.read("pass_rate_at_least", _rate),
        must_pass=found.each("must_pass", Entry.text),
    )
    if "must_pass" in found and not found["must_pass"].reader.problems and not made.must_pass:
        found["must_pass"].add_problem("is empty: name the cases that must pass, or leave it out")
    return made


def _named(entry: Entry, found: Entries, known: Sources) -> str | None:
    if "cases" not in found:
        entry.add_problem("cases is missing: which table of cases does the rule apply to?")
        return None
    name = found["cases"].text()
    if name is None or name in known.evaluations:
        return name
    if name not in known.tables:
        found["cases"].add_problem(f"the model has no table of cases {shown(name)}; describe it under `cases:`")
        return name
    for key in (key for key in OF_EVALUATIONS if key in found):
        found[key].add_problem(f"is for evaluations, and {shown(name)} is a table")
    if "broke_at_most" in found and not known.tables[name].right_or_wrong:
        found["cases"].add_problem(
            f"no case of {shown(name)} is right or wrong: a score needs a `threshold`, and a number is only near or far"
        )
    return name


def _rate(entry: Entry) -> float | None:
    rate = entry.number(least=0)
    if rate is not None and rate > 1:
        entry.add_problem(f"expected a share from 0 to 1, such as 0.8, found {rate:g}")
    return rate


def _most(entry: Entry) -> int | None:
    most = entry.number(least=0)
    if most is not None and not most.is_integer():
        entry.add_problem(f"expected a whole number of cases, found {most:g}")
    return None if most is None else int(most)


def _table(name: str, entry: Entry) -> CaseTable | None:
    before = len(entry.reader.problems)
    found = entry.mapping(TABLE)
    texts = {
        key: found[key].text()
        for key in ("table", "id", "label", "prediction", "score", "positive", "cluster", "measure")
        if key in found
    }
    made = CaseTable(
        name,
        texts.get("table") or "",
        texts.get("id") or "",
        label=texts.get("label"),
        prediction=texts.get("prediction"),
        score=texts.get("score"),
        threshold=found.number("threshold"),
        better=found.choice("better", HigherOrLower) or HigherOrLower.HIGHER,
        positive=texts.get("positive"),
        cluster=texts.get("cluster"),
        given_measure=found.choice("measure", Measure),
        line=entry.line,
    )
    if len(entry.reader.problems) == before:
        _check(entry, found, made)
    return made if len(entry.reader.problems) == before else None


def _check(entry: Entry, found: Entries, made: CaseTable) -> None:
    if not made.table:
        entry.add_problem("table is missing: which file among the run's artifacts has the cases?")
    elif not _is_path(made.table):
        found["table"].add_problem(f"expected a path in the run's artifacts, found {shown(made.table)}")
    elif not made.table.lower().endswith(FORMATS):
        found["table"].add_problem(f"expected a file that ends with {', '.join(FORMATS)}, found {shown(made.table)}")
    if not made.id:
        entry.add_problem("id is missing: which column says which case a row is about?")
    if (made.prediction is None) == (made.score is None):
        entry.add_problem("expected either prediction or score: which column has what the model said?")
        return
    if made.prediction is not None:
        _check_prediction(entry, found, made)
    else:
        _check_score(found, made)
    _check_measure(found, made)


def _check_prediction(entry: Entry, found: Entries, made: CaseTable) -> None:
    if made.label is None:
        entry.add_problem("label is missing: which column has what the prediction should be?")
    for key in ("threshold", "better"):
        if key in found:
            found[key].add_problem("belongs to a score, and this table has predictions")


def _check_score(found: Entries, made: CaseTable) -> None:
    if made.label is not None and "better" in found:
        found["better"].add_problem("with a label, a higher score means the positive label; leave out better")
    if made.label is None and made.positive is not None:
        found["positive"].add_problem("is the label that a high score means; add label")


def _check_measure(found: Entries, made: CaseTable) -> None:
    """Check that the table has what its measure is computed from."""
    measure = made.given_measure
    if measure in OF_CLASSES and not made.right_or_wrong:
        found["measure"].add_problem(f"{measure} needs right and wrong answers: a prediction, or a score's threshold")
    elif measure in OF_CHANCES and (made.score is None or made.label is None):
        found["measure"].add_problem(f"{measure} needs a score and a label")
    elif measure in OF_NUMBERS and made.prediction is None:
        found["measure"].add_problem(f"{measure} needs a prediction")
    elif measure is Measure.MEAN_SCORE and made.score is None:
        found["measure"].add_problem(f"{measure} needs a score")


def _is_path(path: str) -> bool:
    parts = path.split("/")
    return (
        len(path) <= _LONGEST_PATH and "\\" not in path and not any(part.strip() in ("", ".", "..") for part in parts)
    )
