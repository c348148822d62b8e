"""GitLab cuts long diffs without an error. What nobody can tell is never "untouched", nor "the same code".

https://docs.gitlab.com/administration/diff_limits/
"""

import pytest

from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab.client import GitLab
from mltrail_server.gitlab.connections import Connections
from tests.api.review.merge_requests import RULE, a_main, a_request, contract
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab.diffs import Limits
from tests.team import Team

BACKENDS = ("sqlite",)
GOOD, BAD = [0.80, 0.81, 0.82], [0.60, 0.61, 0.62]
PROJECT = ProjectId(42)
MAIN, HEAD = "a1" * 20, "b2" * 20
MODELS = contract(RULE, paths='["models/**"]')


def docs(number: int, *, lines: int = 1) -> dict[str, str]:
    """Files that come before those of a model, and are none of its."""
    return {f"docs/{one:04}.md": "".join(f"{one} {line}\n" for line in range(lines)) for one in range(number)}


def cut_by(team: Team, kind: str, files: int) -> dict[str, str]:
    """Have GitLab keep so many files of this diff, by its limit of files, lines or bytes."""
    if kind == "files":
        team.gitlab.diff_limits = Limits(files=files)
        return docs(files - 1)
    if kind == "lines":
        team.gitlab.diff_limits = Limits(files=1000, lines=10 * files + 1)
        return docs(files - 1, lines=10)
    team.gitlab.diff_limits = Limits(files=100)
    return {f"docs/{one:04}.md": "x" * (5 * 1024 * 100 // files - 2) for one in range(files - 1)}


@pytest.mark.parametrize("kind", ["files", "lines", "bytes"])
@pytest.mark.parametrize("files", [3, 120])
@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_a_model_beyond_the_limit_is_touched(trail: Trail, kind: str, files: int, beyond: int) -> None:
    a_main(trail, SHAS["b"], MODELS, GOOD)
    changed = cut_by(trail.team, kind, files)
    if beyond < 0:
        changed.popitem()
    elif beyond:
        changed["docs/zzzz.md"] = next(iter(changed.values())) + "\n"
    last = next(iter(changed.values())) if kind != "files" else "x\n"
    _, pipeline = a_request(trail, BAD, changed | {"models/churn.py": last})
    (model,) = trail.report(pipeline)["models"]
    assert (model["touched"], model["gate"]) == (True, "fail")


@pytest.mark.parametrize("kind", ["files", "lines", "bytes"])
@pytest.mark.parametrize(("beyond", "touched"), [(0, False), (1, True)])
def test_a_diff_that_is_cut_is_never_untouched(trail: Trail, kind: str, beyond: int, touched: bool) -> None:
    a_main(trail, SHAS["b"], MODELS, GOOD)
    changed = cut_by(trail.team, kind, 5)
    for number in range(beyond + (kind == "files")):
        changed[f"docs/zzz{number}.md"] = next(iter(changed.values())) + "\n"
    _, pipeline = a_request(trail, BAD, changed)
    (model,) = trail.report(pipeline)["models"]
    assert model["touched"] is touched


@pytest.mark.parametrize(("old", "new"), [("models/churn.py", "lib/churn.py"), ("lib/churn.py", "models/churn.py")])
def test_a_moved_file_touches_both_its_places(trail: Trail, old: str, new: str) -> None:
    trail.team.gitlab.add_commit(trail.team.project, "d1" * 20, parents=(MAIN,), branch="main", files={old: "x = 1\n"})
    a_main(trail, SHAS["b"], MODELS, GOOD)
    _, pipeline = a_request(trail, BAD, {old: None, new: "x = 1\n"})
    assert trail.report(pipeline)["models"][0]["touched"] is True


def test_a_patch_that_is_too_large_is_listed_by_its_name(trail: Trail) -> None:
    a_main(trail, SHAS["b"], MODELS, GOOD)
    _, pipeline = a_request(trail, BAD, {"docs/data.csv": "1,2\n" * 100_000})
    assert trail.report(pipeline)["models"][0]["touched"] is False


def test_the_changes_of_an_earlier_target_are_forgotten(trail: Trail) -> None:
    # Against a branch that has the change already, the merge request changes nothing.
    gitlab, project = trail.team.gitlab, trail.team.project
    a_main(trail, SHAS["b"], MODELS, GOOD)
    request, pipeline = a_request(trail, BAD, {"models/churn.py": "x = 1"})
    base = request.base_sha
    gitlab.add_commit(project, SHAS["c"], parents=(SHAS["b"],), branch="mine", files={"models/churn.py": "x = 1"})
    request.target_branch, request.base_sha = "mine", SHAS["c"]
    assert trail.report(pipeline)["models"][0]["touched"] is False
    request.target_branch, request.base_sha = "main", base
    report = trail.report(pipeline)
    assert (report["models"][0]["touched"], report["gate"]["outcome"]) == (True, "fail")


class TestTheClient:
    @pytest.fixture
    def client(self, team: Team) -> GitLab:
        return GitLab(Connections(team.gitlab.url), team.tokens["bot"])

    def changed(self, client: GitLab, team: Team, files: dict[str, str], head: str | None = HEAD) -> list[str] | None:
        team.gitlab.add_commit(team.project, HEAD, parents=(MAIN,), branch="faster", files=files)
        iid = team.gitlab.add_merge_request(team.project, "faster", "main", "Learn faster").iid
        return client.changed_paths(PROJECT, iid, head=head)

    @pytest.mark.parametrize(("number", "known"), [(0, True), (1, True), (99, True), (250, True), (251, False)])
    def test_all_pages_are_read_up_to_the_limit(self, client: GitLab, team: Team, number: int, known: bool) -> None:
        team.gitlab.diff_limits = Limits(files=250)
        files = docs(number)
        assert self.changed(client, team, files) == (sorted(files) if known else None)

    def test_what_the_head_is_not_of_is_unknown(self, client: GitLab, team: Team) -> None:
        assert self.changed(client, team, docs(2), head="c3" * 20) is None
        assert self.changed(client, team, docs(2), head=None) is None

    def test_a_push_while_it_is_read_makes_it_unknown(self, client: GitLab, team: Team) -> None:
        def push() -> None:
            team.gitlab.add_commit(team.project, "c3" * 20, parents=(HEAD,), branch="faster", files=docs(2))

        team.gitlab.fail_next("GET", "/merge_requests/1$", act=push)
        assert self.changed(client, team, docs(2)) is None

    def test_a_merge_request_without_commits_changes_nothing(self, client: GitLab, team: Team) -> None:
        team.project.branches["same"] = MAIN
        iid = team.gitlab.add_merge_request(team.project, "same", "main", "Nothing").iid
        assert client.changed_paths(PROJECT, iid, head=MAIN) == []

    @pytest.mark.parametrize(("limit", "known"), [(4, True), (3, True), (2, False)])
    def test_a_comparison_that_is_cut_is_unknown(self, client: GitLab, team: Team, limit: int, known: bool) -> None:
        files = docs(3)
        team.gitlab.add_commit(team.project, HEAD, parents=(MAIN,), files=files)
        team.gitlab.diff_limits = Limits(files=limit)
        assert client.compared_paths(PROJECT, MAIN, HEAD) == (set(files) if known else None)
