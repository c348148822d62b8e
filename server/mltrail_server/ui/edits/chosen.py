"""Compare, delete, restore and tag several runs: those that were ticked, those of a page, or all that match.

What a person confirms is a list of runs, not a search: runs that match later are left alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode

from flask import redirect
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from mltrail_server.domain import limits, ranges
from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import MltrailError, invalid
from mltrail_server.http.call import Call
from mltrail_server.services.pages import workspace
from mltrail_server.services.pages.compare import MOST as MOST_COMPARED
from mltrail_server.services.pages.workspace import MOST_AT_ONCE
from mltrail_server.services.tracking import bulk
from mltrail_server.services.tracking.bulk import Outcome
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.ui import candidate_table, messages, sentences
from mltrail_server.ui.messages import Undo, quoted
from mltrail_server.ui.table_state import State

from . import forms
from .forms import Done, Question, key

_MOST_NAMED = 10
_MOST_REFUSALS = 3
_OF_MANY = {
    "delete": ("Delete", "Delete"),
    "restore": ("Restore", "Restore"),
    "tag": ("Tag", "Tag"),
    "untag": ("Remove a tag from", "Remove tag from"),
}
"""What a person is asked, and the button."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The runs that a form is about. If more match than one form may change, `more` is set, and these are the first."""

    runs: Sequence[Candidate]
    more: bool
    searched: bool


def compare(call: Call, iid: int) -> ResponseReturnValue:
    """Compare the runs that a reader has chosen."""
    return _compared(call, iid, call.request.args)


def change(call: Call, iid: int) -> ResponseReturnValue:
    """Do what the form above the table asks for."""
    form = call.request.form
    if form.get("do") == "compare":
        return _compared(call, iid, form)
    numbers = _numbers(call, iid, form)
    runs = workspace.runs(call.scope, iid, numbers[:MOST_AT_ONCE])
    chosen = Chosen(runs, len(numbers) > MOST_AT_ONCE, form.get("which") == "all")
    actions: Mapping[str, Callable[[], Done]] = {
        "delete": lambda: _stage(call, iid, _some(chosen), Stage.DELETED),
        "restore": lambda: _stage(call, iid, _some(chosen), Stage.ACTIVE),
        "tag": lambda: _tag(call, iid, _some(chosen)),
        "untag": lambda: _untag(call, _some(chosen)),
    }
    asked = set(actions) if chosen.searched else {"delete"}
    ask = {name: lambda name=name: _question(call, name, chosen) for name in asked}
    return forms.answer(call, actions, f"experiments/{iid}{_back(form)}", ask=ask)


def _compared(call: Call, iid: int, fields: MultiDict[str, str]) -> ResponseReturnValue:
    numbers = _numbers(call, iid, fields)
    if len(numbers) > MOST_COMPARED:  # an address of a thousand runs is longer than web servers accept
        many = f"more than {MOST_AT_ONCE:,}" if len(numbers) > MOST_AT_ONCE else f"{len(numbers):,}"
        messages.say(f"These are the first {MOST_COMPARED} of {many} runs: no more can be compared at once.")
    query = [("of", f"experiments/{iid}"), *(("run", str(number)) for number in numbers[:MOST_COMPARED])]
    return redirect(f"{call.pages}/compare?{urlencode(query)}", 303)


def _numbers(call: Call, iid: int, fields: MultiDict[str, str]) -> Sequence[int]:
    """Read which runs a form is about. Raises INVALID."""
    which = fields.get("which", "chosen")
    if which == "all":
        state = State.read(MultiDict(parse_qs(fields.get("query", ""), keep_blank_values=True)), call.scope.now)
        if state.problem is not None:
            raise invalid(state.problem)
        return workspace.matching(call.scope, iid, candidate_table.every(state))
    given = fields.get("runs") or (fields.get("page_runs", "") if which == "page" else ",".join(fields.getlist("run")))
    try:
        return ranges.read(given, most=MOST_AT_ONCE)
    except ValueError as error:
        raise invalid("This form is out of date. Reload the page.") from error


def _some(chosen: Chosen) -> Sequence[Candidate]:
    if not chosen.runs:
        raise invalid("Tick the runs first, or choose all that match.")
    return chosen.runs


def _back(form: MultiDict[str, str]) -> str:
    """Return the query of the page that the form was on."""
    return "?" + urlencode(
        [(name, value) for name, values in parse_qs(form.get("query", "")).items() for value in values]
    )


