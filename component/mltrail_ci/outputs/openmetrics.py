"""OpenMetrics, which GitLab Premium compares in the merge request.

https://docs.gitlab.com/ci/testing/metrics_reports/
"""

import math
import re

from mltrail_ci.responses import Report

_NOT_A_NAME = re.compile(r"[^a-zA-Z0-9_]")


def render(report: Report) -> str:
    """The means of the best candidate's metrics: `mltrail_<metric>{model="…"} value`, and the share of cases that each
    scorer of an evaluation passes, or the mean of its numbers: `mltrail_scorer{model="…",evaluation="…",scorer="…"}`.
    """
    values: dict[str, dict[str, str]] = {}
    for model in report.models:
        for metric in model.metrics:
            if metric.current is not None:
                # Names that differ only in characters not allowed here are distinguished by their label.
                labels = f'model="{_label(model.name)}",metric="{_label(metric.name)}"'
                values.setdefault(f"mltrail_{_NOT_A_NAME.sub('_', metric.name)}", {})[labels] = _value(
                    metric.current.mean
                )
        for one in model.evaluations:
            for scorer in one.scorers:
                if scorer.now is not None:
                    whose = f'model="{_label(model.name)}",evaluation="{_label(one.name)}"'
                    labels = f'{whose},scorer="{_label(scorer.name)}"'
                    values.setdefault("mltrail_scorer", {})[labels] = _value(scorer.now)
    lines = []
    for name, by_labels in values.items():
        lines.append(f"# TYPE {name} gauge")
        lines += [f"{name}{{{labels}}} {value}" for labels, value in by_labels.items()]
    return "\n".join([*lines, "# EOF"]) + "\n"


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _value(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)
