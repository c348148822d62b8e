"""What a large answer took is given back, although what is still in use lies between."""

import subprocess
import sys

import pytest

from mltrail_server.memory import GROWTH

PROGRAM = """
from mltrail_server.memory import Trimmer, keep_small, own_bytes
keep_small()
trimmer = Trimmer()
before, looked = own_bytes(), trimmer.look()
blocks = [bytes(2000) for _ in range(40_000)]
kept = blocks[::1000]
del blocks
after, trimmed = own_bytes(), trimmer.look()
print(looked, after - before, trimmed, own_bytes() - before, trimmer.look())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc_trim")
def test_a_process_that_has_grown_is_trimmed_once() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)

    looked, grown, trimmed, left, again = done.stdout.split()

    assert (looked, trimmed, again) == ("False", "True", "False")
    assert int(grown) > 5 * GROWTH
    assert int(left) < int(grown) / 4
