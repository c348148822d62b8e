"""Serve HTTP with granian: several web processes, and the worker in a process of its own.

For why granian, see docs/decisions/0003-granian.md.
"""

import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from multiprocessing import get_context
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from flask import Flask
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server

from . import memory
from .app import create_app, create_deps
from .domain.errors import conflict, invalid
from .ops.draining import DRAINING
from .services.context.deps import Deps
from .settings import Settings, is_loopback
from .store.db.named_statements import SLOW_STATEMENTS
from .telemetry import logs
from .telemetry.tracing import TRACING

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

_THREADS = 128
"""The most threads: a call mostly waits for its body and for the database. They are created on demand,
and end again.
"""
_IDLE_SECONDS = 5
"""How long a thread waits for the next call before it ends. It holds 0.15 MB, and a new one takes 0.1 ms."""
_RESTART_SECONDS = 1.0
_PR_SET_NAME = 15
"""https://man7.org/linux/man-pages/man2/PR_SET_NAME.2const.html"""
_LIBC = ctypes.CDLL(None)
_STOP_SECONDS = 30.0
_WAKE_SECONDS = 1.0


def serve(settings: Settings, *, host: str, port: int, workers: int, with_worker: bool) -> None:
    """Serve until SIGTERM or SIGINT; calls in progress are finished first."""
    if settings.local_mode and not is_loopback(host):
        raise invalid(
            f"Local mode serves only this machine and can't listen on {host}; set MLTRAIL_GITLAB_URL to serve a team."
        )
    _check_port(host, port)
    # Sets up a new database, or refuses an outdated one, before anything is started. The application is created once,
    # here: the forked processes share its memory, and start immediately.
    deps = create_deps(settings)
    settings = deps.settings
    configure_logs(settings)
    app = create_app(deps)
    app.build()
    # An open SQLite connection, or a held lock, must not be inherited by a fork.
    deps.db.dispose()
    # A worker that is restarted must read the same settings as this process.
    settings.export(os.environ)
    _greet(settings, host, port)
    memory.keep_small()
    with worker_process(deps) if with_worker and not settings.local_mode else nullcontext():
        # From here on there are other threads than the main one.
        wake_for_signals()
        _serve_http(app, settings, host, port, workers)


def name_process(name: str) -> None:
    """Name this process in `ps -o comm` and `top`, since forked processes show their parent's arguments."""
    if hasattr(_LIBC, "prctl"):
        _LIBC.prctl(_PR_SET_NAME, name.encode())


