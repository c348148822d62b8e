"""What every template knows, besides what its page gives it."""

from flask import Flask
from flask.templating import Environment

from mltrail_server.domain import former, numbers
from mltrail_server.domain.quantities import size
from mltrail_server.settings import Settings

from . import assets, marked, messages, prose, render, session


def made(settings: Settings, app: Flask, **options: object) -> Environment:
    """Make Jinja's environment, as Flask does when the first template is filled."""
    env = Environment(app, **options)
    env.trim_blocks = env.lstrip_blocks = True
    env.globals.update(
        root=settings.root_path,
        csrf_token=session.csrf_token,
        take_message=messages.take,
        **assets.elements(settings.root_path),
    )
    env.filters.update(
        time=render.time,
        utc=render.utc,
        segment=render.segment,
        duration=render.duration,
        number=numbers.at_a_glance,
        with_spread=numbers.with_spread,
        size=size,
        prose=prose.shown,
        marked=marked.marked,
        with_code=marked.with_code,
        is_former=former.is_former,
        original=former.original,
    )
    return env
