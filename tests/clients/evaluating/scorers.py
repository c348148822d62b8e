"""https://mlflow.org/docs/latest/genai/eval-monitor/scorers/: scorers that an experiment keeps, in versions."""

import mlflow
from evaluating.registry import Desk, answer, check
from mlflow.genai.scorers import Guidelines, RelevanceToQuery, delete_scorer, get_scorer, list_scorers
from mlflow.tracking._tracking_service.utils import _get_store


def shown(scorer: object) -> object:
    return type(scorer).__name__, scorer.name, scorer.model_dump() if hasattr(scorer, "model_dump") else None


def listed(desk: Desk) -> object:
    return sorted(repr((one.name, type(one).__name__)) for one in list_scorers(experiment_id=desk.experiment_id))


@check(since=(3, 5))
def registered_listed_deleted(desk: Desk) -> object:
    saw = [listed(desk)]
    Guidelines(name="polite", guidelines="Be polite.").register(experiment_id=desk.experiment_id)
    Guidelines(name="polite", guidelines="Be very polite.").register(experiment_id=desk.experiment_id)
    RelevanceToQuery().register(name="relevant", experiment_id=desk.experiment_id)
    saw.append(listed(desk))
    saw += [answer(lambda version=version: shown(get(desk, "polite", version))) for version in (None, 1, 2, 3)]
    saw.append(answer(lambda: delete_scorer(name="polite", experiment_id=desk.experiment_id, version=2)))
    saw.append(answer(lambda: shown(get(desk, "polite", None))))
    saw.append(answer(lambda: delete_scorer(name="polite", experiment_id=desk.experiment_id, version="all")))
    saw.append(answer(lambda: delete_scorer(name="polite", experiment_id=desk.experiment_id, version="all")))
    saw.append(answer(lambda: delete_scorer(name="relevant", experiment_id=desk.experiment_id, version=7)))
    saw.append(answer(lambda: get(desk, "polite", None)))
    saw.append(listed(desk))
    return saw


def get(desk: Desk, name: str, version: int | None) -> object:
    return get_scorer(name=name, experiment_id=desk.experiment_id, version=version)


@check(since=(3, 5))
def versions(desk: Desk) -> object:
    for guideline in "ab":
        Guidelines(name="polite", guidelines=guideline).register(experiment_id=desk.experiment_id)
    store = _get_store()

    def each(name: str) -> object:
        return [(one.scorer_name, one.scorer_version) for one in store.list_scorer_versions(desk.experiment_id, name)]

    return answer(lambda: each("polite")), answer(lambda: each("missing"))


@check(since=(3, 5))
def a_judge(desk: Desk) -> object:
    judge = mlflow.genai.make_judge(
        name="correct", instructions="Is {{ outputs }} right for {{ inputs }}?", model="openai:/gpt-4o-mini"
    )
    made = answer(lambda: judge.register(experiment_id=desk.experiment_id))
    got = answer(lambda: shown(get(desk, "correct", None)))
    return made if isinstance(made, str) else shown(made), got, listed(desk)


@check(since=(3, 5))
def code_stays_with_the_code(desk: Desk) -> object:
    @mlflow.genai.scorer
    def exact(outputs: str) -> bool:
        return outputs == "x"

    return answer(lambda: exact.register(experiment_id=desk.experiment_id)), listed(desk)


@check(since=(3, 5))
def in_an_experiment_that_does_not_exist(desk: Desk) -> object:
    return [
        answer(lambda: Guidelines(name="polite", guidelines="x").register(experiment_id="987654")),
        answer(lambda: list_scorers(experiment_id="987654")),
        answer(lambda: get_scorer(name="polite", experiment_id="987654")),
    ]
