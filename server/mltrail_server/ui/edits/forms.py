"""A form's way: which action it asks for, whether a person has to be asked first, and what is said afterwards."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flask import redirect
from flask.typing import ResponseReturnValue

from mltrail_server.domain import limits
from mltrail_server.domain.errors import Code, MltrailError, invalid
from mltrail_server.http.call import Call
from mltrail_server.ui import errors, messages, sentences
from mltrail_server.ui.messages import Undo
from mltrail_server.ui.render import page

NOTE = "mlflow.note.content"
"""MLflow keeps the description of a run or an experiment in this tag."""

SHOWN_THERE = frozenset({Code.INVALID, Code.CONFLICT, Code.ALREADY_EXISTS, Code.FORBIDDEN, Code.QUOTA, Code.NOT_FOUND})
"""Errors that are shown on the page that the form was on; others get a page of their own."""

RESTORABLE = "It can be restored at any time until the server's operator removes it for good."
RESTORABLE_ALL = "They can be restored at any time until the server's operator removes them for good."


@dataclass(frozen=True, slots=True)
class Done:
    """What an action has done, in a sentence that names the things; what takes it back, if one form does; and where to
    go on, if that is not the page that the form was on.
    """

    said: str
    undo: Undo | None = None
    there: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked before an action: what will happen, point by point, and the button that does it. It sends
    `fields`, or else the same form again.
    """

    title: str
    points: Sequence[str]
    button: str
    fields: Sequence[tuple[str, str]] | None = None


Action = Callable[[], Done]


def answer(
    call: Call,
    actions: Mapping[str, Action],
    here: str,
    *,
    ask: Mapping[str, Callable[[], Question]] | None = None,
) -> ResponseReturnValue:
    """Do what the form asks for and go on, or go back and say why it can't be done.

    `actions` are those that the form can ask for by its field `do`; what follows a colon there is the action's own.
    `here` is the page that the form was on. Those in `ask` are done once a person has confirmed them, on a page of its
    own, which sends the same form again.
    """
    wanted = field(call, "do").partition(":")[0]
    action = actions.get(wanted)
    if action is None:
        raise invalid("This form is out of date. Reload the page.")
    try:
        question = (ask or {}).get(wanted)
        if question is not None and not field(call, "sure"):
            return confirm(call, question(), here)
        done = action()
    except MltrailError as error:
        if error.code not in SHOWN_THERE:
            raise
        messages.refuse(sentences.of(error))
        return redirect(f"{call.pages}/{here}", 303)
    return went_well(call, done, here)


def went_well(call: Call, done: Done, here: str) -> ResponseReturnValue:
    messages.say(done.said, pages=call.pages, undo=done.undo)
    return redirect(f"{call.pages}/{here if done.there is None else done.there}", 303)


def confirm(call: Call, question: Question, here: str) -> ResponseReturnValue:
    """Ask before an action. The page's button sends the same form again, with `sure`."""
    sent = [(name, value) for name, value in call.request.form.items(multi=True) if name != "csrf_token"]
    fields = sent if question.fields is None else question.fields
    return page(
        call,
        "confirm.html",
        section=here.partition("/")[0],
        question=question,
        fields=fields,
        target=errors.here(),
        back=f"{call.pages}/{here}",
    )


def field(call: Call, name: str) -> str:
    return call.request.form.get(name, "")


def key(call: Call) -> str:
    """Read the name of a tag. Raises INVALID."""
    given = field(call, "key").strip()
    if not given:
        raise invalid("Enter the tag's name.")
    limits.check_key(given, "tag")
    return given


def described(call: Call, before: str, below: str, subject: str, *, name: str = "note") -> Done:
    """Say that a description was changed; `before` is what it was."""
    after = field(call, name)
    said = f"Saved the description of {subject}." if after else f"Removed the description of {subject}."
    return Done(said, Undo(below, {"do": "describe", name: before}))


def tagged(tag: str, value: str, before: str | None, below: str, subject: str) -> Done:
    """Say that a tag was set; `before` is its former value, None if there was none."""
    name = messages.quoted(tag)
    if before is None:
        return Done(f"Set {name} of {subject} to {messages.quoted(value)}.", Undo(below, {"do": "untag", "key": tag}))
    undo = Undo(below, {"do": "tag", "key": tag, "value": before})
    return Done(f"Changed {name} of {subject} from {messages.quoted(before)} to {messages.quoted(value)}.", undo)


def untagged(tag: str, before: str | None, below: str, subject: str) -> Done:
    name = messages.quoted(tag)
    if before is None:
        return Done(f"{subject[:1].upper()}{subject[1:]} has no {name}.")
    return Done(f"Removed {name} from {subject}.", Undo(below, {"do": "tag", "key": tag, "value": before}))
