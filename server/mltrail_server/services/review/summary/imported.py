"""That a model is compared with imported runs, which nothing here has verified, or how it could be."""

from mltrail_contract import FILE_NAME
from mltrail_server.domain.numbers import count
from mltrail_server.services.contract import policy
from mltrail_server.services.review.judged import ModelReport
from mltrail_server.services.review.reports import Report

from .style import Line, Style

LINE = "imported: {baseline: true}"


def of_model(report: Report, model: ModelReport, style: Style) -> Line | None:
    """Say where the baseline was imported from; where there is no baseline, that imported runs are not used."""
    if model.imported is not None:
        return Line(
            "Baseline",
            f"{model.imported.sentence(style.text)}, and not verified: no CI job of this project vouches for it. It "
            f"counts because of {style.text(LINE)} in {style.text(FILE_NAME)} on {style.text(report.against)}.",
        )
    unused = model.unused
    if unused is None or unused.origin is None or report.waiting or model.comparison.baseline is not None:
        return None
    contract = report.gate.contract
    line = policy.of_model(contract.contract, (), model.name).line("imported", "baseline: true", style.text)
    are, them = ("is", "it") if unused.found == 1 else ("are", "them")
    found = "the version's run" if model.version is not None else count(unused.found, "imported run")
    least = "at least " if unused.cut else ""
    why = f"{unused.origin.sentence(style.text)}, and not verified"
    return Line(
        "Baseline",
        f"{least}{found} {are} not used: {why}. To compare with {them} until there are runs of CI jobs, write {line}.",
    )
