"""Build the sdist, the wheel from the sdist, and the chart: `python -m scripts.release.build FOLDER`.

Two builds of a commit are equal byte for byte: all times are the commit's, and the tools are those of
requirements/release.txt, without isolation, which would fetch others.
"""

import gzip
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/mltrail"


def main(arguments: list[str]) -> int:
    (folder,) = map(Path, arguments)
    folder.mkdir(parents=True, exist_ok=True)
    python(folder)
    chart(folder)
    for path in sorted(folder.iterdir()):
        print(path.name)
    return 0


def python(folder: Path, source: Path = ROOT) -> None:
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source)]
    ran = subprocess.run(
        command,
        env=os.environ | {"SOURCE_DATE_EPOCH": str(commit_time())},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        sys.exit(ran.stdout)


def chart(folder: Path) -> Path:
    """Pack the chart as `helm package` does: the folder as a gzipped archive, named after chart and version."""
    described = yaml.safe_load((CHART / "Chart.yaml").read_text())
    target = folder / f"{described['name']}-{described['version']}.tgz"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in _files():
            entry = tarfile.TarInfo(f"{described['name']}/{path.relative_to(CHART)}")
            entry.size, entry.mode, entry.mtime = path.stat().st_size, 0o644, commit_time()
            with path.open("rb") as content:
                archive.addfile(entry, content)
    target.write_bytes(gzip.compress(buffer.getvalue(), mtime=0))
    return target


def commit_time() -> int:
    """When the commit was made, in seconds; `SOURCE_DATE_EPOCH` wins."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    command = ["git", "log", "-1", "--format=%ct"]
    return int(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def _files() -> list[Path]:
    """The chart's files, Chart.yaml first, without those that its .helmignore names."""
    ignore = CHART / ".helmignore"
    ignored = [line.strip() for line in ignore.read_text().splitlines()] if ignore.exists() else []
    patterns = [line.rstrip("/") for line in ignored if line and not line.startswith("#")]
    found = [
        path
        for path in CHART.rglob("*")
        if path.is_file()
        and not any(part.match(pattern) for pattern in patterns for part in _parts(path.relative_to(CHART)))
    ]
    return sorted(found, key=lambda path: (path.name != "Chart.yaml", str(path)))


def _parts(path: Path) -> list[Path]:
    return [path, *path.parents[:-1]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
