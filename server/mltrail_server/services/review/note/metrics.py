"""A model's metrics for a note: what became of each, and the evidence for it."""

from mltrail_server.domain.comparison import Judgement, MetricChange
from mltrail_server.domain.markdown import Markdown, code
from mltrail_server.domain.numbers import decimals_for, number, signed

from .cells import arrow, values

ICONS = {
    Judgement.BETTER: "✅",
    Judgement.WORSE: "❌",
    Judgement.NOISE: "➖",
    Judgement.SAME: "➖",
    Judgement.UNKNOWN: "❔",
    Judgement.NEW: "🆕",
    Judgement.GONE: "🗑️",
}
_LEAST = 0.001


def row(one: MetricChange, *, gated: bool) -> dict[str, Markdown]:
    """`gated`: rules speak of other metrics, so that this one's icon must not look like a verdict."""
    icon = {Judgement.BETTER: "🔼", Judgement.WORSE: "🔽"}.get(one.judgement) if gated else None
    return {
        "icon": Markdown(icon or ICONS[one.judgement]),
        "metric": Markdown(f"{code(one.name)}{arrow(one.direction)}"),
        "means": values(one.baseline, one.current),
        "sentence": Markdown(one.sentence),
    }


def evidence(one: MetricChange) -> dict[str, Markdown] | None:
    """Tell what the verdict on a metric rests on: bounds of the true difference, chance, spread from run to run."""
    found = one.evidence
    if found is None:
        return None
    places = decimals_for((found.high - found.low) or abs(found.low) or found.sd)
    return {
        "metric": code(one.name),
        "bounds": Markdown(f"{signed(found.low, decimals=places)} … {signed(found.high, decimals=places)}"),
        "chance": Markdown("< 0.1 %" if found.p < _LEAST else f"{found.p:.1%}".replace("%", " %")),
        "spread": Markdown(number(found.sd, decimals=decimals_for(found.sd)) if found.sd else "none"),
    }
