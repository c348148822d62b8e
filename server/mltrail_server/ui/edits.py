"""Changes that people make on pages: a form, one service call, and back to the page with the result.

Each form carries the session's own token (`ui.session`), and each route declares that it writes.
"""

import math
from collections.abc import Callable, Mapping

from flask import flash, redirect
from flask.typing import ResponseReturnValue

from mltrail_server.domain import limits
from mltrail_server.domain.assessments import Assessment, Kind
from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import Code, MltrailError, invalid
from mltrail_server.domain.identity import Access
from mltrail_server.http.call import Call
from mltrail_server.http.routes import require
from mltrail_server.services.promotion import promote as promote_service
from mltrail_server.services.promotion.write import PromotionRequest
from mltrail_server.services.registry import aliases, models, versions
from mltrail_server.services.traces import assessments, traces
from mltrail_server.services.tracking import candidates, experiments, logging
from mltrail_server.store.traces.traces import Selection

from . import sentences
from .candidate_page import NOTE
from .render import segment

_SHOWN_THERE = frozenset({Code.INVALID, Code.CONFLICT, Code.ALREADY_EXISTS, Code.FORBIDDEN, Code.QUOTA, Code.NOT_FOUND})
"""Errors that are shown on the page that the form was on; others get a page of their own."""
_MOST_SHOWN = 600


def candidate(call: Call, iid: int) -> ResponseReturnValue:
    run = candidates.get_by_iid(call.scope, iid).candidate

    def rename(name: str) -> None:
        if not name.strip():
            raise invalid("A run needs a name.")
        candidates.update(call.scope, run.eid, name=name.strip())

    changes: Mapping[str, Callable[[], object]] = {
        "rename": lambda: rename(_field(call, "name")),
        "describe": lambda: logging.log_batch(call.scope, run.eid, tags=_note(call)),
        "tag": lambda: logging.log_batch(call.scope, run.eid, tags=[(_key(call), _field(call, "value"))]),
        "untag": lambda: logging.delete_tag(call.scope, run.eid, _key(call)),
        "delete": lambda: candidates.change_stage(call.scope, run.eid, Stage.DELETED),
        "restore": lambda: candidates.change_stage(call.scope, run.eid, Stage.ACTIVE),
    }
    return _done(call, changes, f"candidates/{iid}", sure=False)


def promote(call: Call, iid: int) -> ResponseReturnValue:
    """Make a run a model version, as the `promote` job does; the contract and the gate apply here too."""
    here = _address(call, f"candidates/{iid}")
    try:
        (done,) = promote_service.promote(call.scope, PromotionRequest(candidate_iid=iid))
    except MltrailError as error:
        if error.code not in _SHOWN_THERE:
            raise
        flash(sentences.of(error)[:_MOST_SHOWN], "danger")
        return redirect(here, 303)
    if done.state not in ("promoted", "already"):
        flash(f"Not promoted: {done.reason}"[:_MOST_SHOWN], "danger")
        return redirect(here, 303)
    outcome = "is promoted" if done.state == "promoted" else "was promoted already"
    flash(f"{done.model} {done.version} {outcome}: {done.reason}"[:_MOST_SHOWN], "success")
    return redirect(_address(call, f"models/{segment(done.model)}"), 303)


def new_experiment(call: Call) -> ResponseReturnValue:
    made: list[int] = []

    def create() -> None:
        made.append(experiments.create(call.scope, name=_field(call, "name").strip()))

    answer = _done(call, {"": create}, "experiments")
    return redirect(_address(call, f"experiments/{made[0]}"), 303) if made else answer


def experiment(call: Call, iid: int) -> ResponseReturnValue:
    changes: Mapping[str, Callable[[], object]] = {
        "rename": lambda: experiments.rename(call.scope, iid, _field(call, "name").strip()),
        "describe": lambda: experiments.set_tag(call.scope, iid, NOTE, _field(call, "note")),
        "delete": lambda: experiments.change_stage(call.scope, iid, Stage.DELETED),
        "restore": lambda: experiments.change_stage(call.scope, iid, Stage.ACTIVE),
    }
    return _done(call, changes, f"experiments/{iid}")


def new_model(call: Call) -> ResponseReturnValue:
    name = _field(call, "name").strip()

    def create() -> None:
        models.create(call.scope, name=name, description=_field(call, "description") or None)

    return _done(call, {"": create}, f"models/{segment(name)}", otherwise="models")


