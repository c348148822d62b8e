"""`mltrail-server serve`: tracking, registry, files and pages, with a worker unless that runs by itself."""

import argparse
import gc
import os

from mltrail_server.settings import Settings

from .arguments import Commands, Parser, port


def add(commands: Commands, shared: Parser) -> None:
    serve = commands.add_parser("serve", parents=[shared], help="serve tracking, registry, files and pages")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    serve.add_argument("--port", type=port, default=5000, help="port to listen on (default %(default)s)")
    serve.add_argument("--workers", type=int, default=2, help="web processes (default %(default)s)")
    serve.add_argument(
        "--no-worker", action="store_true", help="run no worker here; start it with mltrail-server worker"
    )
    serve.set_defaults(run=run)


def run(settings: Settings, options: argparse.Namespace) -> int:
    gc.disable()  # what is loaded now stays: looking for garbage in it would take a fifth of the start-up time
    from mltrail_server.ops import shared_metrics

    # granian's allocator reads this when it is loaded: one arena for all threads, and the memory of a large response is
    # returned after half a second. This saves 6 MB in each web process.
    os.environ.setdefault("_RJEM_MALLOC_CONF", "narenas:1,dirty_decay_ms:500,muzzy_decay_ms:0")
    with shared_metrics.shared_metrics_folder():
        from mltrail_server.serve import serve

        with_worker = not options.no_worker
        serve(settings, host=options.host, port=options.port, workers=options.workers, with_worker=with_worker)
    return 0
