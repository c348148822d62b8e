from tests.differential.model import Call, World

from .base import get

PROXY = "api/2.0/mlflow-artifacts/artifacts"
NAMES = ("a.txt", "deep/er/b.txt", "deep/c d.txt", "ü.txt", "deep", "a.txt/x", "../x", "%2e%2e/x", "m/MLmodel")


def folder(world: World) -> str:
    """The files of a run: in its own experiment mostly, since runs know it."""
    return f"{world.some('exp')}/{world.some('run')}/artifacts"


def upload(world: World) -> Call:
    path = f"{PROXY}/{folder(world)}/{world.rng.choice(NAMES[:6])}"
    return Call("PUT", path, data=world.rng.choice([b"", b"content", b"x" * 5000]), endpoint="PUT artifacts/<path>")


def upload_to_deleted(world: World) -> Call:
    """Send a file to where a run's files are said to be, whether the run is deleted or not."""
    owner = f"{world.some('exp')}/{world.known.get('run', ['⟦no_run⟧'])[0]}/artifacts"
    return Call("PUT", f"{PROXY}/{owner}/late.txt", data=b"late", endpoint="PUT artifacts/<path>")


def listing_of_deleted(world: World) -> Call:
    return get("artifacts/list", run_id=world.known.get("run", ["⟦no_run⟧"])[0])


def download(world: World) -> Call:
    path = f"{PROXY}/{folder(world)}/{world.rng.choice(NAMES)}"
    return Call("GET", path, endpoint="GET artifacts/<path>")


def listing(world: World) -> Call:
    inner = world.rng.choice(["", "/deep", "/a.txt", "/nothing", "/deep/er"])
    return Call("GET", PROXY, query={"path": folder(world) + inner}, endpoint="GET artifacts")


def of_run(world: World) -> Call:
    return get("artifacts/list", run_id=world.some("run"), path=world.rng.choice(["", "deep", "a.txt", "deep/er"]))


def delete(world: World) -> Call:
    path = f"{PROXY}/{folder(world)}/{world.rng.choice(NAMES[:4])}"
    return Call("DELETE", path, json={}, endpoint="DELETE artifacts/<path>")


GENERATORS = (upload, upload, upload_to_deleted, download, listing, of_run, listing_of_deleted, delete)
