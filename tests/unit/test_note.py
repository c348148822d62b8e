"""What a note says, and that nothing which a user names gets out of its place in it.

https://docs.gitlab.com/user/markdown/
"""

import itertools
import json
import random
import re
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mltrail_contract import FILE_NAME
from mltrail_server.domain.cases.table import Answer, Case
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.preview import Preview
from mltrail_server.domain.selection import UnmatchedModel
from mltrail_server.domain.threads import Override
from mltrail_server.services.review import note
from mltrail_server.store.registry.versions import Version
from tests.fakes.gitlab import detectors
from tests.notes import MARK, SETTINGS, TAGS, names, rendered
from tests.reports import Sides, Tables, a_report, a_run

CONTRACT_OF_ZZ = "version: 1\nmodels: {zz: {rules: [{metric: accuracy, at_least: 0.5}]}}\n"


def written(*arguments: object, **options: object) -> str:
    report = a_report(*arguments, **options)  # type: ignore[arg-type] # passed on
    return note.body(report, settings=SETTINGS, project_path="team/churn")


def test_the_note_says_where_a_direction_is_guessed_or_unknown() -> None:
    def of(name: str) -> str:
        sides = Sides(
            [a_run(n, {name: 0.9 + n / 100}) for n in (4, 5, 6)], [a_run(n, {name: n / 100}) for n in (1, 2, 3)]
        )
        return written({"churn": sides})

    assert "guess" not in of("val_f1")
    assert "unknown direction" not in of("val_f1")
    assert "is guessed from the name of `toxicity_f1`" in of("toxicity_f1")
    unknown = of("latency_score")
    assert "“Higher or lower?” stands for an unknown direction" in unknown
    assert "<sub>higher or lower?</sub>" in unknown
    assert not re.search(r"\*\*(better|worse)\*\*", unknown)


@settings(max_examples=50)
@given(names(), names(), names(), names())
@example(f"<b>{MARK}", f"@all {MARK}", f"|{MARK}", f"`{MARK}\n/merge")
def test_what_a_user_names_stays_in_its_place(metric: str, param: str, run: str, branch: str) -> None:
    quoted = json.dumps(metric, ensure_ascii=True)
    text = f"version: 1\nmodels:\n  {json.dumps(run)}:\n    rules:\n      - {{metric: {quoted}, at_least: 1}}\n"
    sides = Sides(
        [
            a_run(1, {metric: 0.9, f"2{metric}": 1.0}, params={param: param}, name=run, job_name=branch),
            a_run(2, {metric: 0.8}, params={param: run}, name=run, job_name=run, state=RunState.FAILED),
        ],
        [a_run(3, {metric: 0.7}, params={param: branch}, datasets={run: metric})],
    )
    body = written({run: sides, branch: sides}, text, proposed=f"{text}# ", target=branch, local=[sides.runs[0]])
    body += written({run: sides}, f"{branch}: 1", proposed=f"version: 1\nmodels: {{a: {{{quoted}: 1}}}}", target=branch)
    assert (detectors.quick_actions(body), detectors.mentions(body), detectors.references(body)) == ([], [], [])
    seen = rendered(body)
    assert seen.tags <= TAGS
    assert seen.outside == []
    assert all(link.startswith(("https://mltrail.example.com/", "https://gitlab.example.com/")) for link in seen.links)
    for table in re.findall(r"(?m)^\| .*(?:\n\|.*)+", body):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table
    for block in re.findall(r"(?ms)^```json:table\n(.*?)\n```$", body):
        cells = [cell for row in json.loads(block)["items"] for cell in row.values()]
        assert rendered("\n\n".join(cells)).outside == []
        assert not set("<>@#!~") & set(block)


CONTRACT = """
version: 1
models:
  churn:
    rules:
      - {metric: accuracy, better: higher, worse_by: 0.01}
      - {metric: latency, better: lower, worse_by: {percent: 5}, then: warn}
      - {metric: loss, at_most: 0.4}
"""


