"""`mltrail-server worker`: the worker by itself, for ever or once."""

import argparse
from contextlib import nullcontext

from mltrail_server.domain.errors import invalid
from mltrail_server.settings import Settings

from .arguments import Commands, Parser, address


def add(commands: Commands, shared: Parser) -> None:
    worker = commands.add_parser(
        "worker", parents=[shared], help="keep jobs, comments and statuses up to date with GitLab"
    )
    worker.add_argument("--once", action="store_true", help="do everything that is due once, then exit")
    worker.add_argument(
        "--listen",
        type=address,
        metavar="HOST:PORT",
        help="answer /healthz and /metrics there, for what watches the worker",
    )
    worker.add_argument("--parent", type=int, help=argparse.SUPPRESS)  # exit when this process has ended
    worker.set_defaults(run=run)


def run(settings: Settings, options: argparse.Namespace) -> int:
    from mltrail_server.app import create_deps
    from mltrail_server.memory import trim_when_grown
    from mltrail_server.ops.instruments import Instruments
    from mltrail_server.ops.worker_port import listening
    from mltrail_server.serve import begin_traces, configure_logs, name_process
    from mltrail_server.worker import PROGRESS, run_once, run_until_signalled

    if options.once and options.listen:
        raise invalid("worker --once ends at once, so it can't --listen; choose one.")
    deps = create_deps(settings)
    configure_logs(deps.settings)
    instruments = Instruments()
    instruments.attach(deps)
    begin_traces()
    if options.once:
        run_once(deps)
        return 0
    name_process("mltrail-worker")
    trim_when_grown()
    with listening(deps, instruments, options.listen, PROGRESS) if options.listen else nullcontext():
        run_until_signalled(deps, parent=options.parent)
    return 0