def model(call: Call, name: str) -> ResponseReturnValue:
    new_name = _field(call, "name").strip()
    action, _, expected = _field(call, "do").partition(":")
    changes: Mapping[str, Callable[[], object]] = {
        "describe": lambda: models.describe(call.scope, name, _field(call, "description")),
        "rename": lambda: models.rename(call.scope, name, new_name),
        "delete": lambda: models.delete(call.scope, name),
        "alias": lambda: aliases.move_with_reason(
            call.scope,
            name,
            _field(call, "alias").strip(),
            _field(call, "version"),
            reason=_field(call, "reason").strip() or None,
            expected=None,
        ),
        # The alias must still be where it was when the page was loaded, so that nobody's later move is undone.
        "roll-back": lambda: aliases.rollback(
            call.scope, name, _field(call, "alias"), reason=_field(call, "reason").strip() or None, expected=expected
        ),
        "unalias": lambda: aliases.delete(call.scope, name, _field(call, "alias")),
    }
    here = f"models/{segment(name)}"
    there = {"rename": f"models/{segment(new_name)}", "delete": "models"}.get(action, here)
    return _done(call, changes, there, otherwise=here)


def version(call: Call, name: str, which: str) -> ResponseReturnValue:
    changes: Mapping[str, Callable[[], object]] = {
        "describe": lambda: versions.describe(call.scope, name, which, _field(call, "description")),
        "tag": lambda: versions.set_tag(call.scope, name, which, _key(call), _field(call, "value")),
        "untag": lambda: versions.delete_tag(call.scope, name, which, _key(call)),
        "delete": lambda: versions.delete(call.scope, name, which),
    }
    here = f"models/{segment(name)}/versions/{segment(which)}"
    there = f"models/{segment(name)}" if _field(call, "do") == "delete" else here
    return _done(call, changes, there, otherwise=here)


def trace(call: Call, trace_id: str) -> ResponseReturnValue:
    """Add a person's feedback to a trace, or delete it. Both take the right to read traces, too."""
    require(call.deps, call.actor, Access.READ_TRACES)
    one = traces.get(call.scope, trace_id).trace
    changes: Mapping[str, Callable[[], object]] = {
        "feedback": lambda: assessments.create(call.scope, _feedback(call, one.id)),
        "delete": lambda: traces.delete(call.scope, Selection(ids=[one.id])),
    }
    here = f"traces/{segment(trace_id)}"
    there = f"experiments/{one.experiment_iid}/traces" if _field(call, "do") == "delete" else here
    return _done(call, changes, there, otherwise=here)


def _done(
    call: Call,
    changes: Mapping[str, Callable[[], object]],
    there: str,
    *,
    otherwise: str | None = None,
    sure: bool = True,
) -> ResponseReturnValue:
    """Do what the form asks for and go on to `there`, or back to `otherwise` if it can't be done.

    `sure`: a deletion needs a ticked box.
    """
    change = changes.get(_field(call, "do").partition(":")[0])
    if change is None:
        raise invalid("This form is out of date. Reload the page.")
    try:
        if sure and _field(call, "do") == "delete":
            _check_sure(call)
        change()
    except MltrailError as error:
        if error.code not in _SHOWN_THERE:
            raise
        flash(sentences.of(error)[:_MOST_SHOWN], "danger")
        return redirect(_address(call, otherwise or there), 303)
    flash("Done.", "success")
    return redirect(_address(call, there), 303)


def _feedback(call: Call, trace_id: str) -> Assessment:
    """Read a person's feedback on a trace."""
    name, said = _field(call, "name").strip(), _field(call, "kind")
    if not name:
        raise invalid("Say what your feedback is about, for example: correct.")
    value: str | float = said if said in ("yes", "no") else _number_or_text(_field(call, "value").strip())
    if value == "":
        raise invalid("Give a value: yes, no, a number, or a text.")
    now = call.scope.now
    user = call.actor.user_name
    rationale = _field(call, "rationale").strip() or None
    return Assessment("", trace_id, name, Kind.FEEDBACK, value, "HUMAN", user, now, now, rationale=rationale)


def _number_or_text(text: str) -> str | float:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _address(call: Call, below: str) -> str:
    return f"{call.pages}/{below}"


def _field(call: Call, name: str) -> str:
    return call.request.form.get(name, "")


def _key(call: Call) -> str:
    key = _field(call, "key").strip()
    if not key:
        raise invalid("Give the name of the entry.")
    limits.check_key(key, "tag")
    return key


def _note(call: Call) -> list[tuple[str, str]]:
    text = _field(call, "note")
    limits.check_tag(NOTE, text)
    return [(NOTE, text)]


def _check_sure(call: Call) -> None:
    if not _field(call, "sure"):
        raise invalid("Tick the box to say that you are sure: this deletes more than one thing.")