def runs(first: int, accuracy: float, latency: float = 10, **changes: object) -> list[Run]:
    return [
        a_run(first + place, {"accuracy": accuracy + place / 1000, "latency": latency, "loss": 0.3}, **changes)
        for place in range(3)
    ]


def rows(body: str) -> list[tuple[str, str]]:
    """The verdict and the metric of each row of the tables, in their order."""
    return re.findall(r"(?m)^\| (\S+ \*\*[a-z' ]+\*\*)<br>(`[^`]*`|<code>.*?</code>)", body)


def test_the_worst_comes_first_by_name_and_whether_it_blocks() -> None:
    lines = written({"churn": Sides(runs(1, 0.7, 12), runs(11, 0.8))}, CONTRACT).splitlines()
    assert (
        lines[1] == "### ❌ Blocks the merge: `accuracy` of `churn` is worse, 0.80 → 0.70 (allowed: \N{MINUS SIGN}1 pp)"
    )
    assert rows("\n".join(lines)) == [
        ("❌ **worse**", "`accuracy`"),
        ("❔ **can't tell yet**", "`latency`"),
        ("\N{HEAVY MINUS SIGN} **within its limit**", "`loss`"),
    ]


def test_then_the_best_is_named_and_the_rest_is_counted() -> None:
    worse = [replace(run, metrics=run.metrics | {"f1": 0.9 + run.iid / 1000, "auc": 0.5}) for run in runs(1, 0.7)]
    before = [replace(run, metrics=run.metrics | {"f1": 0.7 + run.iid / 1000, "auc": 0.5}) for run in runs(11, 0.8)]
    body = written({"churn": Sides(worse, before)}, CONTRACT)
    assert re.search(
        r"(?m)^\*\*Better:\*\* `f1`, 0\.71 → 0\.90; no clear change in \d other metrics?, "
        "1 within its absolute limit",
        body,
    )


def test_a_warning_does_not_block_and_says_so() -> None:
    slower = [replace(run, metrics=run.metrics | {"latency": 12 + run.iid / 100}) for run in runs(1, 0.8)]
    before = [replace(run, metrics=run.metrics | {"latency": 10 + run.iid / 100}) for run in runs(11, 0.8)]
    heading = written({"churn": Sides(slower, before)}, CONTRACT).splitlines()[1]
    assert (
        heading
        == "### ⚠️ Does not block (its rule only warns), but `latency` of `churn` is worse, 10.1 → 12.0 (allowed: +5 %)"
    )


def test_a_broken_bound_is_shown_whatever_the_difference() -> None:
    rules = CONTRACT.replace(
        "{metric: loss, at_most: 0.4}", "{metric: loss, better: lower, worse_by: 0.1, at_most: 0.2}"
    )
    body = written({"churn": Sides(runs(1, 0.8), runs(11, 0.8))}, rules)
    assert body.splitlines()[1] == "### ❌ Blocks the merge: `loss` of `churn` is worse: 0.3000; must be at most 0.2"
    assert "| must be at most 0.2, as measured |" in body


def test_a_bound_that_the_rounded_value_looks_like_is_shown_with_the_exact_one() -> None:
    now = [a_run(n, {"loss": 0.4003 + n / 1000}) for n in (-1, 0, 1)]
    body = written({"churn": Sides(now, [a_run(n, {"loss": 0.35 + n / 100}) for n in (1, 2, 3)])}, CONTRACT)
    assert "**0.400** | 0.4003; must be at most 0.4, as measured |" in body


def test_another_dataset_blocks_and_says_what_to_do() -> None:
    rules = CONTRACT.replace("    rules:", "    same_dataset: te`st\n    rules:")
    now = runs(1, 0.7, datasets={"te`st": "new"})
    body = written({"churn": Sides(now, runs(11, 0.8, datasets={"te`st": "old"}))}, rules)
    assert "| blocks: can't be compared, another ``te`st`` dataset is used here |" in body
    assert (
        "**To do:** evaluate this model on `main`'s ``te`st`` dataset, or train and evaluate `main` again with the "
        "new one."
    ) in body
    assert "\n**On merge:** nothing is promoted (no promotion is set up in `.mltrail.yml`).\n" in body
    assert "- both sides must use the same ``te`st`` dataset, else rules that compare are broken\n" in body


