"""The chart, rendered by helm. No cluster is asked: what only one could tell is not tested."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.places import ROOT

HELM = ROOT / ".cache/helm/helm"
CHART = ROOT / "deploy/helm/mltrail"

Values = Mapping[str, Any]
NEEDED: Values = {
    "externalUrl": "https://mltrail.example.com",
    "gitlab": {"url": "https://gitlab.example.com"},
    "image": {"repository": "registry.example.com/mlops/mltrail/server"},
    "secrets": {"existingSecret": "mltrail"},
    "database": {"existingSecret": "mltrail-database"},
    "files": {"s3": {"bucket": "my-bucket"}},
}


@dataclass(frozen=True)
class Manifest:
    data: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.data["kind"])

    @property
    def name(self) -> str:
        return str(self.data["metadata"]["name"])

    @property
    def component(self) -> str:
        return str(self.data["metadata"]["labels"]["app.kubernetes.io/component"])

    @property
    def annotations(self) -> dict[str, str]:
        return self.data["metadata"].get("annotations") or {}

    @property
    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.data["spec"]
        return spec

    @property
    def pod(self) -> dict[str, Any] | None:
        """Metadata and spec of the pods that it makes; None if it makes none."""
        match self.kind:
            case "Pod":
                return self.data
            case "Deployment" | "StatefulSet" | "Job":
                pod: dict[str, Any] = self.spec["template"]
                return pod
            case "CronJob":
                below: dict[str, Any] = self.spec["jobTemplate"]["spec"]["template"]
                return below
        return None


@dataclass(frozen=True)
class Rendered:
    manifests: Sequence[Manifest]
    text: str

    def of(self, kind: str, component: str = "") -> Manifest:
        (found,) = [one for one in self.manifests if one.kind == kind and component in ("", one.component)]
        return found

    def pods(self) -> list[tuple[Manifest, dict[str, Any]]]:
        return [(one, one.pod) for one in self.manifests if one.pod]


def helm(*arguments: str | Path, code: int = 0, given: str = "") -> str:
    """Run it, and return what it prints, or what it says if it is to fail."""
    done = subprocess.run([HELM, *arguments], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout  # it logs that it follows the links to deploy/observability


def merged(*layers: Values) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            both = isinstance(value, Mapping) and isinstance(result.get(name), dict)
            result[name] = merged(result[name], value) if both else value
    return result


def render(values: Values, *options: str) -> Rendered:
    text = helm(
        "template", "trail", CHART, "--namespace", "ml", "--values", "-", *options, given=yaml.dump(dict(values))
    )
    manifests = [Manifest(one) for one in yaml.safe_load_all(text) if one]
    return Rendered(manifests, text)


def refused(values: Values) -> str:
    return helm("template", "trail", CHART, "--values", "-", code=1, given=yaml.dump(dict(values)))
