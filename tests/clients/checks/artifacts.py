"""https://mlflow.org/docs/latest/ml/tracking/artifact-stores/: files, figures, images, texts, dictionaries, tables."""

import json
from pathlib import Path

import matplotlib as mpl
import mlflow
import numpy as np
import pandas as pd
from checks.registry import Desk, check
from mlflow.exceptions import MlflowException
from PIL import Image

mpl.use("Agg")


@check()
def a_file_and_a_folder(desk: Desk) -> None:
    file = desk.file("in/deep/er/a.txt", b"deep")
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(file))
        mlflow.log_artifact(str(file), "some/where")
        mlflow.log_artifacts(str(desk.folder / "in"), "all")
        mlflow.log_artifacts(str(desk.folder / "in"))
    run_id = run.info.run_id
    listed = {one.path: (one.is_dir, one.file_size) for one in desk.client.list_artifacts(run_id)}
    assert listed == {"a.txt": (False, 4), "some": (True, None), "all": (True, None), "deep": (True, None)}
    assert [one.path for one in desk.client.list_artifacts(run_id, "all/deep/er")] == ["all/deep/er/a.txt"]
    assert desk.client.list_artifacts(run_id, "a.txt") == []
    here = desk.client.download_artifacts(run_id, "all", str(desk.file("out/x").parent))
    assert (Path(here) / "deep/er/a.txt").read_bytes() == b"deep"


@check()
def odd_names(desk: Desk) -> None:
    run_id = desk.run()
    names = [
        "with blank.txt",
        "plus+sign.txt",
        "ünï ©ödé.txt",
        "100% sure.txt",
        "a&b=c;d.txt",
        "(1) [2] {3}.txt",
        "~t!'.txt",
    ]
    for name in names:
        desk.client.log_artifact(run_id, str(desk.file(name, name.encode())), "odd names")
    assert sorted(one.path for one in desk.client.list_artifacts(run_id, "odd names")) == sorted(
        f"odd names/{name}" for name in names
    )
    target = desk.folder / "down"
    target.mkdir()
    here = Path(desk.client.download_artifacts(run_id, "odd names", str(target)))
    assert {one.name: one.read_bytes() for one in here.iterdir()} == {name: name.encode() for name in names}


@check()
def an_empty_and_a_larger_file(desk: Desk) -> None:
    run_id = desk.run()
    large = bytes(range(256)) * 20_000
    desk.client.log_artifact(run_id, str(desk.file("empty.bin", b"")))
    desk.client.log_artifact(run_id, str(desk.file("large.bin", large)))
    sizes = {one.path: one.file_size for one in desk.client.list_artifacts(run_id)}
    assert sizes == {"empty.bin": 0, "large.bin": len(large)}
    (desk.folder / "down").mkdir()
    here = Path(desk.client.download_artifacts(run_id, "", str(desk.folder / "down")))
    assert (here / "large.bin").read_bytes() == large
    assert (here / "empty.bin").read_bytes() == b""


@check()
def a_file_is_replaced(desk: Desk) -> None:
    run_id = desk.run()
    for content in (b"old", b"new"):
        desk.client.log_artifact(run_id, str(desk.file("a.txt", content)))
    assert Path(desk.client.download_artifacts(run_id, "a.txt")).read_bytes() == b"new"


@check(since=(2, 0))
def text_and_dictionary(desk: Desk) -> None:
    with mlflow.start_run() as run:
        mlflow.log_text("hello\nworld ü", "notes/a.txt")
        mlflow.log_dict({"a": [1, 2]}, "config.json")
        mlflow.log_dict({"a": [1, 2]}, "config.yaml")
    uri = f"runs:/{run.info.run_id}"
    assert mlflow.artifacts.load_text(f"{uri}/notes/a.txt") == "hello\nworld ü"
    assert mlflow.artifacts.load_dict(f"{uri}/config.json") == {"a": [1, 2]}
    assert "- 1" in mlflow.artifacts.load_text(f"{uri}/config.yaml")