def test_a_loss_that_may_be_more_than_allowed_is_named_first() -> None:
    now, before = runs(1, 0.7898), runs(11, 0.8)
    history = [runs(100 + 10 * place, 0.8) for place in range(4)]
    body = written({"churn": Sides(now, before, history)}, CONTRACT)
    heading = body.splitlines()[1]
    said = (
        "### ❔ Does not block, but can't tell yet whether `accuracy` of `churn` is worse than allowed, 0.801 → 0.791 ("
    )
    assert heading.startswith(said)
    assert ". A loss, but too few runs to tell if it is more than allowed: " in body
    assert "| ❔ **can't tell yet**<br>`accuracy`" in body
    promoted = CONTRACT.replace("    rules:", "    promote: {alias: champion}\n    rules:")
    failed = written({"churn": Sides(runs(1, 0.7), before, history)}, promoted)
    assert "\n**On merge:** nothing is promoted while the merge is blocked.\n" in failed


def test_what_is_new_is_said_to_have_no_baseline() -> None:
    now = [replace(run, metrics=run.metrics | {"f1": 0.9}) for run in runs(1, 0.7)]
    body = written({"churn": Sides(now, runs(11, 0.8))}, CONTRACT)
    assert re.search(r"(?m)^\*\*Other metrics:\*\* .*, `f1` has no baseline yet\.$", body)
    assert "none of 1 parameter" in body


def test_a_large_p_is_no_sign_and_never_certainty() -> None:
    spread = [0.801, 0.800, 0.802, 0.799, 0.803]
    same = [a_run(n, {"accuracy": value, "f1": value, "auc": 0.9 + value / 10}) for n, value in enumerate(spread)]
    text = "version: 1\nmodels: {churn: {rules: [{metric: accuracy, better: higher, worse_by: 0.01}]}}"
    body = written({"churn": Sides(same, [replace(run, iid=run.iid + 10) for run in same])}, text)
    assert re.search(r"(?m)^\| `accuracy`<br>.* \| .* \| no evidence of a drop beyond 1 pp \(p > 50 %\) \|", body)
    assert re.search(r"(?m)^\| `f1`<br>.* \| .* \| no evidence of a change \(p > 50 %\) \|", body)
    assert "100.0 %" not in body


def test_a_p_names_the_way_in_which_the_metric_moved() -> None:
    """A gain would be read as a rise, and where lower is better it is none."""
    before = [a_run(10 + n, {"accuracy": 0.8 + n / 1000, "loss": 0.3 + n / 1000}) for n in range(5)]
    now = [a_run(n, {"accuracy": 0.802 + n / 1000, "loss": 0.299 + n / 1000}) for n in range(5)]
    body = written({"churn": Sides(now, before)})
    assert re.search(r"(?m)^\| `accuracy`<br>.* \| .* \| rise: \d", body)
    assert re.search(r"(?m)^\| `loss`<br>.* \| .* \| drop: \d", body)
    assert "It is one-sided and corrected (Holm) for 2 tests, which share at most one chance in twenty of a" in body


def test_intervals_say_for_what_they_are_corrected() -> None:
    trials = [
        a_run(n, {"accuracy": 0.8 + n % 7 / 1000, "latency": 10 + n % 3}, params={"lr": str(n % 10), "seed": str(n)})
        for n in range(30)
    ]
    body = written({"churn": Sides(trials, runs(101, 0.8))}, CONTRACT)
    assert "corrected (Holm) in two groups, 1 test by rules that block, and 1 other; each group has at most" in body
    assert (
        "corrected for choosing the best of 10 candidates here by `accuracy`, whose lead is partly luck: the d" in body
    )
    assert "whose lead" not in written({"churn": Sides(runs(1, 0.8), runs(101, 0.8))}, CONTRACT)


