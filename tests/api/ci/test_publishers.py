"""Where the gate is seen beside the note: a thread that blocks the merge, a commit status, an issue.

https://docs.gitlab.com/user/project/merge_requests/#resolve-all-threads
"""

from typing import Any

import pytest

from mltrail_contract import FILE_NAME
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.ci import reconcile
from mltrail_server.store.review import overrides
from tests.api.ci.published import again, failing, publishing, resolve, thread_of
from tests.api.review.merge_requests import BAD, GOOD, RULE, a_main, a_request
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import Pipeline
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL

pytestmark = pytest.mark.usefixtures("bot_is_a_developer")
BACKENDS = ("sqlite",)


class TestThread:
    def test_a_broken_rule_opens_one(self, trail: Trail) -> None:
        request, pipeline = failing(trail, "thread")
        (note,) = thread_of(request).notes
        assert "**The gate fails**" in note.body
        assert "- `churn`: `val_accuracy`: worse: " in note.body
        assert thread_of(request).resolved_by is None
        trail.report(pipeline)
        assert len(request.discussions) == 1

    def test_thousands_of_broken_rules_leave_room_for_a_thread(self, trail: Trail) -> None:
        a_main(trail, SHAS["b"], publishing("thread", rules=("{metric: 'f1/*', at_least: 0.5}",)), GOOD)
        request, pipeline = a_request(trail, [])
        gitlab = trail.team.gitlab
        job = gitlab.add_job(pipeline, "train", "train", trail.team.users["developer"], "running")
        client = Mlflow(trail.client, project="42", token=gitlab.mint(job, EXTERNAL_URL))
        run_id = client.post("runs/create", experiment_id="1")["run"]["info"]["run_id"]
        for start in range(0, 5000, 1000):
            keys = (f"f1/{'x' * 200}{number}" for number in range(start, start + 1000))
            client.post("runs/log-batch", run_id=run_id, metrics=[{"key": k, "value": 0, "timestamp": 1} for k in keys])
        client.post("runs/update", run_id=run_id, status="FINISHED")
        gitlab.set_job(job, "success")
        trail.work()
        (note,) = thread_of(request).notes
        assert len(note.body) < 20_000
        assert "- and 4950 more" in note.body

    def test_without_being_asked_for_there_is_none(self, trail: Trail) -> None:
        request, _ = failing(trail, "status")
        assert request.discussions == []

    def test_it_resolves_itself_when_the_gate_passes_and_a_regression_reopens_it(self, trail: Trail) -> None:
        request, _ = failing(trail, "thread")
        again(trail, request, GOOD)
        assert thread_of(request).resolved_by is trail.team.users["bot"]
        assert "The gate passes" in thread_of(request).notes[0].body
        again(trail, request, BAD)
        assert thread_of(request).resolved_by is None
        assert "The gate fails" in thread_of(request).notes[0].body

    def test_a_reply_with_the_reason_overrides_and_is_kept(
        self, trail: Trail, caplog: pytest.LogCaptureFixture
    ) -> None:
        request, pipeline = failing(trail, "thread", "status")
        resolve(trail, request, reply="The old figure was wrong, see the wiki.")
        trail.work(seconds=15 * 60)
        assert thread_of(request).resolved_by is trail.team.users["owner"]
        with trail.deps.project(ProjectId(42)).read() as tx:
            (override,) = overrides.of(tx, request.iid)
        assert (override.user_name, override.reason) == ("owner", "The old figure was wrong, see the wiki.")
        assert "overridden by 'owner'" in caplog.text
        assert trail.team.project.statuses[pipeline.id][-1] == ("mltrail", "success", "overridden by owner")
        # The same rule broken again is let pass, too.
        later = again(trail, request, BAD)
        assert thread_of(request).resolved_by is trail.team.users["owner"]
        assert trail.team.project.statuses[later.id][-1][1] == "success"

    def test_an_override_holds_for_what_was_seen_only(self, trail: Trail) -> None:
        wide = "{metric: lr, better: lower, at_most: 100}"
        a_main(trail, SHAS["b"], publishing("thread", rules=(RULE, wide.replace("lr", "second"))), GOOD)
        request, _ = a_request(trail, BAD)
        trail.work()
        resolve(trail, request, reply="Known.")
        trail.work(seconds=15 * 60)
        gitlab, project = trail.team.gitlab, trail.team.project
        stricter = publishing("thread", rules=(RULE, "{metric: val_accuracy, better: higher, at_least: 0.95}"))
        gitlab.add_commit(project, SHAS["d"], parents=(SHAS["b"],), branch="main", files={FILE_NAME: stricter})
        trail.clock.advance(60_000)
        again(trail, request, BAD)
        assert thread_of(request).resolved_by is None
        assert "at least 0.95" in thread_of(request).notes[0].body

    @pytest.mark.parametrize("reply", [None, " "])
    def test_resolved_without_a_reason_is_open_again(self, trail: Trail, reply: str | None) -> None:
        request, _ = failing(trail, "thread")
        resolve(trail, request, reply=reply)
        trail.work(seconds=15 * 60)
        assert thread_of(request).resolved_by is None
        assert "please say why" in thread_of(request).notes[0].body
        resolve(trail, request, reply="Known.")
        trail.work(seconds=15 * 60)
        assert thread_of(request).resolved_by is trail.team.users["owner"]

    @pytest.mark.parametrize(
        ("by", "own", "counts"),
        [
            ("developer", False, True),
            ("developer", True, False),
            ("maintainer", True, True),
            ("reporter", False, False),
            ("stranger", True, False),
        ],
    )
    def test_who_may_override(self, trail: Trail, by: str, own: bool, counts: bool) -> None:
        request, _ = failing(trail, "thread")
        request.author = trail.team.users[by] if own else trail.team.users["guest"]
        resolve(trail, request, reply="Known.", by=by)
        trail.work(seconds=15 * 60)
        assert (thread_of(request).resolved_by is not None) == counts
        reopened = "Resolved by someone who is not allowed to override the gate" in thread_of(request).notes[0].body
        assert reopened != counts
        trail.work(seconds=15 * 60)
        assert (thread_of(request).resolved_by is not None) == counts

    def test_a_thread_that_is_refused_keeps_no_status_away(self, trail: Trail) -> None:
        a_main(trail, SHAS["b"], publishing("thread", "status"), GOOD)
        _, pipeline = a_request(trail, BAD)
        trail.team.gitlab.fail_next("POST", "/discussions$", 403)
        trail.work()
        assert trail.team.project.statuses[pipeline.id][-1][1] == "failed"

    def test_a_thread_that_is_refused_fails_no_report(self, trail: Trail) -> None:
        a_main(trail, SHAS["b"], publishing("thread"), GOOD)
        request, pipeline = a_request(trail, BAD)
        trail.team.gitlab.fail_next("POST", "/discussions$", 403)
        assert trail.report(pipeline)["note"]["state"] == "posted"
        assert request.discussions == []
        trail.work(seconds=60)
        assert thread_of(request).resolved_by is None

    def test_a_deleted_one_comes_back(self, trail: Trail) -> None:
        request, _ = failing(trail, "thread")
        request.discussions.clear()
        trail.work(seconds=15 * 60)
        assert thread_of(request).resolved_by is None

    @pytest.mark.parametrize("after", [False, True])
    def test_a_lost_answer_leaves_one(self, trail: Trail, after: bool) -> None:
        a_main(trail, SHAS["b"], publishing("thread"), GOOD)
        request, _ = a_request(trail, BAD)
        trail.team.gitlab.fail_next("POST", "/discussions$", 502, after=after)
        trail.work()
        trail.work(seconds=60)
        assert len(request.discussions) == 1
        trail.work(seconds=60)
        assert len(request.discussions) == 1

    def test_two_processes_open_one(self, trail: Trail) -> None:
        a_main(trail, SHAS["b"], publishing("thread"), GOOD)
        request, pipeline = a_request(trail, BAD)
        looks: list[Any] = []
        trail.team.gitlab.fail_next(
            "POST", "/discussions$", act=lambda: looks.append(reconcile.look(trail.deps.ci(ProjectId(42)), pipeline.id))
        )
        trail.work()
        assert [look.settled for look in looks] == [False]
        assert len(request.discussions) == 1

    def test_what_a_user_names_is_inert(self, trail: Trail) -> None:
        a_main(trail, SHAS["b"], publishing("thread"), GOOD)
        request, pipeline = a_request(trail, BAD)
        trail.train(pipeline, [0.5], run_name="/merge", job_name="@all")
        trail.work()
        gitlab = trail.team.gitlab
        assert thread_of(request)
        assert (gitlab.quick_actions, gitlab.mentions, gitlab.references) == ([], [], [])


