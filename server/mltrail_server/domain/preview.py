"""What merging a merge request would publish of a model, as announced in its note."""

from dataclasses import dataclass, replace

from . import reviewed
from .markdown import Markdown, code

_NO_PIPELINE = (
    "⚠️ GitLab has run no pipeline on the target branch's last commit, {sha}, and without a pipeline nothing is "
    "promoted. It creates none from jobs in `.pre` and `.post` alone: give the component's input `promote-stage` "
    "another stage."
)


@dataclass(frozen=True, slots=True)
class Preview:
    """`reason` says why the version has this number. `reuse` says whether the reviewed candidate itself may be
    promoted; `more` what else is known of the promotion, and `refused` why it would not be promoted as it is. Both are
    safe to put in a note.
    """

    version: str
    bump: str
    reason: str
    alias: str
    replaces: str | None
    reuse: bool = False
    more: Markdown | None = None
    refused: Markdown | None = None

    def knowing(self, *, up_to_date: bool | None, without_pipeline: str | None = None) -> "Preview":
        """Add whether the target branch will have to train again, unless `up_to_date` is None: not known.
        `without_pipeline` is the target branch's last commit if no pipeline has run on it: then none may run after the
        merge either.
        """
        more = "" if self.refused else reviewed.beforehand(reuse=self.reuse, up_to_date=up_to_date)
        if without_pipeline is not None:
            more = f"{more} {_NO_PIPELINE.format(sha=code(without_pipeline[:8]))}"
        return replace(self, more=Markdown(f"{self.more or ''} {more}".strip()))

    def saying(self, more: Markdown) -> "Preview":
        """Add a sentence about what else the promotion does."""
        return replace(self, more=Markdown(f"{self.more or ''} {more}".strip())) if more else self

    def unless(self, refused: Markdown) -> "Preview":
        """Say instead that it would not be promoted as it is, and why."""
        return replace(self, refused=refused)