def test_a_bar_that_was_kept_is_told_apart_from_a_limit_that_was_tested() -> None:
    spread = [0.801, 0.800, 0.802, 0.799, 0.803]
    values = [{"accuracy": one, "loss": 0.3 + one / 100, "latency": 10 + one} for one in spread]
    now, before = ([a_run(first + n, one) for n, one in enumerate(values)] for first in (1, 11))
    body = written({"churn": Sides(now, before)}, CONTRACT)
    assert "3 metrics within their limits" in body
    assert "| must be at most 0.4, as measured |" in body
    assert re.search(r"(?m)^\| .*`accuracy`.* could be as low as .*; allowed: \S1 pp \|$", body)
    broken = written({"churn": Sides(runs(1, 0.8), runs(11, 0.8))}, CONTRACT.replace("0.4", "0.2"))
    assert "**How sure:** this is the value as measured, not a test; 3 runs on `main`, 3 here." in broken


def test_the_first_table_fits_a_phone() -> None:
    """With GitLab's padding four columns don't: see tests/browser/test_comments.py."""
    body = written({"churn": Sides(runs(1, 0.7), runs(11, 0.8))}, CONTRACT)
    head = next(line for line in body.splitlines() if line.startswith("|"))
    assert head == "| Verdict | `main` → this | What it means |"
    report = replace(a_report({"churn": Sides(runs(1, 0.7), runs(11, 0.8))}, CONTRACT), target="production")
    assert "| Verdict | before → this |" in note.body(report, settings=SETTINGS, project_path="team/churn")


def test_long_names_may_break_on_a_phone_and_are_copied_unchanged() -> None:
    name = "validation/latency_p95_ms"
    sides = Sides([a_run(1, {name: 12.0})], [a_run(2, {name: 12.0})])
    body = written({"churn": sides})
    assert "<code>validation/<wbr>latency_<wbr>p95_<wbr>ms</code>" in body
    assert "12.00 → **12.00** ms |" in body


def test_whoever_accepts_a_regression_is_named_without_markup() -> None:
    report = a_report({"churn": Sides(runs(1, 0.7), runs(11, 0.8))}, CONTRACT)
    override = Override("@all", "known\n/merge <b>", frozenset())
    body = note.body(replace(report, override=override), settings=SETTINGS, project_path="team/churn")
    assert body.splitlines()[1].startswith(
        "### ☑️ Does not block, since it was accepted: `accuracy` of `churn` is worse"
    )
    assert "Accepted by `@all`: `known /merge <b>`" in body
    assert (detectors.quick_actions(body), detectors.mentions(body)) == ([], [])


def test_rules_that_pass_give_way_to_those_that_do_not() -> None:
    many = [a_run(place, {f"m{number:02}": number for number in range(40)}) for place in range(3)]
    text = 'version: 1\nmodels: {churn: {rules: [{metric: "m*", at_least: 10}]}}'
    seen, _, folded = written({"churn": Sides(many, many)}, text).partition("<details><summary>30 more rows</summary>")
    assert [verdict for verdict, _ in rows(seen)] == ["❌ **worse**"] * 10
    assert [verdict for verdict, _ in rows(folded)] == ["\N{HEAVY MINUS SIGN} **within its limit**"] * 30


def test_without_rules_the_comparison_is_the_verdict() -> None:
    body = written({"churn": Sides(runs(1, 0.9), runs(11, 0.8))})
    heading = "### ✅ Does not block: nothing is clearly worse, and `accuracy` of `churn` is better, 0.80 → 0.90"
    assert body.splitlines()[1] == heading
    assert "No rule applies here, so nothing can block the merge." in body


def test_it_says_how_many_runs_count_and_how_often_chance_alone_says_so() -> None:
    history = [runs(100 + 10 * place, 0.8) for place in range(4)]
    failed = written({"churn": Sides(runs(1, 0.7), runs(11, 0.8), history)}, CONTRACT)
    (sure,) = re.findall(r"(?m)^\*\*How sure:\*\* (.*)$", failed)
    assert sure == (
        "clear that `accuracy` is worse: chance from run to run would look like this in fewer than 1 of 1,000 cases. "
        "15 runs on `main` (in 5 pipelines), 3 here."
    )
    chance = "at most one chance in twenty of a false alarm in a commit that changes nothing. Gains are tested separa"
    assert f"the only test has {chance}" in failed
    slower = [replace(run, metrics=run.metrics | {"latency": 10 + run.iid / 100}) for run in runs(1, 0.7)]
    both = written({"churn": Sides(slower, runs(11, 0.8), history)}, CONTRACT)
    assert f"1 test by rules that block, and 1 other; each group has {chance}" in both
    alone = written({"churn": Sides([a_run(1, {"accuracy": 0.7})], [a_run(2, {"accuracy": 0.8})])})
    assert "**How sure:** undecided; 1 run on `main`, 1 here. One run on each side " in alone
    assert "can't tell yet whether `accuracy` of `churn` is worse, 0.80 → 0.70: one run on each side " in alone