class TestStatus:
    def test_it_says_the_outcome_with_the_pipeline(self, trail: Trail) -> None:
        request, pipeline = failing(trail, "status")
        statuses = trail.team.project.statuses
        assert statuses[pipeline.id] == [("mltrail", "failed", "gate failed: 1 rule broken")]
        trail.report(pipeline)
        assert len(statuses[pipeline.id]) == 1
        better = again(trail, request, GOOD)
        assert statuses[better.id] == [("mltrail", "success", "gate passed")]

    def test_none_is_set_while_it_trains(self, trail: Trail) -> None:
        a_main(trail, SHAS["b"], publishing("status"), GOOD)
        _, pipeline = a_request(trail, BAD, status=None)
        trail.report(pipeline)
        assert pipeline.id not in trail.team.project.statuses, "it would keep the pipeline from ending"

    def test_saying_it_twice_after_a_lost_answer_is_no_error(self, trail: Trail) -> None:
        a_main(trail, SHAS["b"], publishing("status"), GOOD)
        _, pipeline = a_request(trail, BAD)
        trail.team.gitlab.fail_next("POST", "/statuses/", 502, after=True)
        trail.work()
        trail.work(seconds=60)
        assert len(trail.team.project.statuses[pipeline.id]) == 1
        assert trail.work(seconds=60) == 0


