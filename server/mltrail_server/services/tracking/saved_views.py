"""Named states of an experiment's page, which everybody who sees the project can open. Developers write them."""

from collections.abc import Sequence

from mltrail_server.domain import limits
from mltrail_server.domain.errors import MltrailError, already_exists, conflict, invalid, not_found
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking import saved_views as store
from mltrail_server.store.tracking.saved_views import SavedView

from . import experiments


def of_experiment(scope: Scope, experiment_iid: int) -> list[SavedView]:
    with scope.project.read() as tx:
        return store.of_experiments(tx, [experiment_iid])


def of_experiments(scope: Scope, experiment_iids: Sequence[int]) -> dict[int, list[SavedView]]:
    """List the views of several experiments, in one statement."""
    found: dict[int, list[SavedView]] = {}
    if experiment_iids:
        with scope.project.read() as tx:
            for view in store.of_experiments(tx, experiment_iids):
                found.setdefault(view.experiment_iid, []).append(view)
    return found


def get(scope: Scope, experiment_iid: int, number: int) -> SavedView:
    """Raises NOT_FOUND."""
    with scope.project.read() as tx:
        return _existing(tx, experiment_iid, number)


def save(scope: Scope, experiment_iid: int, name: str, query: str) -> int:
    """Save a view under a new name, and return its number. Raises ALREADY_EXISTS for a name that the experiment has a
    view of, and CONFLICT if the project has as many as it may have.
    """
    name = _checked(name)
    _check_query(query)
    with scope.project.write() as tx:
        experiments.existing(tx, experiment_iid)
        if store.count(tx) >= limits.MAX_VIEWS:
            raise conflict(f"A project can have at most {limits.MAX_VIEWS} saved views. Delete one that nobody uses.")
        made = store.add(tx, experiment_iid=experiment_iid, name=name, query=query, user_name=scope.actor.user_name)
        if made is None:
            raise _taken(name)
        return made


def rename(scope: Scope, experiment_iid: int, number: int, name: str) -> SavedView:
    """Give a view another name, and return what it was. Raises NOT_FOUND, and ALREADY_EXISTS for a taken name."""
    name = _checked(name)
    with scope.project.write() as tx:
        before = _existing(tx, experiment_iid, number)
        if name != before.name:
            if store.has_name(tx, experiment_iid, name):
                raise _taken(name)
            store.change(tx, experiment_iid, number, user_name=scope.actor.user_name, name=name)
        return before


def overwrite(scope: Scope, experiment_iid: int, number: int, query: str) -> SavedView:
    """Let a view show something else from now on, and return what it was. Raises NOT_FOUND."""
    _check_query(query)
    with scope.project.write() as tx:
        before = _existing(tx, experiment_iid, number)
        store.change(tx, experiment_iid, number, user_name=scope.actor.user_name, query=query)
        return before


def delete(scope: Scope, experiment_iid: int, number: int) -> SavedView:
    """Remove a view, and return what it was. Raises NOT_FOUND."""
    with scope.project.write() as tx:
        before = _existing(tx, experiment_iid, number)
        store.delete(tx, experiment_iid, number)
        return before


def _existing(tx: Transaction, experiment_iid: int, number: int) -> SavedView:
    found = store.get(tx, experiment_iid, number)
    if found is None:
        raise not_found(f"The experiment {experiment_iid} has no saved view {number}. It may have been deleted.")
    return found


def _checked(name: str) -> str:
    name = " ".join(name.split())
    if not name:
        raise invalid("A saved view needs a name.")
    if len(name) > limits.MAX_VIEW_NAME:
        raise invalid(f"A saved view's name can have at most {limits.MAX_VIEW_NAME} characters, not {len(name)}.")
    return name


def _check_query(query: str) -> None:
    if len(query) > limits.MAX_VIEW_QUERY:
        raise invalid(
            f"This view's address has {len(query):,} characters, but at most {limits.MAX_VIEW_QUERY:,} can be saved. "
            "Hide, pin or colour fewer runs, or choose fewer columns."
        )


def _taken(name: str) -> MltrailError:
    return already_exists(
        f"This experiment already has a saved view '{name}'. Choose another name, or update that view."
    )
