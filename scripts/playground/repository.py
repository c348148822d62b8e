"""The repository that the reader pushes to, and the clone that the reader works in: real git."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

_HOOK = """#!/bin/sh
exec "{python}" "{script}" "{url}" "{secret}"
"""
_AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Dana"), ("EMAIL", "dana@example.com"))
}


@dataclass(frozen=True)
class Repository:
    """`bare` is GitLab's side, `clone` the reader's."""

    bare: Path
    clone: Path

    def make(self, example: Path, gitlab: str, secret: str) -> None:
        """Fill both from an example, as one commit that is not pushed yet."""
        git(None, "init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        git(self.bare, "config", "receive.advertisePushOptions", "true")
        hook = self.bare / "hooks/post-receive"
        script = Path(__file__).with_name("hook.py")
        hook.write_text(_HOOK.format(python=sys.executable, script=script, url=f"{gitlab}/-/push", secret=secret))
        hook.chmod(0o700)
        shutil.copytree(example, self.clone, ignore=shutil.ignore_patterns("__pycache__"))
        git(self.clone, "init", "--quiet", "--initial-branch=main")
        for name, value in (
            *(("user.name", "Dana"), ("user.email", "dana@example.com"), ("push.default", "current")),
            *(("pull.ff", "only"), ("push.autoSetupRemote", "true")),
        ):
            git(self.clone, "config", name, value)
        git(self.clone, "remote", "add", "origin", os.path.relpath(self.bare, self.clone))
        git(self.clone, "add", "--all")
        git(self.clone, "commit", "--quiet", "--message", "The churn model")

    def new_commits(self, head: str, known: set[str]) -> list[tuple[str, tuple[str, ...]]]:
        """The commits up to a head that are not known, oldest first, each with its parents."""
        lines = git(self.bare, "rev-list", "--reverse", "--topo-order", "--parents", head).splitlines()
        commits = [line.split() for line in lines]
        return [(sha, tuple(parents)) for sha, *parents in commits if sha not in known]

    def files(self, sha: str) -> dict[str, bytes]:
        archive = subprocess.run(["git", "archive", sha], cwd=self.bare, check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            members = [(one.name, tar.extractfile(one)) for one in tar if one.isfile()]
            return {name: file.read() for name, file in members if file is not None}

    def message(self, sha: str) -> str:
        return git(self.bare, "show", "--no-patch", "--format=%s", sha).strip()

    def difference(self, old: str, new: str) -> str:
        return git(self.bare, "diff", f"{old}...{new}")

    def merge(self, source: str, target: str) -> str | None:
        """Merge as GitLab does, with a commit of its own. None: there are conflicts."""
        tree = subprocess.run(
            ["git", "merge-tree", "--write-tree", target, source],
            cwd=self.bare, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if tree.returncode != 0:
            return None
        message = f"Merge branch '{source}' into '{target}'"
        parents = ["-p", target, "-p", source]
        sha = git(self.bare, "commit-tree", tree.stdout.split()[0], *parents, "-m", message).strip()
        git(self.bare, "update-ref", f"refs/heads/{target}", sha)
        return sha


def git(folder: Path | None, *arguments: str) -> str:
    """Run git without the user's own settings, so that it does the same for everybody."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment = kept | _AUTHOR | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    ran = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, encoding="utf-8"
    )
    return ran.stdout