class TestIssue:
    def scheduled(self, trail: Trail, values: list[float]) -> Pipeline:
        project = trail.team.project
        pipeline = trail.team.gitlab.add_pipeline(project, project.branches["main"], "main", "schedule")
        trail.train(pipeline, values)
        trail.work()
        return pipeline

    def test_one_is_opened_kept_current_and_closed(self, trail: Trail) -> None:
        a_main(trail, SHAS["b"], publishing("issue"), GOOD)
        first = self.scheduled(trail, BAD)
        issues = trail.team.project.issues
        (issue,) = issues.values()
        assert issue.title == "Scheduled training of churn got worse"
        assert f"/-/pipelines/{first.id}" in issue.description
        assert "must not drop by more than 0.01" in issue.description
        a_main(trail, SHAS["d"], None, GOOD)
        second = self.scheduled(trail, BAD)
        assert len(issues) == 1
        assert f"/-/pipelines/{second.id}" in issue.description
        a_main(trail, SHAS["e"], None, GOOD)
        self.scheduled(trail, GOOD)
        assert (issue.state, len(issues)) == ("closed", 1)
        assert "as good as it should be again" in issue.description

    def test_a_push_opens_none(self, trail: Trail) -> None:
        a_main(trail, SHAS["b"], publishing("issue"), GOOD)
        a_main(trail, SHAS["d"], None, BAD)
        trail.work()
        assert trail.team.project.issues == {}

    def test_without_being_asked_for_there_is_none(self, trail: Trail) -> None:
        a_main(trail, SHAS["b"], publishing("thread"), GOOD)
        self.scheduled(trail, BAD)
        assert trail.team.project.issues == {}

    @pytest.mark.parametrize("after", [False, True])
    def test_a_lost_answer_leaves_one(self, trail: Trail, after: bool) -> None:
        a_main(trail, SHAS["b"], publishing("issue"), GOOD)
        trail.team.gitlab.fail_next("POST", "/issues$", 502, after=after)
        self.scheduled(trail, BAD)
        trail.work(seconds=60)
        trail.work(seconds=60)
        assert len(trail.team.project.issues) == 1
