"""The route table of the pages, under GitLab's paths. The first call of a page loads its module."""

from functools import partial
from typing import TYPE_CHECKING

from mltrail_server.domain.identity import Access
from mltrail_server.http.project_app import ProjectApp
from mltrail_server.http.routes import Route, mount, mount_public
from mltrail_server.later import later
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import CALLBACK

from . import compression, policy, session

if TYPE_CHECKING:
    from . import (
        assets,
        candidate_table,
        catalogue,
        charts,
        compare,
        datasets,
        environment,
        evaluation_page,
        experiments,
        forward,
        home,
        live,
        merge_requests,
        models,
        project_settings,
        prompts,
        run_charts,
        run_files,
        run_media,
        run_models,
        run_overview,
        search,
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
else:
    (
        assets,
        candidate_table,
        catalogue,
        charts,
        compare,
        datasets,
        environment,
        evaluation_page,
        experiments,
        forward,
        home,
        live,
        merge_requests,
        models,
        project_settings,
        prompts,
        run_charts,
        run_files,
        run_media,
        run_models,
        run_overview,
        search,
        sign_in,
        sweep,
        trace_page,
        trace_table,
    ) = later(
        __package__,
        "assets",
        "candidate_table",
        "catalogue",
        "charts",
        "compare",
        "datasets",
        "environment",
        "evaluation_page",
        "experiments",
        "forward",
        "home",
        "live",
        "merge_requests",
        "models",
        "project_settings",
        "prompts",
        "run_charts",
        "run_files",
        "run_media",
        "run_models",
        "run_overview",
        "search",
        "sign_in",
        "sweep",
        "trace_page",
        "trace_table",
    )
    (
        edit_chosen,
        edit_experiments,
        edit_models,
        edit_runs,
        edit_saved_views,
        edit_traces,
        edit_version_files,
        edit_versions,
    ) = later(
        f"{__package__}.edits",
        "chosen",
        "experiments",
        "models",
        "runs",
        "saved_views",
        "traces",
        "version_files",
        "versions",
    )

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

TRACKING_URI = "/api/v4/projects/<project:project>/ml/mlflow"


def mount_all(app: ProjectApp, deps: Deps) -> None:
    session.configure(app, deps.settings)
    app.jinja_environment = partial(environment.made, deps.settings)  # type: ignore[assignment] # Flask only calls it
    app.after_request(compression.compressed)
    app.after_request(policy.secured)

    for path, method, handler in (
        ("/", "GET", home.show),
        ("/-/models", "GET", catalogue.show),
        ("/-/search", "GET", search.show),
        ("/-/search.json", "GET", search.as_json),
        ("/-/sign-in", "GET", sign_in.form),
        ("/-/sign-in", "POST", sign_in.enter),
        ("/-/sign-in/gitlab", "GET", sign_in.to_gitlab),
        (CALLBACK, "GET", sign_in.back_from_gitlab),
        ("/-/sign-out", "POST", sign_in.leave),
        ("/-/assets/<name>", "GET", assets.show),
        (TRACKING_URI, "GET", forward.show),
        (TRACKING_URI + "/", "GET", forward.show),
    ):
        mount_public(app, path, partial(handler, deps), method=method)
    mount(app, deps, name="ui", prefix="/<project:project>/-/ml/", routes=ROUTES, find_token=session.finder(deps))
