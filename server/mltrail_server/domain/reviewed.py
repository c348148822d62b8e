"""What was reviewed is what ships: a merge request's candidate is promoted after the merge when the files are the same.

GitLab's API tells no tree of a commit, but it lists the root folder with the id of each entry, and those ids depend on
everything below: two commits with the same listing hold the same files, however the merge was made.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True, order=True)
class TreeEntry:
    """One line of a root folder's listing."""

    name: str
    kind: str  # blob, tree, or commit for a submodule
    mode: str
    id: str


def digest(entries: Iterable[TreeEntry]) -> str:
    """Sum up a root folder in 64 hexadecimal digits."""
    lines = [[one.name, one.kind, one.mode, one.id] for one in sorted(entries)]
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()


def differing(ours: Iterable[TreeEntry], theirs: Iterable[TreeEntry]) -> list[str]:
    """Name the entries that two root folders do not share."""
    return sorted({one.name for one in set(ours) ^ set(theirs)})


def why_not(names: list[str]) -> str:
    """Say why the merge request's candidate is not what was merged. `names` are the entries that differ, if known."""
    where = ""
    if names:
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        where = f" (in {', '.join(names[:_MOST_NAMED])}{more})"
    return (
        f"the merged files differ{where} from those that the merge request's candidate was trained on, so train again "
        "on this branch; a rebase or a merged results pipeline before the merge would have spared that"
    )


def beforehand(*, reuse: bool, up_to_date: bool | None) -> str:
    """Say in a merge request's note what its merge will do. "" where nothing is known.

    `reuse` is the contract's `reuse_reviewed`; `up_to_date` tells whether the pipeline's commit holds all of the target
    branch: then the merged files are the ones that this pipeline has trained on.
    """
    if not reuse or up_to_date is None:
        return ""
    if up_to_date:
        return "Merged as it is, this candidate is promoted without training again: the files are the same."
    return (
        "The target branch has moved on: merged now, the files are not those that this candidate was trained on, and "
        "the target branch trains again. Rebase to promote what was reviewed."
    )