_NOUNS = "(run|pipeline|metric|parameter|candidate|test|model|row|rule|fold|seed)"


def test_one_is_singular_and_all_else_is_plural() -> None:
    """Whatever is counted: runs on both sides, also those that don't count, pipelines, candidates, metrics."""
    chance = random.Random(1)

    def some(number: int, **changes: object) -> list[Run]:
        return [
            a_run(
                chance.randrange(10**6), {f"f1/{name}": chance.gauss(0.8, 0.01) for name in range(metrics)}, **changes
            )
            for _ in range(number)
        ]

    counts = itertools.cycle((1, 2, 5))
    for there, pipelines in itertools.product((0, 1, 2, 5), repeat=2):
        here, metrics = next(counts), chance.choice((1, 2, 5))
        params = {f"p{number}": "new" for number in range(metrics)}
        failed = some(there, state=RunState.FAILED) + some(pipelines, state=RunState.DELETED)
        now = [*some(here, params=params), *some(pipelines), *failed]
        sides = Sides(now, some(there), [some(there or 1) for _ in range(pipelines)])
        body = written({"churn": sides}, 'version: 1\nmodels: {churn: {rules: [{metric: "*/0", at_least: 0.1}]}}')
        body += written({"churn": sides, "spam": Sides(now)})
        text = re.sub(r"(?s)```.*?```|`[^`]*`", "", body)
        found = re.findall(
            rf"\b1 (?:\w+ )?{_NOUNS}s\b|\b1 (?:are|have|do)\b|\bAll 1\b|\b1 \w+ .{{0,20}}\btheir\b", text
        )
        assert not found, text
        assert not re.findall(
            rf"(?<![.\d])(?:0|[2-9]|\d\d+) (?:\w+ )?{_NOUNS}\b(?!s)|\b[2-9] (?:is|has|does)\b", text
        ), text


def test_a_version_s_runs_are_counted_apart_from_those_of_earlier_pipelines() -> None:
    history = [runs(100 + 10 * place, 0.8) for place in range(4)]
    report = a_report({"churn": Sides(runs(1, 0.7), runs(11, 0.8), history)}, CONTRACT)
    known: dict[str, object] = dict.fromkeys(Version.__dataclass_fields__)
    version = Version(**known | {"semver": "1.0.0"})  # type: ignore[arg-type] # a note looks at nothing else
    of_version = replace(report, models=(replace(report.models[0], version=version),))
    body = note.body(of_version, settings=SETTINGS, project_path="team/churn")
    assert ". 3 runs of version `1.0.0` and 12 of 4 earlier pipelines, 3 here.\n" in body
    assert (
        "of version [`1.0.0`](https://gitlab.example.com/team/churn/-/pipelines/900). What is shown and tested " in body
    )
    assert "from these runs and 4 pipelines before" in body


def test_a_diverged_run_is_named_as_such() -> None:
    now = runs(1, 0.8)
    now[1] = replace(now[1], metrics=now[1].metrics | {"accuracy": float("nan")})
    heading = written({"churn": Sides(now, runs(11, 0.8))}, CONTRACT).splitlines()[1]
    assert heading == "### ❌ Blocks the merge: `accuracy` of `churn` is worse: diverged: not a number in 1 of 3 runs"


