"""Serve HTTP with granian: some web processes, and the worker as a thread beside them.

Why granian: see docs/decisions/0003-granian.md.
"""

import os
import socket
import threading

from flask import Flask
from granian.constants import Interfaces
from granian.server import Server

from .app import create_app, create_deps
from .domain.errors import conflict, invalid
from .settings import Settings, is_loopback
from .worker import run

_THREADS = 8


def serve(settings: Settings, *, host: str, port: int, workers: int, worker: bool) -> None:
    """Serve until SIGTERM or SIGINT; calls that are under way are finished first."""
    if settings.local_mode and not is_loopback(host):
        raise invalid(
            f"Local mode listens on this machine only, not on {host}; set MLTRAIL_GITLAB_URL to serve a team."
        )
    settings = settings.with_kept_secrets()
    _check_port(host, port)
    deps = create_deps(settings)
    # The web processes are started anew and read their settings as this one did.
    os.environ.update(settings.to_environment())
    _greet(settings, host, port)
    if worker and not settings.local_mode:
        threading.Thread(target=run, args=(deps,), name="worker", daemon=True).start()
    Server(
        "mltrail_server.serve:web_process",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=_THREADS,
        log_access=False,
        log_dictconfig={"root": {"level": "WARNING"}},
        workers_kill_timeout=30,
        respawn_failed_workers=True,
    ).serve()


def web_process() -> Flask:
    """Make the application of one web process. Called by granian."""
    return create_app(create_deps(Settings.from_environment()))


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise conflict(
                f"Can't listen on {host}:{port}: {error.strerror}. Choose another one with --port."
            ) from error


def _greet(settings: Settings, host: str, port: int) -> None:
    base = settings.external_url.rstrip("/") or f"http://{f'[{host}]' if ':' in host else host}:{port}"
    print(f"mltrail serves {base}", flush=True)
    if settings.local_mode:
        print("Local mode: one user, this machine. A project is any number, here 1:", flush=True)
        print(f"  export MLFLOW_TRACKING_URI={base}/api/v4/projects/1/ml/mlflow", flush=True)
        print(f"  export MLFLOW_TRACKING_TOKEN={settings.local_token}", flush=True)
    else:
        print(f"Tracking URI of a project: {base}/api/v4/projects/<id>/ml/mlflow", flush=True)
