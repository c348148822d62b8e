"""Read which tables of cases a model logs, and the rules about them."""

from collections.abc import Mapping

from .model import OF_CHANCES, OF_CLASSES, OF_NUMBERS, CaseTable, HigherOrLower, Measure, Rule, Then, Tolerance
from .nodes import Entry, shown

TABLE = ("table", "id", "label", "prediction", "score", "threshold", "better", "positive", "cluster", "measure")
FORMATS = (".json", ".jsonl", ".csv", ".parquet")
RULE = ("cases", "broke_at_most", "worse_by", "then", "target")
_OF_METRICS = ("metric", "better", "at_least", "at_most", "value")
_MOST_TABLES = 20
_LONGEST_PATH = 500


def tables(entry: Entry) -> dict[str, CaseTable]:
    """Read a model's tables of cases by name."""
    found = {}
    for name, table in entry.mapping().items():
        made = _table(name, table)
        if made is not None:
            found[name] = made
    if len(found) > _MOST_TABLES:
        entry.add_problem(f"{len(found)} tables of cases; at most {_MOST_TABLES} are allowed")
    return found


def is_about_cases(found: Mapping[str, Entry]) -> bool:
    """Whether a rule's keys are those of a rule about cases."""
    return "cases" in found or "broke_at_most" in found


def rule(entry: Entry, found: Mapping[str, Entry], known: Mapping[str, CaseTable], worse_by: Tolerance | None) -> Rule:
    """Read a rule about cases. `known` are the model's tables; `worse_by` has been read."""
    for key in (key for key in _OF_METRICS if key in found):
        found[key].add_problem("a rule is about a metric or about cases; make two rules of it")
    if "broke_at_most" not in found and "worse_by" not in found:
        entry.add_problem("the rule has no bound: add broke_at_most or worse_by")
    return Rule(
        "",
        worse_by=worse_by,
        then=(found["then"].choice(Then) if "then" in found else None) or Then.FAIL,
        target=found["target"].text() if "target" in found else None,
        line=entry.line,
        cases=_named(entry, found, known),
        broke_at_most=_most(found["broke_at_most"]) if "broke_at_most" in found else None,
    )


def _named(entry: Entry, found: Mapping[str, Entry], known: Mapping[str, CaseTable]) -> str | None:
    if "cases" not in found:
        entry.add_problem("cases is missing: which table of cases does the rule apply to?")
        return None
    name = found["cases"].text()
    if name is not None and name not in known:
        found["cases"].add_problem(f"the model has no table of cases {shown(name)}; describe it under `cases:`")
    elif name is not None and "broke_at_most" in found and not known[name].right_or_wrong:
        found["cases"].add_problem(
            f"no case of {shown(name)} is right or wrong: a score needs a `threshold`, and a number is only near or far"
        )
    return name


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
        threshold=found["threshold"].number() if "threshold" in found else None,
        better=(found["better"].choice(HigherOrLower) if "better" in found else None) or HigherOrLower.HIGHER,
        positive=texts.get("positive"),
        cluster=texts.get("cluster"),
        given_measure=found["measure"].choice(Measure) if "measure" in found else None,
        line=entry.line,
    )
    if len(entry.reader.problems) == before:
        _check(entry, found, made)
    return made if len(entry.reader.problems) == before else None


def _check(entry: Entry, found: Mapping[str, Entry], made: CaseTable) -> None:
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


def _check_prediction(entry: Entry, found: Mapping[str, Entry], made: CaseTable) -> None:
    if made.label is None:
        entry.add_problem("label is missing: which column has what the prediction should be?")
    for key in ("threshold", "better"):
        if key in found:
            found[key].add_problem("belongs to a score, and this table has predictions")


def _check_score(found: Mapping[str, Entry], made: CaseTable) -> None:
    if made.label is not None and "better" in found:
        found["better"].add_problem("with a label, a higher score means the positive label; leave out better")
    if made.label is None and made.positive is not None:
        found["positive"].add_problem("is the label that a high score means; add label")


def _check_measure(found: Mapping[str, Entry], made: CaseTable) -> None:
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
