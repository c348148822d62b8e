"""The server's responses as types: decoded once, so that nothing outside this module has to guess."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .decoding import decoded, maybe, number, text, word


class Spread(NamedTuple):
    """Several runs of one candidate: mean, standard deviation, and number of runs."""

    mean: float
    sd: float | None
    n: int


class Metric(NamedTuple):
    """`verdict` is one of the five verdicts in words; `sentence` says why."""

    name: str
    direction: str
    guessed: bool
    baseline: Spread | None
    current: Spread | None
    delta: float | None
    verdict: str
    sentence: str


class Parameter(NamedTuple):
    name: str
    before: str | None
    after: str | None


class Problem(NamedTuple):
    """A problem with the contract file."""

    line: int
    key: str
    message: str


class Gate(NamedTuple):
    """The outcome by the contract file: `outcome` is pass, warn or fail, or empty if nothing gates."""

    outcome: str
    sentence: str
    problems: list[Problem]


class Rule(NamedTuple):
    """One rule of the contract applied to one metric. `known` is False if the outcome is unknown; `verdict` is one of
    the five verdicts in words.
    """

    metric: str
    expects: str
    outcome: str
    known: bool
    sentence: str
    verdict: str = ""


class Line(NamedTuple):
    """A sentence of the report, and the word that it stands under."""

    label: str
    text: str


class Row(NamedTuple):
    """What became of a rule or a metric: `outcome` is empty for a metric without a rule."""

    metric: str
    verdict: str
    outcome: str
    better: str
    before: str
    now: str
    unit: str
    sentence: str


class Candidate(NamedTuple):
    iid: int
    name: str
    url: str
    status: str
    job_id: str
    job_url: str
    metrics: dict[str, float]


class Best(NamedTuple):
    iid: int
    name: str
    url: str
    runs: int
    params: dict[str, str]


class Case(NamedTuple):
    """One case of an evaluation. `change` is broke, fixed, failed (as before, or without a baseline), passed, missing
    or not judged; `broke`, `fixed` and `failed` name scorers. `url` shows both answers of a case that has changed.
    """

    id: str
    label: str
    change: str
    broke: Sequence[str] = ()
    fixed: Sequence[str] = ()
    failed: Sequence[str] = ()
    url: str = ""
    in_baseline: bool = False


class Scorer(NamedTuple):
    """`now` is the share of cases that pass, or the mean. `errors` are how many cases it could not judge."""

    name: str
    now: float | None
    errors: int = 0


class Evaluation(NamedTuple):
    """`compared` cases are in both evaluations; None if nothing could be compared, and then `problem` says why.
    `left_out` cases are not in `cases`.
    """

    name: str
    url: str
    problem: str
    cases: Sequence[Case]
    scorers: Sequence[Scorer] = ()
    compared: int | None = None
    broke: int = 0
    fixed: int = 0
    left_out: int = 0


class Model(NamedTuple):
    name: str
    best: Best | None
    metrics: list[Metric]
    parameters: list[Parameter]
    candidates: list[Candidate]
    gate: str
    rules: list[Rule]
    silence: str = ""  # what follows if a run was expected and there is none
    against: str = ""  # the branch or version that it is compared with
    heading: str = ""
    lines: Sequence[Line] = ()
    rows: Sequence[Row] = ()
    evaluations: Sequence[Evaluation] = ()
    imported: str = ""  # where the baseline was imported from, so that it is not verified


class Report(NamedTuple):
    """`state` is ready, waiting or empty; `level` is good, bad, neutral or unknown. `override` says who has accepted
    the broken rules, and why; it is empty if nobody has.
    """

    state: str
    reason: str
    pipeline_url: str
    level: str
    sentence: str
    models: list[Model]
    note_url: str
    note_problem: str
    markdown: str
    gate: Gate
    proposed: Gate | None
    override: str
    questions: list[str]
    heading: str = ""
    lines: Sequence[Line] = ()


class Comparison(NamedTuple):
    """How a promoted version compares with the one it replaces. `why_not` says why nothing is compared,
    `imported` where that version was imported from, so that it is not verified.
    """

    version: str
    why_not: str
    lines: list[str]
    imported: str = ""


class MovedPrompt(NamedTuple):
    """An alias of a prompt that moves with a promotion, and the numbers of its versions; `replaces` may be empty."""

    name: str
    alias: str
    version: str
    replaces: str


class Promotion(NamedTuple):
    """`state` is promoted, already, dry_run, refused or nothing. After an earlier promotion `holder` is the version
    that the alias points at now.
    """

    state: str
    model: str
    version: str
    alias: str
    bump: str
    reason: str
    replaces: str
    url: str
    comparison: Comparison | None = None
    holder: str = ""
    holder_url: str = ""
    prompts: Sequence[MovedPrompt] = ()

    @property
    def is_overtaken(self) -> bool:
        """Whether the pipeline has promoted before, and the alias now points at another version."""
        return self.state == "already" and bool(self.alias) and self.holder not in {"", self.version}


class Detached(NamedTuple):
    """A run that outlives its job, with a token for this run only. `until_ms` is in milliseconds since the epoch."""

    run_id: str
    token: str
    until_ms: int
    url: str


class Setup(NamedTuple):
    """What the server knows about the caller. `limit` says why it can only read, `bot_problem` what the bot lacks."""

    version: str
    user: str
    may_write: bool
    limit: str
    job_id: str
    has_bot: bool
    bot_problem: str


def report(response: Mapping[str, Any]) -> Report:
    return decoded(_report, response)


def promotions(response: Mapping[str, Any]) -> list[Promotion]:
    return decoded(lambda body: [_promotion(one) for one in body["promotions"]], response)


def candidates(response: Mapping[str, Any]) -> list[Candidate]:
    return decoded(lambda body: [_candidate(one) for one in body["candidates"]], response)


def detached(response: Mapping[str, Any]) -> Detached:
    return decoded(
        lambda body: Detached(str(body["run_id"]), str(body["token"]), int(body["until_ms"]), text(body.get("url"))),
        response,
    )


def setup(response: Mapping[str, Any]) -> Setup:
    return decoded(
        lambda body: Setup(
            str(body["version"]),
            text(body.get("user")),
            body["access"] == "write",
            text(body.get("limit")),
            text(body.get("job_id")),
            body.get("bot") is not None,
            text((body.get("bot") or {}).get("problem")),
        ),
        response,
    )


def contract_trial(response: Mapping[str, Any]) -> tuple[Gate, list[tuple[str, Rule]]]:
    """The gate's outcome with another contract, and its rules with the name of their model."""

    def decode(body: Mapping[str, Any]) -> tuple[Gate, list[tuple[str, Rule]]]:
        models = body.get("models") or ()
        return gate(body.get("gate") or {}), [(str(one["name"]), rule(each)) for one in models for each in one["rules"]]

    return decoded(decode, response)


