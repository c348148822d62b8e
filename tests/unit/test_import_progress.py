"""Progress and rehearsal of an import, by a clock that the test moves."""

from mltrail_server.domain.quantities import duration
from mltrail_server.domain.transfer import Counts, Entity
from mltrail_server.services.imports.progress import Progress
from mltrail_server.services.imports.rehearsal import rehearse
from tests.fakes.history import FakeSource, history


class Watch:
    def __init__(self, *, step: float = 0.0) -> None:
        self.seconds, self.step = 0.0, step

    def __call__(self) -> float:
        self.seconds += self.step
        return self.seconds


def totals(**counts: int) -> Counts:
    found = Counts()
    for name, count in counts.items():
        found.add(Entity[name], count)
    return found


def test_a_log_gets_a_line_every_ten_seconds() -> None:
    watch, written = Watch(), list[str]()
    progress = Progress(watch, written.append, totals=totals(RUN=100, POINT=1000))

    for _ in range(50):
        watch.seconds += 0.5
        progress.advance(Entity.RUN)
        progress.advance(Entity.POINT, 10)
    progress.end()

    assert len(written) == 2
    assert written[-1] == "40 of 100 runs · 390 of 1,000 metric points · 20 points/s · 31 s left\n"


def test_a_terminal_gets_one_line_that_is_rewritten() -> None:
    watch, written = Watch(), list[str]()
    progress = Progress(watch, written.append, terminal=True)

    for _ in range(3):
        watch.seconds += 1
        progress.advance(Entity.RUN)
    progress.end()

    assert [one[0] for one in written] == ["\r", "\r", "\r", "\r", "\n"]
    assert written[-2].strip() == "3 runs · 3 s so far"


def test_durations() -> None:
    assert list(map(duration, (5, 300, 4000, 7200, 400_000))) == ["5 s", "5 min", "1 h 7 min", "2 h", "4 d 15 h"]


def test_a_rehearsal_measures_a_sample() -> None:
    source = history(runs=12)

    found = rehearse(source, Watch(step=1.0))

    assert found.runs == 12
    assert found.points == len(source.listed_points)
    assert found.files == 25  # those of the logged model, too
    assert found.totals[Entity.RUN] + found.totals[Entity.DELETED_RUN] == 12
    assert found.totals[Entity.BYTES] == found.bytes_read
    assert found.seconds >= 2  # one for the runs, one for the files, by that clock
    assert list(found.lines())[-1].startswith("An import takes about ")


def test_a_rehearsal_of_nothing() -> None:
    assert rehearse(FakeSource(), Watch()).seconds == 0
