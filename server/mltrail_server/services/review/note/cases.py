"""A model's tables of cases in a note: which cases broke, which were fixed, and what that says."""

from collections.abc import Sequence
from typing import Any

from mltrail_server.domain.cases import words
from mltrail_server.domain.cases.result import CaseResult
from mltrail_server.domain.markdown import Markdown, code
from mltrail_server.services.review.judged import ModelReport

_MOST_TABLES = 5


def folded(model: ModelReport) -> dict[str, Any] | None:
    """Write the folded part about cases; None if the contract names no table, or nothing could be compared."""
    shown = [one for one in model.cases if not one.scorer and (one.compared is not None or one.problem)]
    if not any(one.compared is not None for one in shown):
        return None
    return {
        "summary": Markdown(_summary(shown)),
        "tables": [_table(one) for one in shown[:_MOST_TABLES]],
        "more": Markdown(f"And {words.tables(len(shown) - _MOST_TABLES)} more.") if len(shown) > _MOST_TABLES else None,
    }


def _summary(shown: Sequence[CaseResult]) -> str:
    counted = [one.counts for one in shown if one.counts is not None]
    if not counted:
        return "Case by case"
    broke, fixed = sum(one.broke for one in counted), sum(one.fixed for one in counted)
    return f"Case by case: {broke:,} broke, {fixed:,} fixed"


def _table(one: CaseResult) -> dict[str, Any]:
    found = one.compared
    if found is None:
        return {"title": Markdown(f"{code(one.name)}: {one.problem}."), "lines": []}
    what = words.changed(one.counts) if one.counts is not None else words.moved(found)
    lines = [
        *_listed("Broke", one.broke, one.counts.broke if one.counts else 0),
        *_listed("Fixed", one.fixed, one.counts.fixed if one.counts else 0),
        Markdown(words.about_these_models(found)),
        *_by_chance(one),
        Markdown(words.about_the_change(found)),
    ]
    if one.added:
        lines.append(Markdown(f"Only here, so not compared: {words.count(one.added)}."))
    if one.wear is not None and one.wear.worn_out:
        lines.append(Markdown(one.wear.sentence))
    return {"title": Markdown(f"{code(one.name)}: {what}."), "lines": lines}


def _by_chance(one: CaseResult) -> list[Markdown]:
    if one.compared is None or one.decision is None:
        return []
    said = words.by_chance(one.compared, one.decision, one.allowed, lower=one.lower_is_better)
    return [Markdown(said)] if said else []


def _listed(word: str, ids: Sequence[str], count: int) -> list[Markdown]:
    if not ids:
        return []
    more = f" and {count - len(ids):,} more" if count > len(ids) else ""
    return [Markdown(f"{word}: {', '.join(map(code, ids))}{more}")]
