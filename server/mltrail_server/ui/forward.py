"""Where MLflow clients' links lead: `View run … at: <tracking URI>/#/experiments/1/runs/<run id>`.

The part after `#` never reaches a server, so a script of the page reads it and goes on to the page that is meant.
"""

from flask import redirect, render_template
from flask.typing import ResponseReturnValue

from mltrail_server.http.call import Call
from mltrail_server.services import candidates

TRACKING_URI = "/api/v4/projects/<project:project>/ml/mlflow"


def show(project: str) -> ResponseReturnValue:
    """Answer the same to anybody: it tells nothing of the project, not even whether it exists."""
    return render_template("forward.html", target=f"/{project}/-/ml")


def run(call: Call, eid: str) -> ResponseReturnValue:
    """Go to a run that is named by its MLflow run id. Raises NOT_FOUND."""
    iid = candidates.get(call.scope, eid).candidate.iid
    return redirect(f"/{call.actor.project_path}/-/ml/candidates/{iid}", 302)
