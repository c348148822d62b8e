"""The values of several processes are added up by prometheus_client, which reads them from files of its own format."""

import os
import subprocess
import sys
from pathlib import Path

from tests.places import ROOT

COUNT = """
import os, sys
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
if sys.argv[1] == "ours":
    from mltrail_server.ops.shared_values import SharedValue, share_values
    share_values()
registry = CollectorRegistry()
answers = Histogram("answers", "meaning", ["route"], registry=registry)
errors = Counter("errors", "meaning", ["kind"], registry=registry)
live = Gauge("live", "meaning", registry=registry, multiprocess_mode="livesum")
newest = Gauge("newest", "meaning", registry=registry, multiprocess_mode="max")
if sys.argv[1] == "ours":
    assert isinstance(live._value, SharedValue)

def count(times):
    for number in range(times):
        answers.labels(f"/a/rather/long/route/of/{number % 60}").observe(number / 7)
        errors.labels("internal").inc()
        live.inc(2)
        live.dec()
        newest.set(number)
    return live._value.get()

assert count(40) == 40
child = os.fork()
if child == 0:
    own = count(100)  # of 60 routes: the file grows beyond its first 64 kB
    os._exit(0 if own == 100 else 1)
assert os.waitpid(child, 0)[1] == 0
assert count(10) == 50
together = CollectorRegistry()
MultiProcessCollector(together)
sys.stdout.buffer.write(generate_latest(together))
"""


def counted(how: str, folder: Path) -> list[str]:
    folder.mkdir()
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    command = [sys.executable, "-c", COUNT, how]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert max(one.stat().st_size for one in folder.iterdir()) > 1 << 16
    return sorted(done.stdout.splitlines())


def test_all_processes_count_what_prometheus_client_would_count(tmp_path: Path) -> None:
    found = counted("ours", tmp_path / "ours")

    assert found == counted("theirs", tmp_path / "theirs")
    assert {"live 150.0", 'errors_total{kind="internal"} 150.0', "newest 99.0"} <= set(found)