def _question(call: Call, action: str, chosen: Chosen) -> Question:
    runs = _some(chosen)
    title, button = _OF_MANY[action]
    names = ", ".join(quoted(run.name) for run in runs[:_MOST_NAMED])
    points = [names if len(runs) <= _MOST_NAMED else f"{names} and {len(runs) - _MOST_NAMED:,} more."]
    if chosen.more:
        points.append(f"These are the first {MOST_AT_ONCE:,} that match. Repeat this for the others.")
    if action == "delete":
        points += _before_deletion(call, runs)
    form = call.request.form
    fields = [("do", action), ("runs", ranges.written(run.iid for run in runs))]
    fields += [(name, form[name]) for name in ("query", "key", "value") if name in form]
    return Question(f"{title} {_count(runs)}?", points, f"{button} {_count(runs)}", fields)


def _before_deletion(call: Call, runs: Sequence[Candidate]) -> list[str]:
    """Say what a deletion means, as for a single run."""
    one = len(runs) == 1
    points = [
        f"Everything logged to {'it' if one else 'them'} stays. {forms.RESTORABLE if one else forms.RESTORABLE_ALL}"
    ]
    verified = workspace.logged_by_jobs(call.scope, [run.iid for run in runs])
    if verified:
        points.append(_of_jobs(verified, len(runs)))
    protected = sum(bool(run.protected) for run in runs)
    if protected and not call.actor.has_maintainer_rights:
        points.append(
            f"{protected:,} {_be(protected, 'was', 'were')} made on a protected branch or tag, and will stay: deleting "
            "them takes the Maintainer role."
        )
    promoted = sum(run.promoted for run in runs)
    if promoted:
        points.append(f"{promoted:,} {_be(promoted, 'is', 'are')} behind a promoted model version.")
    return points


def _of_jobs(verified: int, count: int) -> str:
    """Say what the deletion of evidence means: the words are those of `services/pages/consequences.py`."""
    stays = "from lists, but merge requests are still compared with"
    if count == 1:
        return f"It disappears {stays} it. While deleted, it can't be promoted."
    who = "They" if verified == count else f"CI jobs logged {verified:,} of them, which"
    return f"{who} disappear {stays} them. While deleted, they can't be promoted."


def _be(count: int, one: str, several: str) -> str:
    return one if count == 1 else several


def _stage(call: Call, iid: int, runs: Sequence[Candidate], stage: Stage) -> Done:
    outcome = bulk.change_stage(call.scope, runs, stage)
    back = "restore" if stage is Stage.DELETED else "delete"
    did = "Deleted" if stage is Stage.DELETED else "Restored"
    said = _said(did, outcome)
    if stage is Stage.DELETED and outcome.done:
        said += f" {forms.RESTORABLE if len(outcome.done) == 1 else forms.RESTORABLE_ALL}"
    return Done(said, _undo(call, iid, outcome.done, {"do": back}))


def _tag(call: Call, iid: int, runs: Sequence[Candidate]) -> Done:
    name, value = key(call), forms.field(call, "value")
    limits.check_tag(name, value)
    before = workspace.tag_of(call.scope, [run.iid for run in runs], name)
    outcome = bulk.set_tag(call.scope, runs, name, value)
    former = {before.get(run.iid) for run in outcome.done}
    undo = None
    if len(former) == 1:
        (old,) = former
        undo = {"do": "untag", "key": name} if old is None else {"do": "tag", "key": name, "value": old}
    return Done(
        _said(f"Set {quoted(name)} to {quoted(value)} on", outcome),
        _undo(call, iid, outcome.done, undo) if undo else None,
    )


def _untag(call: Call, runs: Sequence[Candidate]) -> Done:
    name = key(call)
    there = workspace.tag_of(call.scope, [run.iid for run in runs], name)
    outcome = bulk.delete_tag(call.scope, [run for run in runs if run.iid in there], name)
    without = len(runs) - len(there)
    return Done(_said(f"Removed {quoted(name)} from", outcome) + (f" {without:,} did not have it." if without else ""))


def _undo(call: Call, iid: int, runs: Sequence[Candidate], fields: Mapping[str, str]) -> Undo | None:
    if not runs:
        return None
    of_runs = {"runs": ranges.written(run.iid for run in runs), "query": forms.field(call, "query"), "sure": "1"}
    return Undo(f"experiments/{iid}/runs", {**fields, **of_runs})


def _said(did: str, outcome: Outcome) -> str:
    """Say what was done, and to which runs it was not."""
    said = f"{did} {_count(outcome.done)}."
    if not outcome.refused:
        return said
    reasons = [f"{quoted(run.name)}: {_reason(error)}" for run, error in outcome.refused[:_MOST_REFUSALS]]
    more = len(outcome.refused) - len(reasons)
    reasons += [f"and {more:,} more."] if more else []
    return f"{said} Refused for {_count(outcome.refused)}: {' '.join(reasons)}"


def _reason(error: MltrailError) -> str:
    return sentences.of(error)


def _count(some: Sequence[object]) -> str:
    return f"{len(some):,} {'run' if len(some) == 1 else 'runs'}"
