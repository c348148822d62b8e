"""The model card of a version, in Markdown that GitLab shows in a Release and that is readable anywhere.

Mitchell et al., "Model Cards for Model Reporting" (2019).
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from .direction import is_system
from .markdown import Markdown, code, link
from .numbers import number
from .origins import Origin
from .quantities import size
from .statistics import Summary, t_quantile

_MOST_ROWS = 50
_CONFIDENCE = 0.95
_LOADABLE = re.compile(r"[\w. -]+")
_MOST_DESCRIPTION = 4000


@dataclass(frozen=True, slots=True)
class CardDataset:
    """A dataset: what it was used for, its name, MLflow's digest of it, and where it is."""

    use: str
    name: str
    digest: str
    source: str


@dataclass(frozen=True, slots=True)
class CardPromotion:
    """How the run became a version. `approvers` are those of the merge request."""

    at_ms: int
    user_name: str
    pipeline: Markdown
    bump: str
    reason: str
    merge_request: Markdown | None
    approvers: Sequence[str]


@dataclass(frozen=True, slots=True)
class Card:
    """What a card shows. Each of `metrics` includes its number of runs; `run` and `commit` are None if
    there is none.
    """

    model: str
    version: str
    description: str
    aliases: Sequence[str]
    promoted: CardPromotion | None
    run: Markdown | None
    commit: Markdown | None
    metrics: Mapping[str, Summary]
    params: Mapping[str, str]
    data: Sequence[CardDataset]
    files: int
    size: int  # bytes
    signed: bool
    origin: Origin | None = None  # where it was imported from


def body(card: Card) -> str:
    parts = [f"# {code(card.model)} {card.version}", _description(card.description), _facts(card)]
    parts += [_metrics(card.metrics), _params(card.params), _data(card.data), _loading(card)]
    return "\n\n".join(part for part in parts if part) + "\n"


def interval(summary: Summary) -> tuple[float, float] | None:
    """Return the bounds of the mean with 95 % confidence; None for a single run."""
    if summary.sd is None:
        return None
    half = t_quantile((1 + _CONFIDENCE) / 2, summary.n - 1) * summary.sd / math.sqrt(summary.n)
    return summary.mean - half, summary.mean + half


def _description(text: str) -> str:
    """Quote what somebody has written, line by line, as code: whatever it says, it has no effect."""
    lines = text[:_MOST_DESCRIPTION].splitlines()
    return "\n".join(f"> {code(line, most=1000, in_table=False)}" if line.strip() else ">" for line in lines)


def _facts(card: Card) -> str:
    rows: list[tuple[str, str]] = []
    if card.aliases:
        rows.append(("Alias", ", ".join(code(one) for one in card.aliases)))
    promotion = card.promoted
    if promotion is None and card.origin is not None:
        rows.append(("Promoted", f"no: {card.origin.sentence(code)}, and not verified"))
    elif promotion is None:
        rows.append(("Promoted", "no: registered by hand, without any checks"))
    else:
        day = datetime.fromtimestamp(promotion.at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
        rows.append(("Promoted", f"{day} by {code(promotion.user_name)}, for {promotion.pipeline}"))
        rows.append(("Step", f"{code(promotion.bump)}: {code(promotion.reason, most=200)}"))
        if promotion.merge_request is not None:
            approved = ", ".join(code(one) for one in promotion.approvers)
            rows.append(("Merge request", promotion.merge_request + (f", approved by {approved}" if approved else "")))
    if card.run is not None:
        rows.append(("Run", card.run))
    if card.commit is not None:
        rows.append(("Commit", card.commit))
    signed = ", provenance signed" if card.signed else ""
    rows.append(("Files", f"{card.files}, {size(card.size)}{signed}"))
    return _table(("", ""), rows)


def _metrics(metrics: Mapping[str, Summary]) -> str:
    shown = [(name, one) for name, one in sorted(metrics.items()) if not is_system(name)]
    rows = []
    for name, one in shown[:_MOST_ROWS]:
        bounds = interval(one)
        between = f"{number(bounds[0])} to {number(bounds[1])}" if bounds else "1 run: not known"
        rows.append((str(code(name)), number(one.mean), between, str(one.n)))
    if not rows:
        return ""
    table = _table(("Metric", "Mean", "95 % interval of the mean", "Runs"), rows)
    return f"## Metrics\n\n{table}{_rest(len(shown))}"


def _params(params: Mapping[str, str]) -> str:
    rows = [(str(code(name)), str(code(value))) for name, value in sorted(params.items())]
    if not rows:
        return ""
    return f"## Parameters\n\n{_table(('Parameter', 'Value'), rows[:_MOST_ROWS])}{_rest(len(rows))}"


def _data(data: Sequence[CardDataset]) -> str:
    rows = [
        (str(code(one.use or "not given")), str(code(one.name)), str(code(one.digest)), str(code(one.source, most=200)))
        for one in data
    ]
    if not rows:
        return ""
    return f"## Data\n\n{_table(('Use', 'Dataset', 'Digest', 'Source'), rows[:_MOST_ROWS])}{_rest(len(rows))}"


def _loading(card: Card) -> str:
    if _LOADABLE.fullmatch(card.model) is None:
        return ""
    uri = f"models:/{card.model}/{card.version}"
    lines = ["## How to load it", "", "```python", "import mlflow", "", f'model = mlflow.pyfunc.load_model("{uri}")']
    lines += ["```", "", "To check that its files are the promoted ones:", "", "```shell"]
    return "\n".join([*lines, f"mltrail verify '{uri}'{' --key public.pem' if card.signed else ''}", "```"])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, [":--"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _rest(count: int) -> str:
    return f"\n\nand {count - _MOST_ROWS} more." if count > _MOST_ROWS else ""


def commit_link(sha: str, url: str) -> Markdown:
    return link(sha[:8], url)
