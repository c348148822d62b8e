"""What was reviewed is what ships: a merge request's candidate is promoted after the merge if the files are the same.

GitLab's API does not return the tree of a commit, but it lists the root folder with the id of each entry, and those ids
depend on everything below: two commits with the same listing have the same files, however the merge was made.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True, order=True)
class TreeEntry:
    """One entry in the listing of a root folder."""

    name: str
    kind: str  # blob, tree, or commit for a submodule
    mode: str
    id: str


def digest(entries: Iterable[TreeEntry]) -> str:
    """Hash the listing of a root folder to 64 hexadecimal digits."""
    lines = [[one.name, one.kind, one.mode, one.id] for one in sorted(entries)]
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()


def differing(ours: Iterable[TreeEntry], theirs: Iterable[TreeEntry]) -> list[str]:
    """Return the names of the entries in which two root folders differ."""
    return sorted({one.name for one in set(ours) ^ set(theirs)})


def why_not(names: list[str]) -> str:
    """Say why the merge request's candidate can't be promoted. `names` are the entries that differ, if known."""
    where = ""
    if names:
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        where = f" (in {', '.join(names[:_MOST_NAMED])}{more})"
    return (
        f"the merged files differ{where} from those that the merge request's candidate was trained on, so train again "
        "on this branch; a rebase or a merged results pipeline before the merge would have avoided that"
    )


def beforehand(*, reuse: bool, up_to_date: bool | None) -> str:
    """Say for a merge request's note what merging will do; "" if that is not known.

    `reuse` is the contract's `reuse_reviewed`; `up_to_date` says whether the pipeline's commit contains all of the
    target branch: then the merged files are the ones that this pipeline has trained on.
    """
    if not reuse or up_to_date is None:
        return ""
    if up_to_date:
        return "If merged as it is, this candidate is promoted without training again: the files are the same."
    return (
        "The target branch has moved on. If merged now, the files are not those that this candidate was trained on, "
        "and the target branch trains again. Rebase to promote what was reviewed."
    )