def test_what_is_promoted_is_one_named_run_with_its_own_value() -> None:
    now = [replace(run, metrics=run.metrics | {"latency": 10 + run.iid / 10}) for run in runs(1, 0.9)]
    report = a_report({"churn": Sides(now, runs(11, 0.8))}, CONTRACT)
    preview = Preview("1.1.0", "minor", "lr 0.1 → 0.2", "champion", "1.0.0")
    body = note.body(replace(report, previews={"churn": preview}), settings=SETTINGS, project_path="team/churn")
    assert (
        "**On merge:** `churn` 1.1.0 replaces 1.0.0 as `champion`: run "
        "[`run-3`](https://mltrail.example.com/team/churn/-/ml/candidates/3), the best of 3 by `accuracy`: "
        "0.9020 (mean 0.9010), `latency` 10.30; the table shows the means of all 3 runs."
    ) in body


def test_counts_of_what_changed_agree_with_the_list() -> None:
    now = runs(1, 0.9, params={"lr": "0.2", "layers": "4", "seed": "1"})
    report = replace(a_report({"churn": Sides(now, runs(11, 0.8))}, CONTRACT), changed_files=3)
    body = note.body(report, settings=SETTINGS, project_path="team/churn")
    assert "**Changed:** 3 files, 2 of 2 parameters. Not known: which data the runs used; whether the eval" in body
    assert "<summary>What changed: 2 parameters</summary>" in body


def test_a_note_that_nothing_has_changed_stays_the_same() -> None:
    history = [runs(100 + 10 * place, 0.8) for place in range(4)]

    def again() -> str:
        return written({"churn": Sides(runs(1, 0.7, 12), runs(11, 0.8), history)}, CONTRACT)

    assert again() == again()


def test_a_file_that_can_t_be_read_comes_first() -> None:
    body = written({"churn": Sides(runs(1, 0.9), runs(11, 0.8))}, "version: 1\nmodels: {churn: {ruls: []}}")
    assert body.splitlines()[1].startswith("### ⚠️ Does not block, but `.mltrail.yml` on `main` can't be read")
    assert f"`{FILE_NAME}` on `main` can't be read, so no rule was checked:" in body
    assert "- line 2: `models.churn.ruls: unknown key; the known ones are" in body


def test_a_changed_contract_shows_what_it_would_say() -> None:
    relaxed = CONTRACT.replace("worse_by: 0.01", "worse_by: 0.5")
    body = written({"churn": Sides(runs(1, 0.7), runs(11, 0.8))}, CONTRACT, proposed=relaxed)
    assert body.splitlines()[1].startswith("### ❌ Blocks the merge: `accuracy` of `churn` is worse")
    assert f"This merge request changes `{FILE_NAME}`. With its version: **gate passed**." in body
    removed = written({"churn": Sides(runs(1, 0.7), runs(11, 0.8))}, CONTRACT, proposed="")
    assert f"This merge request removes `{FILE_NAME}`: nothing would gate any more." in removed


@pytest.mark.parametrize(
    ("sides", "sentence"),
    [
        (
            Sides(runs(1, 0.9)),
            "**How sure:** nothing can be said yet: no pipeline of `main` has trained this model yet.",
        ),
        (Sides(runs(1, 0.9, state=RunState.RUNNING), runs(11, 0.8)), "### ⏳ Still training: 3 of 3 runs are not done"),
        (
            Sides(runs(1, 0.9, state=RunState.FAILED), runs(11, 0.8)),
            "**Not counted:** 3 runs failed.\n\nSee [`train`](https://gitlab.example.com/team/churn/-/jobs/7).",
        ),
        (Sides([], runs(11, 0.8)), "### ❔ No runs: this pipeline has logged none"),
    ],
)
def test_what_can_t_be_compared_is_said_in_a_sentence(sides: Sides, sentence: str) -> None:
    assert sentence in written({"churn": sides})


