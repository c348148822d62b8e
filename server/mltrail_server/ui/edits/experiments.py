"""Create, rename, describe, delete and restore an experiment."""

from flask.typing import ResponseReturnValue

from mltrail_server.domain.candidate import Stage
from mltrail_server.http.call import Call
from mltrail_server.services.pages import consequences
from mltrail_server.services.tracking import experiments
from mltrail_server.ui.messages import Undo, quoted

from . import forms
from .forms import NOTE, RESTORABLE, RESTORABLE_ALL, Done, Question, field


def create(call: Call) -> ResponseReturnValue:
    def act() -> Done:
        name = field(call, "name").strip()
        iid = experiments.create(call.scope, name=name)
        return Done(f"Created the experiment {quoted(name)}.", there=f"experiments/{iid}")

    return forms.answer(call, {"": act}, "experiments")


def change(call: Call, iid: int) -> ResponseReturnValue:
    before, here = experiments.get(call.scope, iid), f"experiments/{iid}"
    subject = f"the experiment {quoted(before.name)}"

    def rename() -> Done:
        name = field(call, "name").strip()
        experiments.rename(call.scope, iid, name)
        return Done(
            f"Renamed {quoted(before.name)} to {quoted(name)}.", Undo(here, {"do": "rename", "name": before.name})
        )

    def describe() -> Done:
        experiments.set_tag(call.scope, iid, NOTE, field(call, "note"))
        return forms.described(call, dict(before.tags).get(NOTE, ""), here, subject)

    def delete() -> Done:
        experiments.change_stage(call.scope, iid, Stage.DELETED)
        return Done(
            f"Deleted {subject} with its runs. {RESTORABLE}",
            Undo(here, {"do": "restore"}),
            there="experiments",
        )

    def restore() -> Done:
        experiments.change_stage(call.scope, iid, Stage.ACTIVE)
        return Done(f"Restored {subject} with its runs.", Undo(here, {"do": "delete", "sure": "1"}))

    def before_deletion() -> Question:
        effect = consequences.of_experiment(call.scope, before).delete.effect
        points = [
            "Its runs are deleted with it, except those that became promoted versions.",
            RESTORABLE_ALL,
        ]
        points += [effect] if effect else []
        return Question(f"Delete {subject}?", points, "Delete experiment")

    actions = {"rename": rename, "describe": describe, "delete": delete, "restore": restore}
    return forms.answer(call, actions, here, ask={"delete": before_deletion})