@check(since=(2, 0))
def figure_and_image(desk: Desk) -> None:
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the choice of what draws

    figure, axes = plt.subplots()
    axes.plot([0, 1], [2, 3])
    with mlflow.start_run() as run:
        mlflow.log_figure(figure, "plots/line.png")
        mlflow.log_image(np.full((8, 6, 3), 128, dtype=np.uint8), "pixels.png")
        mlflow.log_image(Image.new("RGB", (5, 4)), "pil.png")
    plt.close(figure)
    loaded = mlflow.artifacts.load_image(f"runs:/{run.info.run_id}/pixels.png")
    assert loaded.size == (6, 8)
    assert {one.path for one in desk.client.list_artifacts(run.info.run_id)} == {"plots", "pixels.png", "pil.png"}


@check(before=(2, 0))
def text_dictionary_and_figure_of_old_clients(desk: Desk) -> None:
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the choice of what draws

    figure, axes = plt.subplots()
    axes.plot([0, 1], [2, 3])
    with mlflow.start_run() as run:
        mlflow.log_text("hello", "notes/a.txt")
        mlflow.log_dict({"a": [1, 2]}, "config.json")
        mlflow.log_figure(figure, "line.png")
        mlflow.log_image(np.full((8, 6, 3), 128, dtype=np.uint8), "pixels.png")
    plt.close(figure)
    here = Path(desk.client.download_artifacts(run.info.run_id, ""))
    assert (here / "notes/a.txt").read_text() == "hello"
    assert json.loads((here / "config.json").read_text()) == {"a": [1, 2]}
    assert Image.open(here / "pixels.png").size == (6, 8)
    assert (here / "line.png").read_bytes().startswith(b"\x89PNG")


@check(since=(2, 12))
def images_by_step(desk: Desk) -> None:
    with mlflow.start_run() as run:
        for step in range(2):
            mlflow.log_image(np.zeros((4, 4, 3), dtype=np.uint8), key="dog", step=step)
    found = [one.path for one in desk.client.list_artifacts(run.info.run_id, "images")]
    assert len([path for path in found if path.endswith(".png")]) == 2, found


@check(since=(2, 3))
def table(desk: Desk) -> None:
    with mlflow.start_run() as run:
        mlflow.log_table(pd.DataFrame({"q": ["a"], "n": [1]}), "eval/table.json")
        mlflow.log_table({"q": ["b"], "n": [2]}, "eval/table.json")
    loaded = mlflow.load_table("eval/table.json", run_ids=[run.info.run_id])
    assert list(loaded["q"]) == ["a", "b"]
    assert json.loads(desk.client.get_run(run.info.run_id).data.tags["mlflow.loggedArtifacts"])


@check(since=(2, 9))
def list_and_download_by_uri(desk: Desk) -> None:
    with mlflow.start_run() as run:
        mlflow.log_text("x", "a/b.txt")
        uri = mlflow.get_artifact_uri("a")
    run_id = run.info.run_id
    assert [one.path for one in mlflow.artifacts.list_artifacts(run_id=run_id)] == ["a"]
    assert [one.path for one in mlflow.artifacts.list_artifacts(run_id=run_id, artifact_path="a")] == ["a/b.txt"]
    assert [one.path for one in mlflow.artifacts.list_artifacts(f"runs:/{run_id}/a")] == ["a/b.txt"]
    assert [one.path for one in mlflow.artifacts.list_artifacts(uri)] in (["a/b.txt"], ["b.txt"])
    assert Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="a/b.txt")).read_text() == "x"
    assert Path(mlflow.artifacts.download_artifacts(f"{uri}/b.txt")).read_text() == "x"


@check()
def what_is_not_there(desk: Desk) -> None:
    run_id = desk.run()
    assert desk.client.list_artifacts(run_id) == []
    assert desk.client.list_artifacts(run_id, "nothing/here") == []
    try:
        desk.client.download_artifacts(run_id, "nothing.txt")
    except (MlflowException, OSError):
        return
    raise AssertionError("a file that is not there was downloaded")


@check()
def files_are_deleted(desk: Desk) -> None:
    run_id = desk.run()
    desk.client.log_artifact(run_id, str(desk.file("a.txt")), "d")
    repository = desk.client._tracking_client._get_artifact_repo(run_id)  # MLflow has no public way
    repository.delete_artifacts("d/a.txt")
    assert desk.client.list_artifacts(run_id, "d") == []
