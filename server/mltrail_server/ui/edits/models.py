"""Create, describe, rename and delete a model; move, roll back and remove its aliases."""

from dataclasses import replace

from flask.typing import ResponseReturnValue

from mltrail_server.domain.errors import invalid
from mltrail_server.domain.model import VERSION_TAG
from mltrail_server.http.call import Call
from mltrail_server.services.pages import models as pages
from mltrail_server.services.registry import aliases, models, versions
from mltrail_server.services.registry.aliases import AliasChange
from mltrail_server.services.registry.versions import VersionRequest
from mltrail_server.ui.messages import Undo, quoted
from mltrail_server.ui.render import segment

from . import forms
from .forms import Done, Question, field

_MOST_DIGITS = 18


def create(call: Call) -> ResponseReturnValue:
    def act() -> Done:
        name = field(call, "name").strip()
        models.create(call.scope, name=name, description=field(call, "description") or None)
        return Done(f"Created the model {quoted(name)}.", there=f"models/{segment(name)}")

    return forms.answer(call, {"": act}, "models")


def new_version(call: Call, name: str) -> ResponseReturnValue:
    """Create a version from the model that a run has logged, or an empty one whose files are uploaded on its page."""
    here = f"models/{segment(name)}"

    def act() -> Done:
        semver = field(call, "semver").strip()
        description = field(call, "description").strip() or None
        tags = {VERSION_TAG: semver} if semver else {}
        of_run = field(call, "run").strip()
        source = pages.source_of_run(call.scope, _number(of_run)) if of_run else VersionRequest()
        made = versions.create(call.scope, name, replace(source, description=description), tags)
        said = f"Created {name} {made.semver}" + (f" from run {of_run}." if of_run else "; upload its files below.")
        return Done(said, there=f"{here}/versions/{segment(made.semver)}")

    return forms.answer(call, {"": act}, here)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < _MOST_DIGITS):
        raise invalid("Give the run's number, which is in the address of its page.")
    return int(text)


def change(call: Call, name: str) -> ResponseReturnValue:
    here = f"models/{segment(name)}"
    alias = field(call, "alias").strip()

    def describe() -> Done:
        before = models.get(call.scope, name).model.description or ""
        models.describe(call.scope, name, field(call, "description"))
        return forms.described(call, before, here, f"the model {quoted(name)}", name="description")

    def rename() -> Done:
        new = field(call, "name").strip()
        models.rename(call.scope, name, new)
        there = f"models/{segment(new)}"
        undo = Undo(there, {"do": "rename", "name": name})
        return Done(f"Renamed the model {quoted(name)} to {quoted(new)}.", undo, there)

    def delete() -> Done:
        models.delete(call.scope, name)
        return Done(f"Deleted the model {quoted(name)} with all its versions.", there="models")

    def move() -> Done:
        moved = aliases.move_with_reason(
            call.scope,
            name,
            alias,
            field(call, "version"),
            reason=field(call, "reason").strip() or None,
            expected=field(call, "expected") or None,
        )
        return _moved(moved, here)

    def roll_back() -> Done:
        # The alias must still be where it was when the page was loaded, so that nobody's later move is undone.
        expected = field(call, "do").partition(":")[2]
        moved = aliases.rollback(
            call.scope, name, alias, reason=field(call, "reason").strip() or None, expected=expected
        )
        return _moved(moved, here, said="Rolled")

    def remove() -> Done:
        before = aliases.resolve(call.scope, name, alias)
        aliases.delete(call.scope, name, alias)
        undo = Undo(here, {"do": "alias", "alias": alias, "version": before.semver, "reason": "its removal was undone"})
        return Done(f"Removed the alias {quoted(alias)}, which pointed at {before.semver}.", undo)

    def before_removal() -> Question:
        current = aliases.resolve(call.scope, name, alias)
        points = [
            f"It points at {name} {current.semver}, which stays.",
            f"Whoever loads models:/{name}@{alias} gets an error from then on.",
        ]
        return Question(f"Remove the alias {quoted(alias)} of {quoted(name)}?", points, "Remove alias")

    def before_deletion() -> Question:
        points = ["All its versions are deleted with it. This can't be undone."]
        return Question(f"Delete the model {quoted(name)}?", points, "Delete model")

    actions = {
        "describe": describe,
        "rename": rename,
        "delete": delete,
        "alias": move,
        "roll-back": roll_back,
        "unalias": remove,
    }
    return forms.answer(call, actions, here, ask={"unalias": before_removal, "delete": before_deletion})


def _moved(moved: AliasChange, here: str, *, said: str = "Moved") -> Done:
    alias, now, before = moved.alias, moved.now.semver, moved.before
    if before is not None and before.number == moved.now.number:
        return Done(f"{quoted(alias)} already points at {now}.")
    if before is None:
        return Done(f"{quoted(alias)} now points at {now}.", Undo(here, {"do": "unalias", "alias": alias, "sure": "1"}))
    back = {"do": "alias", "alias": alias, "version": before.semver, "expected": now, "reason": "the move was undone"}
    how = "Rolled {} back" if said == "Rolled" else "Moved {}"
    return Done(f"{how.format(quoted(alias))} from {before.semver} to {now}.", Undo(here, back))
