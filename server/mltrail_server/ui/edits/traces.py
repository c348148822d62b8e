"""Add a person's feedback to a trace, or delete a trace. Both take the right to read traces, too."""

import math

from flask.typing import ResponseReturnValue

from mltrail_server.domain.assessments import Assessment, Kind
from mltrail_server.domain.errors import invalid
from mltrail_server.domain.identity import Access
from mltrail_server.http.call import Call
from mltrail_server.http.routes import require
from mltrail_server.services.traces import assessments, traces
from mltrail_server.store.traces.traces import Selection
from mltrail_server.ui.messages import quoted
from mltrail_server.ui.render import segment

from . import forms
from .forms import Done, Question, field


def change(call: Call, trace_id: str) -> ResponseReturnValue:
    require(call.deps, call.actor, Access.READ_TRACES)
    one = traces.get(call.scope, trace_id).trace

    def add_feedback() -> Done:
        feedback = _feedback(call, one.id)
        assessments.create(call.scope, feedback)
        return Done(f"Added your feedback {quoted(feedback.name)}.")

    def delete() -> Done:
        traces.delete(call.scope, Selection(ids=[one.id]))
        there = f"experiments/{one.experiment_iid}/traces"
        return Done(f"Deleted the trace {one.id} with its spans and assessments.", there=there)

    def before_deletion() -> Question:
        points = [
            "Its spans and assessments are deleted with it. This can't be undone.",
            "Its runs show that it was deleted.",
        ]
        return Question(f"Delete the trace {one.id}?", points, "Delete trace")

    actions = {"feedback": add_feedback, "delete": delete}
    return forms.answer(call, actions, f"traces/{segment(trace_id)}", ask={"delete": before_deletion})


def _feedback(call: Call, trace_id: str) -> Assessment:
    """Read a person's feedback on a trace."""
    name, said = field(call, "name").strip(), field(call, "kind")
    if not name:
        raise invalid("Say what your feedback is about, for example: correct.")
    value: str | float = said if said in ("yes", "no") else _number_or_text(field(call, "value").strip())
    if value == "":
        raise invalid("Give a value: yes, no, a number, or a text.")
    now = call.scope.now
    user = call.actor.user_name
    rationale = field(call, "rationale").strip() or None
    return Assessment("", trace_id, name, Kind.FEEDBACK, value, "HUMAN", user, now, now, rationale=rationale)


def _number_or_text(text: str) -> str | float:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text
