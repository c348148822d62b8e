"""Describe, tag and delete a version of a model."""

from flask.typing import ResponseReturnValue

from mltrail_server.http.call import Call
from mltrail_server.services.registry import versions
from mltrail_server.ui.messages import quoted
from mltrail_server.ui.render import segment

from . import forms
from .forms import Done, Question, field, key


def change(call: Call, name: str, which: str) -> ResponseReturnValue:
    here = f"models/{segment(name)}/versions/{segment(which)}"
    before = versions.get(call.scope, name, which)
    subject = f"{name} {before.semver}"

    def describe() -> Done:
        versions.describe(call.scope, name, which, field(call, "description"))
        return forms.described(call, before.description or "", here, subject, name="description")

    def tag() -> Done:
        entry, value = key(call), field(call, "value")
        versions.set_tag(call.scope, name, which, entry, value)
        return forms.tagged(entry, value, dict(before.tags).get(entry), here, subject)

    def untag() -> Done:
        entry = key(call)
        versions.delete_tag(call.scope, name, which, entry)
        return forms.untagged(entry, dict(before.tags).get(entry), here, subject)

    def delete() -> Done:
        versions.delete(call.scope, name, which)
        said = f"Deleted {quoted(subject)}. Its number and its semantic version will not be used again."
        return Done(said, there=f"models/{segment(name)}")

    def before_deletion() -> Question:
        points = ["This can't be undone. Its number and its semantic version will not be used again."]
        return Question(f"Delete {quoted(subject)}?", points, "Delete version")

    actions = {"describe": describe, "tag": tag, "untag": untag, "delete": delete}
    return forms.answer(call, actions, here, ask={"delete": before_deletion})
