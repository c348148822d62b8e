"""Whether what is to be promoted has the evaluation that the contract asks for."""

from collections.abc import Callable, Sequence

from mltrail_server.domain.evaluations import evaluates
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.run_tags import EVALUATES_TAG
from mltrail_server.domain.trials import is_of_tests
from mltrail_server.services.contract.policy import Policy
from mltrail_server.services.review.cases import evaluations
from mltrail_server.store.db.transaction import Transaction

from .ranking import Winner


def lacking(
    tx: Transaction,
    winner: Winner,
    policy: Policy,
    runs: Sequence[Run],
    quoted: Callable[[str], str] = "`{}`".format,
) -> str:
    """Say that a winner has no evaluation although it needs one; "" if it has, or needs none. `runs` are all of its
    pipeline: tests of the commit have a run of their own, and so may have an evaluation of the winner.
    """
    needed = policy.promote.needs_evaluation if policy.promote is not None else None
    evaluation = policy.model.evaluations.get(needed or "")
    if evaluation is None:
        return ""
    beside = [
        run
        for run in runs
        if run.state is RunState.SUCCEEDED and (evaluates(run) == winner.run.eid or is_of_tests(run))
    ]
    if evaluations.has(tx, evaluation, list({run.iid: run for run in (*winner.runs, *beside)}.values())):
        return ""
    return (
        f"{quoted(winner.run.name)} has no evaluation {quoted(evaluation.name)}, which the contract file requires: "
        f"evaluate in this run, or in one with the tag {quoted(EVALUATES_TAG)}"
    )
