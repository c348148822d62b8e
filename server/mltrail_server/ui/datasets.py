"""The datasets of a project: what they are, what used them, and what changed."""

from urllib.parse import urlencode

from flask import redirect
from flask.typing import ResponseReturnValue

from mltrail_server.domain.errors import not_found
from mltrail_server.http.call import Call
from mltrail_server.services.pages import datasets

from . import values
from .render import page, segment

_MOST_COLUMNS = 300
_EVALUATES = ("eval", "test", "valid")


def listed(call: Call) -> ResponseReturnValue:
    arguments = call.request.args
    find, before = arguments.get("find", "").strip()[:200], arguments.get("page", "")
    number = int(before) if before.isascii() and before.isdecimal() and len(before) < 18 else None
    found, more = datasets.listed(call.scope, find=find, before=number)
    return page(call, "datasets.html", section="experiments", datasets=found, more=more, find=find)


def show(call: Call, which: str) -> ResponseReturnValue:
    """Show a dataset by its digest, or by its number in the project. Several names may have one digest."""
    name = call.request.args.get("name", "")
    view = datasets.get(call.scope, which, name)
    if view is None:
        row = datasets.digest_of_id(call.scope, which)
        if row is None:
            raise not_found(f"This project has no dataset with the digest '{which}'.")
        query = urlencode({"name": row.name})
        return redirect(f"{call.pages}/datasets/{segment(row.digest)}?{query}", 302)
    return page(
        call,
        "dataset.html",
        section="experiments",
        view=view,
        row=view.row,
        facts=list(values.pairs(view.row.profile).items())[:_MOST_COLUMNS],
        raw_schema=values.indented(values.parsed(view.row.schema), datasets.LONGEST)[0] if view.row.schema else "",
        most_columns=_MOST_COLUMNS,
        most_runs=datasets.MOST_RUNS,
        most_versions=datasets.MOST_VERSIONS,
        row_counts={one.digest: values.pairs(one.profile).get("num_rows") for one in view.digests},
        evaluates=lambda context: str(context or "").lower().startswith(_EVALUATES),
        line=values.line,
    )
