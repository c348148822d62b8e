"""The route table of the pages, under GitLab's paths."""

from mltrail_server.domain.identity import Access
from mltrail_server.gitlab.oauth import CALLBACK
from mltrail_server.http.project_app import ProjectApp
from mltrail_server.http.routes import Route, mount, mount_public
from mltrail_server.services.context.deps import Deps

from . import (
    assets,
    candidate_table,
    catalogue,
    charts,
    compare,
    compression,
    datasets,
    evaluation_page,
    experiments,
    forward,
    home,
    live,
    merge_requests,
    messages,
    models,
    project_settings,
    prompts,
    render,
    run_charts,
    run_files,
    run_media,
    run_models,
    run_overview,
    search,
    session,
    sign_in,
    sweep,
    trace_page,
    trace_table,
)
from .edits import chosen as edit_chosen
from .edits import experiments as edit_experiments
from .edits import models as edit_models
from .edits import runs as edit_runs
from .edits import saved_views as edit_saved_views
from .edits import traces as edit_traces
from .edits import version_files as edit_version_files
from .edits import versions as edit_versions

READ, WRITE, READ_TRACES = Access.READ, Access.WRITE, Access.READ_TRACES

ROUTES = (
    Route("GET", "experiments", experiments.show, READ, slow=True),
    Route("POST", "experiments", edit_experiments.create, WRITE),
    Route("GET", "experiments/<int:iid>", candidate_table.show, READ, slow=True),
    Route("POST", "experiments/<int:iid>", edit_experiments.change, WRITE),
    Route("GET", "experiments/<int:iid>/edit", experiments.edit, READ, slow=True),
    Route("GET", "experiments/<int:iid>/sweep", sweep.show, READ, slow=True),
    Route("GET", "experiments/<int:iid>/chosen", edit_chosen.compare, READ),
    Route("POST", "experiments/<int:iid>/runs", edit_chosen.change, WRITE, slow=True),
    Route("POST", "experiments/<int:iid>/views", edit_saved_views.change, WRITE),
    Route("GET", "experiments/<int:iid>.csv", candidate_table.as_csv, READ, slow=True),
    Route("GET", "candidates/<int:iid>", run_overview.show, READ, slow=True),
    Route("POST", "candidates/<int:iid>", edit_runs.change, WRITE),
    Route("POST", "candidates/<int:iid>/promote", edit_runs.promote, WRITE),
    Route("GET", "candidates/<int:iid>/evaluation", evaluation_page.show, READ_TRACES, slow=True),
    Route("GET", "candidates/live", live.latest, READ),
    Route("GET", "candidates/<int:iid>/charts", run_charts.show, READ, slow=True),
    Route("GET", "candidates/<int:iid>/system", run_charts.system, READ, slow=True),
    Route("GET", "candidates/<int:iid>/metric", run_charts.metric, READ, slow=True),
    Route("GET", "candidates/<int:iid>/files", run_files.show, READ, slow=True),
    Route("GET", "candidates/<int:iid>/models", run_models.show, READ, slow=True),
    Route("GET", "candidates/<int:iid>/models/<model_id>/files", run_files.show, READ, slow=True),
    Route("GET", "candidates/<int:iid>/models/<model_id>/browse/<path:path>", run_files.browse, READ, slow=True),
    Route("GET", "candidates/<int:iid>/models/<model_id>/framed/<path:path>", run_files.framed, READ),
    Route("GET", "candidates/<int:iid>/models/<model_id>/pictures/<path:path>", run_files.picture, READ),
    Route("GET", "candidates/<int:iid>/models/<model_id>/files/<path:path>", run_files.download, READ),
    Route("GET", "candidates/<int:iid>/traces", trace_table.of_run, READ_TRACES, slow=True),
    Route("GET", "candidates/<int:iid>/media", run_media.show, READ, slow=True),
    Route("GET", "candidates/<int:iid>/browse/<path:path>", run_files.browse, READ, slow=True),
    Route("GET", "candidates/<int:iid>/preview/<path:path>", run_files.preview, READ),
    Route("GET", "candidates/<int:iid>/framed/<path:path>", run_files.framed, READ),
    Route("GET", "candidates/<int:iid>/pictures/<path:path>", run_files.picture, READ),
    Route("GET", "candidates/<int:iid>/files/<path:path>", run_files.download, READ),
    Route("GET", "experiments/<int:iid>/traces", trace_table.show, READ_TRACES, slow=True),
    Route("GET", "traces", trace_table.latest, READ_TRACES),
    Route("GET", "traces/<path:trace_id>", trace_page.show, READ_TRACES, slow=True),
    Route("POST", "traces/<path:trace_id>", edit_traces.change, WRITE),
    Route("GET", "runs/<eid>", forward.run, READ),
    Route("GET", "compare", compare.show, READ, slow=True),
    Route("GET", "curves", charts.as_json, READ, slow=True),
    Route("GET", "curves.csv", charts.as_csv, READ, slow=True),
    Route("GET", "curves.svg", charts.as_picture, READ, slow=True),
    Route("GET", "models", models.models, READ, slow=True),
    Route("POST", "models", edit_models.create, WRITE),
    Route("GET", "models/<path:name>", models.model, READ, slow=True),
    Route("POST", "models/<path:name>", edit_models.change, WRITE),
    Route("GET", "models/<path:name>/versions/<which>", models.version, READ, slow=True),
    Route("POST", "models/<path:name>/versions", edit_models.new_version, WRITE),
    Route("POST", "models/<path:name>/versions/<which>", edit_versions.change, WRITE),
    Route("POST", "models/<path:name>/versions/<which>/upload", edit_version_files.upload, WRITE),
    Route("POST", "models/<path:name>/versions/<which>/preview/<path:path>", edit_version_files.change, WRITE),
    Route("GET", "models/<path:name>/versions/<which>/preview/<path:path>", models.preview, READ, slow=True),
    Route("GET", "models/<path:name>/versions/<which>/framed/<path:path>", models.framed, READ),
    Route("GET", "models/<path:name>/versions/<which>/pictures/<path:path>", models.picture, READ),
    Route("GET", "models/<path:name>/versions/<which>/files/<path:path>", models.download, READ),
    Route("GET", "datasets", datasets.listed, READ, slow=True),
    Route("GET", "datasets/<path:which>", datasets.show, READ, slow=True),
    Route("GET", "prompts", prompts.listed, READ, slow=True),
    Route("GET", "prompts/<path:name>", prompts.show, READ, slow=True),
    Route("GET", "merge_requests", merge_requests.listed, READ, slow=True),
    Route("GET", "merge_requests/<int:iid>", merge_requests.show, READ, slow=True),
    Route("GET", "merge_requests/<int:iid>/live", merge_requests.latest, READ),
    Route("GET", "settings", project_settings.show, READ),
)


def mount_all(app: ProjectApp, deps: Deps) -> None:
    session.configure(app, deps.settings)
    render.configure(app, deps.settings)
    messages.configure(app)
    assets.mount_all(app, deps.settings)
    app.after_request(compression.compressed)
    app.after_request(sign_in.secured)

    mount_public(app, "/", home.page(deps))
    mount_public(app, "/-/models", catalogue.page(deps))
    finder = search.Search(deps)
    mount_public(app, "/-/search", finder.show)
    mount_public(app, "/-/search.json", finder.as_json)
    go_on = forward.shower(deps.settings)
    mount_public(app, forward.TRACKING_URI, go_on)
    mount_public(app, forward.TRACKING_URI + "/", go_on)
    door = sign_in.SignIn(deps)
    for path, method, handler in (
        ("/-/sign-in", "GET", door.form),
        ("/-/sign-in", "POST", door.enter),
        ("/-/sign-in/gitlab", "GET", door.to_gitlab),
        (CALLBACK, "GET", door.back_from_gitlab),
        ("/-/sign-out", "POST", door.leave),
    ):
        mount_public(app, path, handler, method=method)
    mount(app, deps, name="ui", prefix="/<project:project>/-/ml/", routes=ROUTES, find_token=session.finder(deps))
