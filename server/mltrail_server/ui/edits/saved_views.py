"""Save, rename, update and delete named views of an experiment's page."""

from urllib.parse import parse_qs

from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from mltrail_server.domain.errors import invalid
from mltrail_server.http.call import Call
from mltrail_server.services.tracking import saved_views
from mltrail_server.store.tracking.saved_views import SavedView
from mltrail_server.ui.messages import Undo, quoted
from mltrail_server.ui.table_state import State

from . import forms
from .forms import Done, field


def change(call: Call, iid: int) -> ResponseReturnValue:
    here, below = f"experiments/{iid}", f"experiments/{iid}/views"
    state = _state(call)
    query = State.url(state, saved=None)[1:]

    def save() -> Done:
        name = field(call, "name")
        made = saved_views.save(call.scope, iid, name, query)
        undo = Undo(below, {"do": "delete", "saved": str(made), "query": query})
        return Done(f"Saved the view {quoted(name.strip())}.", undo, here + state.url(saved=made))

    def rename() -> Done:
        view = _chosen(call, iid)
        name = field(call, "name")
        saved_views.rename(call.scope, iid, view.id, name)
        undo = Undo(below, {"do": "rename", "saved": str(view.id), "name": view.name, "query": query})
        return Done(f"Renamed the view {quoted(view.name)} to {quoted(name.strip())}.", undo)

    def update() -> Done:
        view = saved_views.overwrite(call.scope, iid, _chosen(call, iid).id, query)
        undo = Undo(below, {"do": "update", "saved": str(view.id), "query": view.query})
        return Done(f"Updated the view {quoted(view.name)}.", undo)

    def delete() -> Done:
        view = saved_views.delete(call.scope, iid, _chosen(call, iid).id)
        undo = Undo(below, {"do": "save", "name": view.name, "query": view.query})
        return Done(f"Deleted the view {quoted(view.name)}.", undo, here + state.url(saved=None))

    actions = {"save": save, "rename": rename, "update": update, "delete": delete}
    return forms.answer(call, actions, here + state.url())


def _state(call: Call) -> State:
    """Read what the page showed when the form was sent. The script keeps it up to date."""
    query = field(call, "query")
    number = field(call, "saved")
    state = State.read(MultiDict(parse_qs(query, keep_blank_values=True)), call.scope.now)
    return State.read(MultiDict([*state.pairs(), ("saved", number)]), call.scope.now) if number else state


def _chosen(call: Call, iid: int) -> SavedView:
    """Return the view that the form is about. Raises INVALID or NOT_FOUND."""
    number = field(call, "saved")
    if not (number.isascii() and number.isdecimal() and len(number) < 19):
        raise invalid("This form is out of date. Reload the page.")
    return saved_views.get(call.scope, iid, int(number))
