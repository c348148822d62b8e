"""Fill a template for somebody who is looking at a project."""

from importlib import metadata
from urllib.parse import quote

from flask import render_template
from markupsafe import Markup

from mltrail_server.domain.clock import iso
from mltrail_server.domain.identity import Access
from mltrail_server.domain.quantities import short_duration
from mltrail_server.http.call import Call

from .possible_edits import PossibleEdits

_RELEASE = metadata.version("mltrail")


def page(call: Call, template: str, **values: object) -> str:
    """Render a page of a project. Templates get the user's name, what they may change, and the project's URLs."""
    settings = call.deps.settings
    path = call.actor.project_path
    return filled(
        template,
        base=call.pages,
        project=path,
        user=call.actor.user_name,
        may_write=call.actor.may(Access.WRITE),
        possible=PossibleEdits(call),
        parts_of_project=_parts(call),
        sees_traces=call.sees_traces,
        sees_merge_requests=call.actor.sees_merge_requests,
        gitlab=None if settings.local_mode else f"{settings.gitlab_url.rstrip('/')}/{path}/-",
        gitlab_root=settings.gitlab_url.rstrip("/"),
        server_url=server_url(call),
        release=_RELEASE,
        tracking_uri=f"{server_url(call)}/api/v4/projects/{call.project_id}/ml/mlflow",
        **values,
    )


def filled(template: str, **values: object) -> str:
    """Render a template. YAML and JSON can spell half of a character, which can't be sent: it is replaced."""
    text = render_template(template, **values)
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text


def _parts(call: Call) -> list[tuple[str, str]]:
    """List the parts of a project that the header leads to: label and path."""
    local = call.deps.settings.local_mode
    return [
        ("Experiments", "experiments"),
        *([("Traces", "traces")] if call.sees_traces else []),
        ("Prompts", "prompts"),
        ("Models", "models"),
        *([("Merge requests", "merge_requests")] if call.actor.sees_merge_requests and not local else []),
        ("Settings", "settings"),
    ]


def segment(text: str) -> str:
    """Escape a text so that it is one part of a path."""
    return quote(text, safe="")


def server_url(call: Call) -> str:
    return call.deps.settings.external_url.rstrip("/") or call.request.host_url.rstrip("/")


def time(milliseconds: int) -> Markup:
    """Write a time as an element: in UTC, until `app.js` makes it the reader's own. Not for attributes: see `utc`."""
    exact = iso(milliseconds)
    plain = _minute(exact)
    return Markup(f'<time datetime="{exact}" title="{plain}">{plain}</time>')  # noqa: S704 - digits


def utc(milliseconds: int) -> str:
    """Write a time as plain text."""
    return _minute(iso(milliseconds))


def _minute(exact: str) -> str:
    return exact[:16].replace("T", " ") + " UTC"


def duration(milliseconds: int) -> str:
    return short_duration(max(0, milliseconds) / 1000)
