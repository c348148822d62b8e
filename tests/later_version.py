"""Later versions of mltrail, as upgrades will bring them: this one's source with other tables and more migrations.

The second version adds a column that it writes, a table and two indexes, one of them on a table in use. The third takes
the column away again; the second one can't run on what is left.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.environment import without_settings
from tests.places import ROOT

_VERSIONS = "mltrail_server/store/db/migrations/versions"

_EXPANDED = """
candidate.append_column(Column("tried_ms", BigInteger))
Index("ix_candidate_tried", candidate.c.project_id, candidate.c.tried_ms)
trial = Table(
    "trial", METADATA, project_column(), number_column("candidate_iid"), Column("note", String(64), index=False)
)
trial.append_constraint(belongs_to(candidate, by=["candidate_iid"], key=["iid"]))
Index("ix_trial_note", trial.c.project_id, trial.c.note)
"""
_USED = (
    ("candidates.py", '    "discarded",\n)', '    "discarded",\n    "tried_ms",\n)'),
    ("candidates.py", '"discarded": False,', '"discarded": False, "tried_ms": 7,'),
    ("at_once.py", "elsewhere, protected, discarded)", "elsewhere, protected, discarded, tried_ms)"),
    ("at_once.py", "CAST(:protected AS BOOLEAN), false FROM", "CAST(:protected AS BOOLEAN), false, 7 FROM"),
)
"""What makes the code of the second version write the column: in which file, the former text and the new one."""
_CONTRACTED = _EXPANDED.partition("trial = ")[2].join(("trial = ", ""))
_HEAD = '''"""{title}"""

import sqlalchemy as sa
from alembic import op

from mltrail_server.store.db.indexes import add_index

revision = "{revision}"
down_revision = "{down}"
branch_labels = None
depends_on = None
kind = "{kind}"
{more}

STRING = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")


def upgrade() -> None:
'''
_TRIALS = """    op.add_column("candidate", sa.Column("tried_ms", sa.BigInteger(), nullable=True))
    op.create_table(
        "trial",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("candidate_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("note", STRING, nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id", "candidate_iid"], ["candidate.project_id", "candidate.iid"],
            name=op.f("fk_trial_candidate"), ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "candidate_iid", name=op.f("pk_trial")),
    )
    op.create_index("ix_trial_note", "trial", ["project_id", "note"])
"""
_INDEX = '    add_index("ix_candidate_tried", "candidate", ["project_id", "tried_ms"])\n'
_CONTRACT = """    op.drop_index("ix_candidate_tried", "candidate")
    op.drop_column("candidate", "tried_ms")
"""


@dataclass(frozen=True)
class Version:
    """A version's source. `folder` goes first on the module path."""

    folder: Path
    revision: str

    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.folder)}

    @property
    def migrations(self) -> Path:
        return self.folder / _VERSIONS

    def run(self, *arguments: str | Path, code: int = 0, **environment: str) -> str:
        """Run this version's `mltrail-server`, check its exit code, and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "mltrail_server.cli", *arguments],
            env=without_settings() | self.environment() | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        return said


def first(folder: Path) -> Version:
    """Copy this version."""
    for package in ("server/mltrail_server", "component/mltrail_ci", "component/mltrail_contract"):
        shutil.copytree(ROOT / package, folder / Path(package).name)
    return at(folder)


def at(folder: Path) -> Version:
    """Return the version whose source is in a folder."""
    return Version(folder, max(path.name for path in (folder / _VERSIONS).glob("0*.py"))[:4])


def second(folder: Path) -> Version:
    version = first(folder)
    tracking = folder / "mltrail_server/store/schema/tracking.py"
    tracking.write_text(tracking.read_text() + _EXPANDED)
    for used in _USED:
        _edit(folder, *used)
    trials = _add(version, version.revision, "Say when a run was tried.", "expand", "", _TRIALS)
    index = _add(version, trials, "Find runs by when they were tried.", "expand", "concurrently = True", _INDEX)
    return Version(folder, index)


def third(folder: Path) -> Version:
    version = second(folder)
    tracking = folder / "mltrail_server/store/schema/tracking.py"
    tracking.write_text(tracking.read_text().replace(_EXPANDED, "\n" + _CONTRACTED))
    for name, before, after in _USED:
        _edit(folder, name, after, before)
    revision = f"{int(version.revision) + 1:04}"
    taken = _add(version, version.revision, "Forget it.", "contract", f'oldest = "{revision}"', _CONTRACT)
    return Version(folder, taken)


def _edit(folder: Path, name: str, before: str, after: str) -> None:
    path = folder / "mltrail_server/store/tracking" / name
    text = path.read_text()
    assert text.count(before) == 1, before
    path.write_text(text.replace(before, after))


def _add(version: Version, down: str, title: str, kind: str, more: str, steps: str) -> str:
    revision = f"{int(down) + 1:04}"
    head = _HEAD.format(title=title, revision=revision, down=down, kind=kind, more=more)
    (version.migrations / f"{revision}_trials.py").write_text(head + steps)
    return revision
