"""Rename, describe, tag, delete, restore and promote a run."""

from flask.typing import ResponseReturnValue

from mltrail_server.domain import limits
from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import invalid
from mltrail_server.http.call import Call
from mltrail_server.services.pages import consequences
from mltrail_server.services.promotion import offer
from mltrail_server.services.promotion import promote as promote_service
from mltrail_server.services.promotion.write import PromotionRequest, PromotionResult
from mltrail_server.services.tracking import candidates, logging
from mltrail_server.services.tracking.candidates import CandidateData
from mltrail_server.ui.messages import Undo, quoted
from mltrail_server.ui.render import segment

from . import forms
from .forms import NOTE, RESTORABLE, Done, Question, field, key


def change(call: Call, iid: int) -> ResponseReturnValue:
    data = candidates.get_by_iid(call.scope, iid)
    run, here = data.candidate, f"candidates/{iid}"
    tags = dict(data.tags)
    subject = f"the run {quoted(run.name)}"

    def rename() -> Done:
        name = field(call, "name").strip()
        if not name:
            raise invalid("A run needs a name.")
        candidates.update(call.scope, run.eid, name=name)
        return Done(f"Renamed {quoted(run.name)} to {quoted(name)}.", Undo(here, {"do": "rename", "name": run.name}))

    def describe() -> Done:
        limits.check_tag(NOTE, field(call, "note"))
        logging.log_batch(call.scope, run.eid, tags=[(NOTE, field(call, "note"))])
        return forms.described(call, tags.get(NOTE, ""), here, subject)

    def tag() -> Done:
        name, value = key(call), field(call, "value")
        logging.log_batch(call.scope, run.eid, tags=[(name, value)])
        return forms.tagged(name, value, tags.get(name), here, subject)

    def untag() -> Done:
        name = key(call)
        logging.delete_tag(call.scope, run.eid, name)
        return forms.untagged(name, tags.get(name), here, subject)

    def delete() -> Done:
        candidates.change_stage(call.scope, run.eid, Stage.DELETED)
        # The page of the deleted run says until when it can be restored.
        return Done(f"Deleted the run {quoted(run.name)}.", Undo(here, {"do": "restore"}))

    def restore() -> Done:
        candidates.change_stage(call.scope, run.eid, Stage.ACTIVE)
        return Done(f"Restored the run {quoted(run.name)}.", Undo(here, {"do": "delete", "sure": "1"}))

    actions = {
        "rename": rename,
        "describe": describe,
        "tag": tag,
        "untag": untag,
        "delete": delete,
        "restore": restore,
    }
    return forms.answer(call, actions, here, ask={"delete": lambda: _before_deletion(call, data)})


def _before_deletion(call: Call, data: CandidateData) -> Question:
    effect = consequences.of_run(call.scope, data.candidate).delete.effect
    points = [
        f"Everything logged to it stays. {RESTORABLE}",
        *([effect] if effect else []),
    ]
    return Question(f"Delete the run {quoted(data.candidate.name)}?", points, "Delete run")


def promote(call: Call, iid: int) -> ResponseReturnValue:
    """Make a run a model version, as the `promote` job does; the contract and the gate apply here too."""
    here = f"candidates/{iid}"

    def act() -> Done:
        (result,) = promote_service.promote(call.scope, PromotionRequest(candidate_iid=iid))
        return _promoted(result)

    def again() -> Question:
        return Question("Promote this run?", ["This has changed since the page was loaded.", now], "Promote")

    now, shown = _foreseen(call, iid), field(call, "offered")
    ask = {"": again} if now and shown and shown != now else {}
    return forms.answer(call, {"": act}, here, ask=ask)


def _foreseen(call: Call, iid: int) -> str:
    """Say what a promotion would do now; "" if it would be refused, which then says why."""
    foreseen = offer.of_run(call.scope, iid)
    return foreseen.sentence if foreseen is not None and not foreseen.why_not else ""


def _promoted(result: PromotionResult) -> Done:
    if result.state not in ("promoted", "already"):
        raise invalid(f"Not promoted: {result.reason}")
    model = f"models/{segment(result.model)}"
    there = f"{model}/versions/{segment(result.version or '')}"
    made = f"{result.model} {result.version}"
    if result.state == "already":
        return Done(f"{made} was already promoted: {result.reason}", there=there)
    if result.alias is None:
        return Done(f"Created {made} ({result.bump}: {result.reason}).", there=there)
    if result.replaces is None:
        said = f"Created {made} ({result.bump}: {result.reason}) and pointed {quoted(result.alias)} at it."
        return Done(said, there=there)
    back = {"do": f"roll-back:{result.version}", "alias": result.alias, "reason": "the promotion was undone"}
    return Done(
        f"Created {made} ({result.bump}: {result.reason}) and moved {quoted(result.alias)} to it from "
        f"{result.replaces}.",
        Undo(model, back, f"Roll back to {result.replaces}"),
        there,
    )
