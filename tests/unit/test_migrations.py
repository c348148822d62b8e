"""What `make lint` refuses in migrations, so that servers of the version before can go on running."""

from pathlib import Path

import pytest
from scripts import check_migrations, migration_rules

_HEAD = """
import sqlalchemy as sa
from alembic import op
from mltrail_server.store.db.indexes import add_index
revision = "0011"
{declared}
def upgrade() -> None:
    {step}
"""


def problems(folder: Path, step: str, declared: str = 'kind = "expand"') -> list[str]:
    path = folder / "0011_some.py"
    path.write_text(_HEAD.format(declared=declared, step=step))
    return list(migration_rules.problems(migration_rules.load(path), {"0010"}))


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ('op.drop_column("candidate", "name")', "changes candidate by DropColumn"),
        ('op.alter_column("candidate", "name", new_column_name="title")', "RenameStmt"),
        ('op.rename_table("candidate", "run")', "changes candidate by|RenameStmt"),
        ('op.drop_table("candidate")', "DropStmt"),
        ('op.alter_column("candidate", "name", type_=sa.String(9))', "changes candidate by AlterColumnType"),
        ('op.alter_column("candidate", "name", nullable=False)', "changes candidate by SetNotNull"),
        (
            'op.add_column("candidate", sa.Column("x", sa.Integer(), nullable=False))',
            "candidate.x is NOT NULL without a server_default",
        ),
        (
            'op.add_column("candidate", sa.Column("x", sa.Text(), server_default=sa.func.random()))',
            "candidate.x has a default that is not a constant",
        ),
        (
            'op.add_column("candidate", sa.Column("x", sa.Text(), sa.Computed("substr(name, 1, 3)", persisted=True)))',
            "candidate.x has CONSTR_GENERATED",
        ),
        (
            'op.create_unique_constraint("uq_x", "candidate", ["project_id", "name"])',
            "changes candidate by AddConstraint",
        ),
        ('op.create_foreign_key("fk_x", "candidate", "job", ["project_id"], ["project_id"])', "by AddConstraint"),
        ('op.create_index("ix_x", "candidate", ["project_id", "name"])', "ix_x on candidate while writers wait"),
        ('op.create_index("ix_x", "candidate", ["project_id"], unique=True)', "may break its uniqueness"),
        ('op.execute("UPDATE candidate SET name = 1")', "UpdateStmt"),
    ],
)
def test_an_expand_migration_takes_nothing_from_older_servers(tmp_path: Path, step: str, said: str) -> None:
    (found,) = problems(tmp_path, step)
    assert any(part in found for part in said.split("|")), found


@pytest.mark.parametrize(
    ("step", "declared"),
    [
        ('op.add_column("candidate", sa.Column("x", sa.Integer()))', 'kind = "expand"'),
        (
            'op.add_column("candidate", sa.Column("x", sa.Boolean(), server_default="0", nullable=False))',
            'kind = "expand"',
        ),
        (
            'op.create_table("new", sa.Column("x", sa.Integer()));op.create_index("ix_x", "new", ["x"], unique=True)',
            'kind = "expand"',
        ),
        ('add_index("ix_x", "candidate", ["project_id", "name"])', 'kind = "expand"\nconcurrently = True'),
        ('op.drop_column("candidate", "name")', 'kind = "contract"\noldest = "0010"'),
        ('op.drop_column("candidate", "name")', 'kind = "contract"\noldest = "0011"'),
        ("pass", 'kind = "expand"'),
    ],
)
def test_what_older_servers_do_not_notice_passes(tmp_path: Path, step: str, declared: str) -> None:
    assert problems(tmp_path, step, declared) == []


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("", "must declare kind"),
        ('kind = "contract"', "must declare oldest"),
        ('kind = "contract"\noldest = "0012"', "must declare oldest"),
        ('kind = "expand"\noldest = "0010"', "declares no oldest"),
        ('kind = "expand"\nconcurrently = True', "can only build or drop indexes concurrently"),
    ],
)
def test_a_migration_declares_what_it_is(tmp_path: Path, declared: str, said: str) -> None:
    (found,) = problems(tmp_path, 'op.add_column("candidate", sa.Column("x", sa.Integer()))', declared)
    assert said in found


class TestReleased:
    """Their digests are kept, so that nobody edits what databases have been migrated by."""

    @pytest.fixture(autouse=True)
    def versions(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(check_migrations, "VERSIONS", tmp_path)
        monkeypatch.setattr(check_migrations, "RELEASED", tmp_path / "released.txt")
        for name in ("0010_first.py", "0011_second.py"):
            (tmp_path / name).write_text(name)
        monkeypatch.setattr("sys.argv", ["check_migrations", "--release"])
        check_migrations.main()
        return tmp_path

    def test_an_edited_one_is_refused(self, versions: Path) -> None:
        assert check_migrations.edited() == []
        (versions / "0010_first.py").write_text("another")
        (found,) = check_migrations.edited()
        assert found.startswith("0010_first.py is released and can't be edited: databases have been migrated by it.")
        assert 'write a new one: python -m scripts.check_migrations --new "what changed"' in found

    def test_a_removed_one_is_refused(self, versions: Path) -> None:
        (versions / "0011_second.py").unlink()
        assert "0011_second.py is released and can't be removed" in check_migrations.edited()[0]

    def test_one_before_them_is_refused(self, versions: Path) -> None:
        (versions / "0010_zero.py").touch()
        assert "0010_zero.py comes before 0011_second.py" in check_migrations.edited()[0]

    def test_a_tag_needs_all(self, versions: Path) -> None:
        (versions / "0012_third.py").touch()
        assert check_migrations.edited() == []
        (found,) = check_migrations.unreleased()
        assert found.startswith("0012_third.py is not in released.txt: run python -m scripts.check_migrations --rel")


def test_our_own_migrations_keep_the_rules() -> None:
    assert check_migrations.edited() == []
    assert check_migrations.broken_rules() == []