@contextmanager
def worker_process(deps: Deps) -> Iterator[None]:
    """Run the worker in another process while the block runs. If it dies, it is restarted; it never outlives this
    process.

    Call this while there is only one thread: the first worker is forked, which takes no time and a third of the memory.
    A restarted one is a new program, `mltrail-server worker`: forking while there are other threads could hang, since a
    lock that one of them holds would be inherited.
    """
    stopping = threading.Event()
    parent = os.getpid()
    command = [sys.executable, "-m", "mltrail_server.cli", "worker", "--parent", str(parent)]
    first = get_context("fork").Process(target=_work, args=(deps, parent))
    first.start()
    running: BaseProcess | subprocess.Popen[bytes] = first

    def watch() -> None:
        nonlocal running
        first.join()
        while not stopping.wait(_RESTART_SECONDS):
            # In its own session: a Ctrl-C in the terminal is for this process, which then ends the worker.
            running = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - our own module
            if stopping.is_set():
                running.terminate()
            running.wait()

    watcher = threading.Thread(target=watch, name="worker watch", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stopping.set()
        running.terminate()
        watcher.join(timeout=_STOP_SECONDS)


def _work(deps: Deps, parent: int) -> None:
    os.setsid()  # as above
    from . import worker  # noqa: PLC0415 - what it loads is of no use to web processes

    deps.db.limit(0)
    name_process("mltrail-worker")
    memory.trim_when_grown()
    begin_traces()
    worker.run_until_signalled(deps, parent=parent)


def _after_draining(stop: Callable[[], None], seconds: float) -> Callable[..., None]:
    """Return a signal handler that has `/readyz` say no for that long before it calls `stop`, once. A second signal
    ends the wait, and Ctrl-C stops at once.

    A handler may interrupt anything, even itself, so it must neither wait nor take a lock: a thread does what follows.
    """
    signals: SimpleQueue[int] = SimpleQueue()  # its `put` is made for signal handlers

    def follow() -> None:
        if signals.get() == signal.SIGTERM and seconds:
            DRAINING.begin()
            print(f"Stopping in {seconds:g} seconds; until then, /readyz responds with 503.", flush=True)
            with suppress(Empty):
                signals.get(timeout=min(seconds, threading.TIMEOUT_MAX))
        stop()

    threading.Thread(target=follow, name="drain", daemon=True).start()
    return lambda number, _frame: signals.put(number)


def _serve_http(app: Flask, settings: Settings, host: str, port: int, workers: int) -> None:
    os.register_at_fork(after_in_child=_be_a_child)
    parent = os.getpid()

    def begin() -> Flask:
        name_process("mltrail-web")
        wake_for_signals()
        _end_with(parent)
        memory.trim_when_grown()
        begin_traces()
        return app

    server = Server(
        "mltrail_server.serve:web_process",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        websockets=False,
        workers=workers,
        blocking_threads=_THREADS,
        blocking_threads_idle_timeout=_IDLE_SECONDS,
        log_level=LogLevels(settings.log_level),
        log_dictconfig=logs.granian_config(),
        log_access=False,
        workers_kill_timeout=round(_STOP_SECONDS),
        respawn_failed_workers=True,
        respawn_interval=_RESTART_SECONDS,
    )
    stop = server.signal_handler_interrupt
    server.signal_handler_interrupt = _after_draining(stop, float(settings.drain_seconds))  # type: ignore[method-assign] # no other way
    # There is no such file, but granian looks at all processes of the machine then: 10 ms where there are a hundred.
    server._write_pidfile = lambda: None  # type: ignore[method-assign] # noqa: SLF001 - no other way
    # granian warns about more threads than twice the number of cores, which is intended here.
    logging.getLogger("_granian").addFilter(lambda record: "spawning up to" not in record.getMessage())
    server.serve(target_loader=begin, wrap_loader=False)


def _be_a_child() -> None:
    # A Ctrl-C in the terminal reaches every process of the group. It is for the parent, which ends the web processes in
    # order; a process that gets two signals hangs until it is killed. So they leave the group as soon as they are
    # forked.
    os.setpgid(0, 0)
    # Until granian sets its own signal handlers, a child has its parent's, which do nothing in a child: it would ignore
    # a signal during its start, and stay until it is killed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def wake_for_signals() -> None:
    """Make sure that signals are handled within a second, whatever the main thread waits for. Call it from the main
    thread.

    Python handles a signal when its main thread runs. A signal that arrives just before that thread starts to wait does
    not wake it, and granian's processes wait without a time-out: some that got a signal during their start stayed until
    they were killed. So the thread is woken every second.
    """
    signal.signal(signal.SIGURG, lambda _number, _frame: None)
    main = threading.main_thread()

    def wake() -> None:
        while main.is_alive() and main.ident:
            signal.pthread_kill(main.ident, signal.SIGURG)
            time.sleep(_WAKE_SECONDS)

    threading.Thread(target=wake, name="signal watch", daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when its parent has ended, for whatever reason: nobody would end it later."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_RESTART_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_STOP_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()


def web_process() -> Flask:
    """Create the application for another WSGI server, with the settings from the environment."""
    settings = Settings.from_environment()
    configure_logs(settings)
    deps = create_deps(settings)
    configure_logs(deps.settings)
    app = create_app(deps)
    begin_traces()
    memory.keep_small()
    memory.trim_when_grown()
    return app


def begin_traces() -> None:
    """Have this process make traces, if they are switched on; call it after a fork."""
    TRACING.begin()
    SLOW_STATEMENTS.trace()


def configure_logs(settings: Settings) -> None:
    """Log as the settings say. They are known in full, with the secrets that are kept, once `Deps` are created."""
    logs.configure(layout=settings.log_format, level=settings.log_level, secrets=settings.secret_values)


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
        if not (settings.gitlab_token or settings.bot_tokens):
            print(
                "There is no bot, so no comments are written and no jobs looked up. Set MLTRAIL_GITLAB_TOKEN.",
                flush=True,
            )
