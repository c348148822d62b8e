"""Earlier pipelines of a merge request: one that is too large to be read hides only itself."""

from mltrail_contract import Model
from mltrail_server.services.review.looks import EarlierPipelines
from mltrail_server.store.ci.pipelines import Pipeline, TrainedPipeline


def trained(number: int) -> TrainedPipeline:
    return TrainedPipeline(Pipeline(number, f"sha {number}", "faster", "push", "success", None, 1), "the same files")


OLD, LARGE, NEWEST = map(trained, (1, 2, 3))
EARLIER = EarlierPipelines(
    [NEWEST, LARGE, OLD], {1: [], 3: []}, {one.pipeline.head: () for one in (OLD, LARGE, NEWEST)}
)


def test_older_looks_still_count() -> None:
    assert [one.id for one, _ in EARLIER.on_files_of(NEWEST.pipeline)] == [1]


def test_no_verdict_older_than_it_is_carried_forward() -> None:
    assert [one.id for one, _ in EARLIER.without_a_change_of(Model("churn"))] == [3]