def test_the_chart_keeps_within_gitlab_s_limits() -> None:
    history = [runs(100 + 10 * place, 0.8 - place / 100) for place in range(19)]
    body = written({"churn": Sides(runs(1, 0.85), runs(11, 0.81), history)}, CONTRACT)
    (chart,) = re.findall(r"(?s)```mermaid\n(.*?)\n```", body)
    assert len(chart) < 2000
    assert "xychart-beta" in chart
    (line, _) = re.findall(r"line \[(.*)\]", chart)
    assert [float(value) for value in line.split(", ")][-2:] == pytest.approx([0.811, 0.851])
    assert "theme:" not in chart
    # It stands in a fold of its own, so that it counts by itself.
    assert body.index("<details><summary>History") < body.index("```mermaid")


@given(names(), st.lists(names(), min_size=1, max_size=6))
@example(f"`{MARK}\n/merge", [f"@all {MARK}", f"#1 {MARK}"])
def test_a_question_about_experiments_keeps_their_names_in_their_place(model: str, experiments: list[str]) -> None:
    report = a_report({"churn": Sides([a_run(1, {"accuracy": 0.9})])})
    asked = replace(report, gate=replace(report.gate, questions=(UnmatchedModel(model, tuple(experiments)),)))
    body = note.body(asked, settings=SETTINGS, project_path="team/churn")
    assert (detectors.quick_actions(body), detectors.mentions(body), detectors.references(body)) == ([], [], [])
    assert "belongs to no model" in body or "belong to no model" in body


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=3, max_size=8))
@settings(max_examples=25)
def test_no_number_breaks_a_note(values: list[float]) -> None:
    made = [a_run(place, {"accuracy": value}) for place, value in enumerate(values)]
    body = written({"churn": Sides(made[:1], made[1:2], [made[2:]])}, CONTRACT)
    for line in re.findall(r"line \[(.*)\]", body):
        assert all(re.fullmatch(r"-?\d+\.\d+", value) for value in line.split(", "))


def test_a_note_on_very_many_runs_and_models_stays_short() -> None:
    sides = Sides([a_run(place, {f"m{n}": 0.5 for n in range(40)}) for place in range(300)], runs(1000, 0.8))
    body = written({f"model-{place}": sides for place in range(30)}, CONTRACT.replace("churn", "model-1"))
    assert len(body) <= 60_000
    assert "`model-29`" in body


def test_runs_of_people_s_own_machines_are_shown_beside() -> None:
    mine = a_run(77, {"accuracy": 0.99}, state=RunState.LOCAL, name="laptop")
    body = written({"churn": Sides(runs(1, 0.9), runs(11, 0.8))}, local=[mine])
    assert "Runs of this commit from people's own machines (not verified, they don't count)" in body
    assert "| [`laptop`](https://mltrail.example.com/team/churn/-/ml/candidates/77) | `accuracy` | 0.9900 |" in body
    assert "→ **0.90** |" in body


def test_a_note_on_thousands_of_models_names_those_that_fail_first() -> None:
    many = {f"model-{number}-{'x' * 80}": Sides([a_run(number, {"accuracy": 0.9})]) for number in range(3000)}
    body = written({**many, "zz": Sides([a_run(4000, {"accuracy": 0.1})])}, CONTRACT_OF_ZZ)
    assert len(body) < 200_000
    assert "and 2,801 more models" in body
    assert body.index("`zz`") < body.index("`model-0-")


def test_a_table_of_cases_with_a_metric_s_name_hides_nothing() -> None:
    contract = """
version: 1
models:
  churn:
    cases: {accuracy: {table: a.csv, id: id, label: y, prediction: p}}
    rules: [{cases: accuracy, worse_by: 0}, {metric: accuracy, better: higher, worse_by: 0}]
"""
    now, before = ([Case(str(n), "1", Answer(str(int(n >= wrong)))) for n in range(200)] for wrong in (50, 0))
    runs = [a_run(n, {"accuracy": 0.8 + n / 1000}) for n in range(6)]
    body = written({"churn": Sides(runs[3:], runs[:3], tables={"accuracy": Tables([now], [before])})}, contract)
    assert body.splitlines()[1].endswith("`accuracy` of `churn` is worse, accuracy 1.00 → 0.75")
    assert "| ❌ **worse**<br>`accuracy`<br><sub>accuracy, higher is better</sub> |" in body
    assert "**<br>`accuracy`<br><sub>higher is better</sub> |" in body
