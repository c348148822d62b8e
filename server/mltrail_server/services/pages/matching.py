"""Which runs of an experiment match the search box of a page, how many they are, and what was not looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

from mltrail_server.domain.candidate import ViewType
from mltrail_server.domain.filters import Clause, Order
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.pages import tables, tree, words
from mltrail_server.store.tracking import search
from mltrail_server.store.tracking.search import Also, FoundCandidates

MOST_COUNTED = 10_000
_FEW = 1_000
"""If a word occurs in no more runs than that, exactly these are looked up."""
_MOST_HITS = 2
"""For how many words the runs are looked up; the others are then checked one by one."""
_EACH_LOOKED_AT = 2_000
"""Up to this many runs, words are looked for in each."""
_WINDOW = 10_000
"""How many runs a page looks at, from the newest on, for words that occur in many."""
_FOLDED_WINDOW = 4_000
"""The same for runs without a parent, where most have one."""
_COUNTED_IN = 5_000
_COUNTED_WORDS_IN = 1_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs are wanted: those of a view that match all clauses and contain all words. `text` is what was written,
    which identifies the search where its clauses depend on the time. Of `folded` runs only those without a parent are.
    """

    clauses: Sequence[Clause] = ()
    words: Sequence[str] = ()
    text: str = ""
    view: ViewType = ViewType.ACTIVE_ONLY
    folded: bool = False

    @property
    def everything(self) -> bool:
        return not self.clauses and not self.words


@dataclass(frozen=True, slots=True)
class Count:
    """A number of runs; at least as many if `is_more`."""

    number: int
    is_more: bool = False


def also(tx: Transaction, experiment_iid: int, wanted: Wanted, total: Count) -> Also:
    """Return what is asked of candidates beyond the clauses. At most two statements."""
    conditions = [words.occurs(tx, word) for word in wanted.words]
    if wanted.folded:
        conditions.append(~tree.is_child(wanted.view.stages))
    few = None
    # A long word is more likely to be rare.
    looked_up = () if total.number <= _EACH_LOOKED_AT else sorted(wanted.words, key=len, reverse=True)[:_MOST_HITS]
    for word in looked_up:
        few = words.hits(tx, experiment_iid, wanted.view.stages, word, most=_FEW)
        if few is not None:
            break
    window = _FOLDED_WINDOW if wanted.folded else _WINDOW if wanted.words and few is None else None
    whole = window is not None and not total.is_more and total.number <= window
    return Also(conditions, few, wanted.text or None, None if whole else window)


def find(
    tx: Transaction,
    experiment_iid: int,
    wanted: Wanted,
    *,
    further: Also,
    orders: Sequence[Order],
    limit: int,
    token: str | None,
) -> FoundCandidates:
    """Find a page of the runs. Raises INVALID for a filter or an order that names unknown fields."""
    return search.search(
        tx,
        experiment_iids=[experiment_iid],
        stages=wanted.view.stages,
        clauses=wanted.clauses,
        orders=orders,
        limit=limit,
        token=token,
        also=further,
    )


def total(tx: Transaction, experiment_iid: int, view: ViewType) -> Count:
    """Count the runs of a view, up to a bound."""
    found = tables.count(tx, experiment_iid, view.stages, most=MOST_COUNTED)
    return Count(min(found, MOST_COUNTED), found > MOST_COUNTED)


def count(
    tx: Transaction,
    experiment_iid: int,
    wanted: Wanted,
    *,
    further: Also,
    found: FoundCandidates,
    first: bool,
    total: Count,
) -> Count:
    """Count the runs that match, whatever page was found, in at most one statement. The work is bounded: of very many
    runs, only the newest are looked at.
    """
    if wanted.everything:
        return total
    if first and found.next_token is None:
        return Count(len(found.candidates))
    most = _COUNTED_WORDS_IN if wanted.words else _COUNTED_IN
    counted = tables.count_matching(
        tx,
        experiment_iid,
        wanted.view.stages,
        wanted.clauses,
        also=further.conditions,
        few=found.few,
        most=most,
    )
    whole = found.few is not None or (not total.is_more and total.number <= most)
    if whole:
        return Count(counted)
    return Count(max(counted, len(found.candidates)), is_more=True)


def notes(wanted: Wanted, found: FoundCandidates, *, limit: int, total: Count) -> list[str]:
    """Say what was not searched, where somebody could expect it to be."""
    said = []
    if found.next_token is not None and len(found.candidates) < limit:
        window = _FOLDED_WINDOW if wanted.folded else _WINDOW
        said.append(f"Only {window:,} runs were searched for this page; the next page continues with older ones.")
    elif wanted.words and not found.candidates:
        said.append(
            "Words are looked for in names, authors, jobs, branches, commits, descriptions and the values of "
            "parameters and tags; an id is found by its first characters. To compare values, write, for example, "
            "metrics.accuracy > 0.9."
        )
        if total.number > _EACH_LOOKED_AT:
            said.append(
                f"In an experiment this large, a parameter or tag with more than {words.MOST_VALUES} different values "
                "is searched only for values that begin with the word, and names and authors are searched only in the "
                f"newest {words.MOST_NAMES:,} runs."
            )
    return said
