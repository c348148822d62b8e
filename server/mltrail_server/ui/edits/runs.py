"""Rename, describe, tag, delete, restore and promote a run."""

from flask.typing import ResponseReturnValue

from mltrail_server.domain import limits
from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import invalid
from mltrail_server.http.call import Call
from mltrail_server.services.promotion import promote as promote_service
from mltrail_server.services.promotion.write import PromotionRequest, PromotionResult
from mltrail_server.services.tracking import candidates, logging
from mltrail_server.services.tracking.candidates import CandidateData
from mltrail_server.ui.messages import Undo, quoted
from mltrail_server.ui.render import segment

from . import forms
from .forms import NOTE, Done, Question, field, key


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
        return Done(
            f"Deleted the run {quoted(run.name)}. It can be restored until the server's operator removes it for good.",
            Undo(here, {"do": "restore"}),
        )

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
    return forms.answer(call, actions, here, ask={"delete": lambda: _before_deletion(data)})


def _before_deletion(data: CandidateData) -> Question:
    points = ["It leaves the lists, with everything logged to it. It can be restored."]
    return Question(f"Delete the run {quoted(data.candidate.name)}?", points, "Delete run")


def promote(call: Call, iid: int) -> ResponseReturnValue:
    """Make a run a model version, as the `promote` job does; the contract and the gate apply here too."""
    here = f"candidates/{iid}"

    def act() -> Done:
        (result,) = promote_service.promote(call.scope, PromotionRequest(candidate_iid=iid))
        return _promoted(result)

    return forms.answer(call, {"": act}, here)


def _promoted(result: PromotionResult) -> Done:
    if result.state not in ("promoted", "already"):
        raise invalid(f"Not promoted: {result.reason}")
    there = f"models/{segment(result.model)}"
    if result.state == "already":
        return Done(f"{result.model} {result.version} was promoted already: {result.reason}", there=there)
    moved = ""
    if result.alias:
        moved = f", and moved {quoted(result.alias)} to it" + (f" from {result.replaces}" if result.replaces else "")
    return Done(f"Promoted: made {result.model} {result.version}{moved} ({result.bump}: {result.reason}).", there=there)
