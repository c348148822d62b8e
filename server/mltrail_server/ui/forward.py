"""Where MLflow clients' links lead: `View run … at: <tracking URI>/#/experiments/1/runs/<run id>`.

The part after `#` never reaches a server, so a script of the page reads it and goes on to the right page.
"""

from urllib.parse import quote

from flask import redirect, render_template
from flask.typing import ResponseReturnValue

from mltrail_server.http.call import Call
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.tracking import candidates


def show(deps: Deps, project: str) -> ResponseReturnValue:
    """Show the same page to anybody: it reveals nothing about the project, not even whether it exists."""
    return render_template("forward.html", target=f"{deps.settings.root_path}/{quote(project)}/-/ml")


def run(call: Call, eid: str) -> ResponseReturnValue:
    """Go to a run by its MLflow run id. Raises NOT_FOUND."""
    iid = candidates.get(call.scope, eid).candidate.iid
    return redirect(f"{call.pages}/candidates/{iid}", 302)
