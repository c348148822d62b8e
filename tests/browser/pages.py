"""Which pages there are, and when one is drawn."""

from playwright.sync_api import Page

from tests.browser.run_world import IID
from tests.chromium import LOCATOR_SECONDS

ML = "/team/churn/-/ml"
PAGES = {
    "home": "/",
    "search": "/-/search?q=churn",
    "catalogue": "/-/models",
    "datasets": f"{ML}/datasets",
    "dataset": "/team/risk/fraud/-/ml/datasets/c0ffee42",
    "experiments": f"{ML}/experiments",
    "deleted experiments": f"{ML}/experiments?view=deleted",
    "candidates": f"{ML}/experiments/1?filter=metrics.val_accuracy+%3E+0.5&order=metrics.val_accuracy+DESC",
    "no match": f"{ML}/experiments/1?filter=metrics.val_accuracy+%3E+5",
    "wrong filter": f"{ML}/experiments/1?filter=metrics.loss+<",
    "groups": f"{ML}/experiments/1?group=params.lr&open=49c54509c595",
    "empty experiment": f"{ML}/experiments/0",
    "candidate": f"{ML}/candidates/15",
    "failed candidate": f"{ML}/candidates/10",
    "charts": f"{ML}/candidates/15/charts",
    "system": f"{ML}/candidates/15/system",
    "metric": f"{ML}/candidates/15/metric?key=val_loss",
    "files": f"{ML}/candidates/15/files",
    "text": f"{ML}/candidates/15/browse/notes.txt",
    "table": f"{ML}/candidates/15/browse/metrics.csv",
    "run in depth": f"{ML}/candidates/{IID}",
    "run's files": f"{ML}/candidates/{IID}/files?folder=reports",
    "Markdown": f"{ML}/candidates/{IID}/browse/README.md",
    "HTML with scripts": f"{ML}/candidates/{IID}/browse/reports/errors.html",
    "HTML whose scripts run": f"{ML}/candidates/{IID}/browse/reports/errors.html?scripts=1",
    "SVG": f"{ML}/candidates/{IID}/browse/reports/roc.svg",
    "JSON": f"{ML}/candidates/{IID}/browse/config.json",
    "notebook": f"{ML}/candidates/{IID}/browse/analysis.ipynb",
    "logged table": f"{ML}/candidates/{IID}/browse/predictions.json",
    "log": f"{ML}/candidates/{IID}/browse/train.log",
    "sound": f"{ML}/candidates/{IID}/browse/alarm.wav",
    "media": f"{ML}/candidates/{IID}/media?step=3000",
    "run's models": f"{ML}/candidates/{IID}/models",
    "run's traces": f"{ML}/candidates/18/traces",
    "picture": f"{ML}/candidates/15/browse/plots/confusion.png",
    "comparison": f"{ML}/compare?run=15&run=14&run=8&run=1",
    "comparison of many": f"{ML}/compare?run={','.join(map(str, range(1, 17)))}",
    "sweep": f"{ML}/experiments/6/sweep",
    "sweep with a choice": f"{ML}/experiments/6/sweep?low%3Aparams.lr=0.001&is%3Aparams.optimizer=adam",
    "evaluation": f"{ML}/candidates/18/evaluation",
    "two evaluations": f"{ML}/candidates/18/evaluation?against=17",
    "case": f"{ML}/candidates/18/evaluation?against=17&case=a6d0d510ff5fa470",
    "no evaluation": f"{ML}/candidates/15/evaluation",
    "traces": f"{ML}/experiments/3/traces",
    "no traces": f"{ML}/experiments/1/traces",
    "trace": f"{ML}/traces/tr-0000000000000000000000000000000c",
    "span": f"{ML}/traces/tr-0000000000000000000000000000000c?span=0000000000000003",
    "prompts": f"{ML}/prompts",
    "prompt": f"{ML}/prompts/qa",
    "prompt's words": f"{ML}/prompts/qa?from=1&to=2",
    "models": f"{ML}/models",
    "model": f"{ML}/models/churn",
    "version": f"{ML}/models/churn/versions/2",
    "merge requests": f"{ML}/merge_requests",
    "merge request": f"{ML}/merge_requests/1",
    "merge request with an evaluation": f"{ML}/merge_requests/2",
    "settings": f"{ML}/settings",
}


IDLE = """most => new Promise((done, failed) => {
  setTimeout(() => failed(new Error("The charts kept changing.")), most);
  const look = () => (mltrail.charts.idle() ? done() : setTimeout(look, 20));
  look();
})"""
"""Playwright's own `wait_for_function` evaluates text, which the pages' policy forbids."""


def settled(page: Page) -> None:
    """Wait until the first chart, which is drawn when it comes into view, is there, and no chart in view changes."""
    page.wait_for_load_state()  # after a click on a link, its charts may not be there yet, and no script has run
    charts = page.locator("figure[data-curves]")
    if charts.count():
        charts.first.scroll_into_view_if_needed()
        charts.first.locator("canvas").wait_for()
        page.evaluate(IDLE, LOCATOR_SECONDS * 1000)