def card(response: Mapping[str, Any]) -> str:
    """A model card, as Markdown."""
    return decoded(lambda body: str(body["markdown"]), response)


def pipeline_of_run(response: Mapping[str, Any]) -> str:
    """The pipeline that made a run; empty if none did. https://mlflow.org/docs/latest/rest-api.html#get-run"""
    return decoded(
        lambda body: next(
            (tag["value"] for tag in body["run"]["data"].get("tags", ()) if tag["key"] == "gitlab.CI_PIPELINE_ID"), ""
        ),
        response,
    )


def experiment_name(response: Mapping[str, Any]) -> str:
    """https://mlflow.org/docs/latest/rest-api.html#get-experiment"""
    return decoded(lambda body: str(body["experiment"]["name"]), response)


def _report(body: Mapping[str, Any]) -> Report:
    verdict, note = body.get("verdict") or {}, body.get("note") or {}
    heading, lines = _summary(body)
    return Report(
        state=word(body["state"]),
        reason=text(body.get("reason")),
        pipeline_url=text((body.get("pipeline") or {}).get("url")),
        level=text(verdict.get("level")) or "unknown",
        sentence=text(verdict.get("sentence")),
        models=[_model(one) for one in body.get("models") or ()],
        note_url=text(note.get("url")),
        note_problem=text(note.get("problem")),
        markdown=text(body.get("markdown")),
        gate=gate(body.get("gate") or {}),
        proposed=gate(body["proposed"]) if body.get("proposed") else None,
        override=_override(body.get("override")),
        questions=[text(one) for one in body.get("questions") or ()],
        heading=heading,
        lines=lines,
    )


def _summary(body: Mapping[str, Any]) -> tuple[str, list[Line]]:
    found = body.get("summary") or {}
    lines = [Line(text(one.get("label")), text(one.get("text"))) for one in found.get("lines") or ()]
    return text(found.get("heading")), lines


def _override(body: Mapping[str, Any] | None) -> str:
    return f"{text(body.get('user'))}: {text(body.get('reason'))}" if body else ""


def gate(body: Mapping[str, Any]) -> Gate:
    problems = [
        Problem(int(one["line"]), text(one.get("key")), text(one.get("message"))) for one in body.get("problems") or ()
    ]
    return Gate(text(body.get("outcome")), text(body.get("sentence")), problems)


def _model(body: Mapping[str, Any]) -> Model:
    best = body.get("best")
    heading, lines = _summary(body)
    return Model(
        name=str(body["name"]),
        best=best and _best(best),
        metrics=[_metric(one) for one in body.get("metrics") or ()],
        parameters=[
            Parameter(str(one["name"]), maybe(one.get("from")), maybe(one.get("to")))
            for one in body.get("parameters") or ()
        ],
        candidates=[_candidate(one) for one in body.get("candidates") or ()],
        gate=text(body.get("gate")),
        rules=[rule(one) for one in body.get("rules") or ()],
        silence=text((body.get("silence") or {}).get("sentence")),
        against=text(body.get("against")),
        heading=heading,
        lines=lines,
        rows=[_row(one) for one in body.get("rows") or ()],
        evaluations=[_evaluation(one) for one in body.get("evaluations") or ()],
        imported=_imported(body),
    )


def _imported(body: Mapping[str, Any]) -> str:
    """Read where the baseline was imported from; empty if it was not."""
    return text(((body.get("baseline") or {}).get("imported") or {}).get("sentence"))


def _evaluation(body: Mapping[str, Any]) -> Evaluation:
    return Evaluation(
        name=str(body["name"]),
        url=text(body.get("url")),
        problem=text(body.get("problem")),
        cases=[_case(one) for one in body.get("cases") or ()],
        scorers=[
            Scorer(str(one["name"]), number(one.get("current")), int((one.get("errors") or {}).get("current") or 0))
            for one in body.get("scorers") or ()
        ],
        compared=None if body.get("compared") is None else int(body["compared"]),
        broke=int(body.get("broke") or 0),
        fixed=int(body.get("fixed") or 0),
        left_out=int(body.get("left_out") or 0),
    )


def _case(body: Mapping[str, Any]) -> Case:
    broke, fixed, failed = ([str(one) for one in body.get(key) or ()] for key in ("broke", "fixed", "failed"))
    return Case(
        str(body["id"]),
        text(body.get("label")),
        text(body.get("change")),
        broke,
        fixed,
        failed,
        text(body.get("url")),
        bool(body.get("in_baseline")),
    )


def _row(body: Mapping[str, Any]) -> Row:
    return Row(
        metric=str(body["metric"]),
        verdict=text(body.get("verdict")),
        outcome=text(body.get("outcome")),
        better=text(body.get("better")),
        before=text(body.get("before")),
        now=text(body.get("now")),
        unit=text(body.get("unit")),
        sentence=text(body.get("sentence")),
    )


def _best(body: Mapping[str, Any]) -> Best:
    params = {str(key): str(value) for key, value in (body.get("params") or {}).items()}
    return Best(int(body["iid"]), text(body.get("name")), text(body.get("url")), int(body.get("runs", 1)), params)


def rule(body: Mapping[str, Any]) -> Rule:
    return Rule(
        metric=str(body["metric"]),
        expects=text(body.get("expects")),
        outcome=str(body["outcome"]),
        known=bool(body.get("known", True)),
        verdict=text(body.get("verdict")),
        sentence="; ".join(filter(None, (text(body.get("sentence")), text(body.get("advice"))))),
    )


def _metric(body: Mapping[str, Any]) -> Metric:
    return Metric(
        name=str(body["name"]),
        direction=text(body.get("direction")),
        guessed=bool(body.get("guessed")),
        baseline=_spread(body.get("baseline")),
        current=_spread(body.get("current")),
        delta=number(body.get("delta")),
        verdict=text(body.get("verdict")),
        sentence=text(body.get("sentence")),
    )


def _spread(body: Mapping[str, Any] | None) -> Spread | None:
    if body is None:
        return None
    return Spread(float(body["mean"]), number(body.get("sd")), int(body["n"]))


def _candidate(body: Mapping[str, Any]) -> Candidate:
    return Candidate(
        iid=int(body["iid"]),
        name=text(body.get("name")),
        url=text(body.get("url")),
        status=text(body.get("status")),
        job_id=text(body.get("job_id")),
        job_url=text(body.get("job_url")),
        metrics={str(name): float(value) for name, value in (body.get("metrics") or {}).items() if value is not None},
    )


def _promotion(body: Mapping[str, Any]) -> Promotion:
    replaces = body.get("replaces")
    return Promotion(
        state=word(body["state"]),
        model=text(body.get("model")),
        version=text(body.get("version")),
        alias=text(body.get("alias")),
        bump=text(body.get("bump")),
        reason=text(body.get("reason")),
        replaces=text(replaces.get("version") if isinstance(replaces, dict) else replaces),
        url=text(body.get("url")),
        comparison=_comparison(body["comparison"]) if body.get("comparison") else None,
        holder=text((body.get("holder") or {}).get("version")),
        holder_url=text((body.get("holder") or {}).get("url")),
        prompts=[_moved_prompt(one) for one in body.get("prompts") or ()],
    )


def _moved_prompt(body: Mapping[str, Any]) -> MovedPrompt:
    numbers = [str(body[key]) if body.get(key) is not None else "" for key in ("version", "replaces")]
    return MovedPrompt(text(body.get("name")), text(body.get("alias")), *numbers)


def _comparison(body: Mapping[str, Any]) -> Comparison:
    lines = [_line(one) for one in body.get("metrics") or ()]
    return Comparison(text(body.get("version")), text(body.get("why_not")), lines, text(body.get("imported")))


def _line(one: Mapping[str, Any]) -> str:
    direction = text(one.get("direction"))
    better = f" ({direction} is better)" if direction in {"higher", "lower"} else ""
    return f"{one['name']}{better}: {text(one.get('standing'))}, {text(one.get('sentence'))}"
