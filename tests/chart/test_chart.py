"""The chart in deploy/helm: https://helm.sh/docs/topics/charts/ and docs/how-to/run-on-kubernetes.md."""

import json
import re
import tarfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from scripts.chart_values import README, with_table

from mltrail_ci import __version__
from mltrail_server.cli import parser_of_all
from mltrail_server.settings import Settings
from tests.chart.helm import CHART, NEEDED, Manifest, Rendered, Values, helm, merged, refused, render
from tests.places import ROOT

VERSIONS = ["1.28", "1.37"]
"""The oldest that Chart.yaml allows, and the newest."""
CUSTOM = {"HTTPRoute", "ServiceMonitor", "PrometheusRule"}
"""Kinds that operators add: Kubernetes' schemas don't know them."""
INGRESS = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}]
PROMETHEUS = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
BUNDLED: Values = merged(NEEDED, {"database": {"existingSecret": "", "bundled": {"enabled": True}}})
EVERYTHING: Values = merged(
    BUNDLED,
    {
        "gitlab": {"allowedNamespaces": ["data-science", "research/vision"]},
        "settings": {"MLTRAIL_TRACES_KEEP": "90d", "MLTRAIL_SEARCH_SECONDS": 20},
        "image": {"tag": "0.9.0", "pullSecrets": [{"name": "registry"}]},
        "database": {"bundled": {"storageClassName": "fast"}},
        "files": {"s3": {"region": "eu-central-1", "endpointUrl": "http://s3.example.com:9000"}},
        "web": {"autoscaling": {"enabled": True}},
        "backup": {"enabled": True, "to": "s3://my-backups/mltrail"},
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/mltrail"}},
        "ingress": {"enabled": True, "className": "nginx", "tlsSecretName": "mltrail-tls"},
        "networkPolicy": {"ingressFrom": INGRESS, "metricsFrom": PROMETHEUS, "ports": [8443]},
        "monitoring": {
            "serviceMonitor": True,
            "prometheusRule": True,
            "dashboard": True,
            "labels": {"release": "prometheus"},
        },
        "test": {"project": "data-science/sandbox"},
        "extraEnv": [{"name": "REQUESTS_CA_BUNDLE", "value": "/etc/ca.pem"}],
        "podAnnotations": {"example.com/team": "ml"},
        "podLabels": {"team": "ml"},
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "ml", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "priorityClassName": "high",
    },
)
MATRIX: dict[str, Values] = {
    "existing database": NEEDED,
    "bundled database": BUNDLED,
    "volume": merged(NEEDED, {"files": {"s3": {"bucket": ""}, "volume": {"enabled": True, "storageClassName": "nfs"}}}),
    "own secrets": merged(NEEDED, {"secrets": {"generate": False}}),
    "gateway": merged(NEEDED, {"gateway": {"enabled": True, "parentRefs": [{"name": "public"}]}}),
    "below a path": merged(NEEDED, {"externalUrl": "https://h.example.com:8443/ml", "ingress": {"enabled": True}}),
    "no policy": merged(NEEDED, {"networkPolicy": {"enabled": False}, "serviceAccount": {"create": False}}),
    "everything": EVERYTHING,
}


@pytest.fixture(scope="module")
def rendered() -> dict[str, Rendered]:
    return {name: render(values) for name, values in MATRIX.items()}


@pytest.fixture(params=MATRIX)
def one(request: pytest.FixtureRequest, rendered: dict[str, Rendered]) -> Rendered:
    return rendered[request.param]


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_accepts_each_manifest(one: Rendered, version: str) -> None:
    for manifest in one.manifests:
        if manifest.kind not in CUSTOM:
            kubernetes_validate.validate(manifest.data, version, strict=True)


@pytest.mark.parametrize("values", [NEEDED, EVERYTHING], ids=["least", "everything"])
def test_helm_finds_nothing_to_say(values: Values) -> None:
    said = helm("lint", "--strict", CHART, "--values", "-", given=yaml.dump(dict(values)))
    assert "[WARNING]" not in said
    assert "[ERROR]" not in said


def test_no_name_is_given_twice(one: Rendered) -> None:
    names = [(manifest.kind, manifest.name) for manifest in one.manifests]
    assert len(names) == len(set(names))


def test_the_packed_chart_has_the_projects_version(tmp_path: Path) -> None:
    helm("package", CHART, "--destination", tmp_path)
    (packed,) = tmp_path.iterdir()
    assert packed.name == f"mltrail-{__version__}.tgz"
    with tarfile.open(packed) as archive:
        chart = archive.extractfile("mltrail/Chart.yaml")
        assert chart
        described = yaml.safe_load(chart)
        assert archive.getmember("mltrail/files/alerts.yaml").isreg()
    assert described["version"] == described["appVersion"] == __version__


def test_the_readme_lists_the_values() -> None:
    assert README.read_text() == with_table(README.read_text())


def test_the_schema_knows_the_values_and_no_others() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def compare(described: dict[str, Any], given: dict[str, Any], path: str) -> None:
        if "properties" not in described:
            return
        assert not described["additionalProperties"], path
        assert set(described["properties"]) - {"global"} >= set(given), path
        for name, value in given.items():
            if isinstance(value, dict):
                compare(described["properties"][name], value, f"{path}.{name}")
        if path != "" and "resources" not in path:
            assert set(described["properties"]) == set(given), path

    compare(schema, values, "")


class TestWhatIsWrongIsSaid:
    @pytest.mark.parametrize(
        ("values", "says"),
        [
            ({"replicas": 3}, "'replicas' not allowed"),
            ({"web": {"replica": 3}}, "'replica' not allowed"),
            ({"web": {"replicas": "3"}}, "got string, want integer"),
            ({"settings": {"KEEP": "1d"}}, "MLTRAIL_"),
            ({"settings": {"MLTRAIL_GITLAB_TOKEN": "x"}}, "MLTRAIL_GITLAB_TOKEN is a secret"),
            ({"externalUrl": ""}, "set externalUrl"),
            ({"externalUrl": "mltrail.example.com"}, "externalUrl"),
            ({"gitlab": {"url": ""}}, "set gitlab.url"),
            ({"image": {"repository": ""}}, "set image.repository"),
            ({"database": {"existingSecret": ""}}, "set database.existingSecret"),
            ({"database": {"bundled": {"enabled": True}}}, "exclude each other"),
            ({"files": {"s3": {"bucket": ""}}}, "set files.s3.bucket"),
            ({"files": {"volume": {"enabled": True}}}, "exclude each other"),
            ({"secrets": {"existingSecret": "", "generate": False}}, "set secrets.existingSecret"),
            ({"backup": {"enabled": True}}, "set backup.to"),
            ({"gateway": {"enabled": True}}, "set gateway.parentRefs"),
            (
                {"monitoring": {"serviceMonitor": True}, "networkPolicy": {"ingressFrom": INGRESS}},
                "networkPolicy.metricsFrom",
            ),
        ],
        ids=lambda given: None if isinstance(given, str) else "-".join(given),
    )
    def test_by_the_chart(self, values: Values, says: str) -> None:
        assert says in refused(merged(NEEDED, values))

    def test_every_secret_setting_is_refused_among_the_others(self) -> None:
        for one in fields(Settings):
            if one.metadata["secret"]:
                values = merged(NEEDED, {"settings": {one.metadata["variable"]: "x"}})
                assert f"{one.metadata['variable']} is a secret" in refused(values)


class TestSecrets:
    def test_none_is_in_a_config_map_an_argument_or_a_plain_variable(self, one: Rendered) -> None:
        secret = {field.metadata["variable"] for field in fields(Settings) if field.metadata["secret"]}
        assert not secret & set(one.of("ConfigMap", "settings").data["data"])
        for _, pod in one.pods():
            for container in pod["spec"]["containers"]:
                plain = {entry["name"] for entry in container["env"] if "value" in entry}
                assert not plain & (secret | {"POSTGRES_PASSWORD", "AWS_SECRET_ACCESS_KEY"})

    def test_generated_ones_stay_in_the_cluster(self, rendered: dict[str, Rendered]) -> None:
        kept = [one for one in rendered["bundled database"].manifests if one.kind == "Secret"]
        assert len(kept) == 2
        assert all(one.annotations["helm.sh/resource-policy"] == "keep" for one in kept)

    def test_none_is_generated_where_the_chart_must_not(self, rendered: dict[str, Rendered]) -> None:
        assert "kind: Secret" not in rendered["own secrets"].text

    def test_the_operators_secret_wins_over_the_generated_one(self, rendered: dict[str, Rendered]) -> None:
        pod = rendered["existing database"].of("Deployment", "web").pod
        assert pod
        sources = [source.get("secretRef", {}).get("name") for source in pod["spec"]["containers"][0]["envFrom"]]
        assert sources == [None, "trail-mltrail-generated", "mltrail"]


def test_the_server_accepts_the_settings_and_arguments(one: Rendered) -> None:
    settings = one.of("ConfigMap", "settings").data["data"]
    ours = {name: value for name, value in settings.items() if name.startswith("MLTRAIL_")}
    Settings.from_environment(ours | {"MLTRAIL_DATABASE_URL": "postgresql://db/x"})
    for manifest, pod in one.pods():
        for container in pod["spec"]["containers"]:
            if manifest.component != "postgresql":
                parser_of_all().parse_args(container["args"])


def test_pods_are_locked_down(one: Rendered) -> None:
    for manifest, pod in one.pods():
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == (70 if manifest.component == "postgresql" else 10001)
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["requests"]
            assert container["resources"]["limits"]
            writable = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert "/tmp" in writable
            assert {mount["name"] for mount in container["volumeMounts"]} <= _volumes(manifest, spec)


def _volumes(manifest: Manifest, spec: dict[str, Any]) -> set[str]:
    claimed = manifest.spec.get("volumeClaimTemplates", []) if manifest.kind == "StatefulSet" else []
    return {volume["name"] for volume in spec["volumes"]} | {claim["metadata"]["name"] for claim in claimed}


def test_selectors_select_the_pods_that_are_meant(one: Rendered) -> None:
    labels = {manifest.component: pod["metadata"]["labels"] for manifest, pod in one.pods()}
    for manifest in one.manifests:
        match manifest.kind:
            case "Service":
                selector = manifest.spec["selector"]
            case "PodDisruptionBudget" | "Deployment" | "StatefulSet":
                selector = manifest.spec["selector"]["matchLabels"]
            case "NetworkPolicy":
                selector = manifest.spec["podSelector"]["matchLabels"]
            case _:
                continue
        selected = [component for component, had in labels.items() if selector.items() <= had.items()]
        assert selected == [manifest.component] or manifest.component == "backup"


class TestOrder:
    """Hooks: https://helm.sh/docs/topics/charts_hooks/"""

    def test_an_existing_database_is_migrated_first(self, rendered: dict[str, Rendered]) -> None:
        job = rendered["existing database"].of("Job")
        assert job.annotations["helm.sh/hook"] == "pre-install,pre-upgrade"

    def test_no_migration_breaks_the_pods_that_still_run(self, rendered: dict[str, Rendered]) -> None:
        job = rendered["existing database"].of("Job").pod
        assert job
        assert job["spec"]["containers"][0]["args"] == ["migrate", "--while-serving"]
        stopped = render(merged(NEEDED, {"migration": {"whileServing": False}})).of("Job").pod
        assert stopped
        assert stopped["spec"]["containers"][0]["args"] == ["migrate"]

    def test_a_bundled_one_is_not_waited_for_before_it_exists(self, rendered: dict[str, Rendered]) -> None:
        assert rendered["bundled database"].of("Job").annotations["helm.sh/hook"] == "pre-upgrade"

    def test_the_first_installations_hook_needs_nothing_of_the_release(self, one: Rendered) -> None:
        job = one.of("Job")
        if "pre-install" not in job.annotations["helm.sh/hook"]:
            return
        mine = {manifest.name for manifest in one.manifests if manifest is not job}
        assert job.pod
        spec = job.pod["spec"]
        container = spec["containers"][0]
        used = {spec["serviceAccountName"], *_references(container), *_references(spec["volumes"])}
        assert not used & mine


def _references(data: Any) -> set[str]:
    """Find the names of secrets, settings and claims in a part of a pod."""
    if isinstance(data, list):
        return {name for part in data for name in _references(part)}
    if not isinstance(data, dict):
        return set()
    kinds = ("secretRef", "configMapRef", "secretKeyRef", "configMapKeyRef")
    named = {data[kind]["name"] for kind in kinds if kind in data}
    claims = {data["persistentVolumeClaim"]["claimName"]} if "persistentVolumeClaim" in data else set()
    return named | claims | {name for value in data.values() for name in _references(value)}


class TestRollingUpdates:
    def test_a_pod_drains_before_it_is_killed(self, rendered: dict[str, Rendered]) -> None:
        settings = rendered["existing database"].of("ConfigMap", "settings").data["data"]
        web = rendered["existing database"].of("Deployment", "web")
        assert web.pod
        drain = int(settings["MLTRAIL_DRAIN_SECONDS"])
        # Kubernetes asks three times in nine seconds before it takes a pod that is not ready out of the service.
        assert drain >= 10
        assert web.pod["spec"]["terminationGracePeriodSeconds"] > drain + 30
        assert web.spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0

    def test_probes_ask_what_they_are_for(self, rendered: dict[str, Rendered]) -> None:
        asked = {}
        for component in ("web", "worker"):
            pod = rendered["existing database"].of("Deployment", component).pod
            assert pod
            container = pod["spec"]["containers"][0]
            (port,) = container["ports"]
            for kind in ("startup", "readiness", "liveness"):
                if probe := container.get(f"{kind}Probe"):
                    assert probe["httpGet"]["port"] == port["name"]
                    asked[component, kind] = (probe["httpGet"]["path"], port["containerPort"])
        assert asked == {
            ("web", "startup"): ("/healthz", 5000),
            ("web", "readiness"): ("/readyz", 5000),
            ("web", "liveness"): ("/healthz", 5000),
            ("worker", "startup"): ("/healthz", 5001),
            ("worker", "liveness"): ("/healthz", 5001),
        }

    def test_an_autoscaler_decides_alone(self, rendered: dict[str, Rendered]) -> None:
        everything = rendered["everything"]
        web = everything.of("Deployment", "web")
        assert "replicas" not in web.spec
        assert everything.of("HorizontalPodAutoscaler").spec["scaleTargetRef"]["name"] == web.name


class TestNetwork:
    def allowed(self, rendered: Rendered, component: str) -> dict[str, Any]:
        return rendered.of("NetworkPolicy", component).spec

    def test_each_pod_has_a_policy_of_its_own(self, rendered: dict[str, Rendered]) -> None:
        policies = {one.component for one in rendered["everything"].manifests if one.kind == "NetworkPolicy"}
        assert policies >= {manifest.component for manifest, _ in rendered["everything"].pods()}
        for component in policies:
            assert self.allowed(rendered["everything"], component)["policyTypes"] == ["Ingress", "Egress"]

    def test_only_the_controller_prometheus_and_the_test_reach_the_web(self, rendered: dict[str, Rendered]) -> None:
        (rule,) = self.allowed(rendered["everything"], "web")["ingress"]
        assert rule["ports"] == [{"port": "http"}]
        *others, test = rule["from"]
        assert others == [*INGRESS, *PROMETHEUS]
        assert test["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "test"

    def test_only_our_own_pods_reach_the_database(self, rendered: dict[str, Rendered]) -> None:
        spec = self.allowed(rendered["everything"], "postgresql")
        assert spec["egress"] == []
        (rule,) = spec["ingress"]
        assert rule["ports"] == [{"port": "postgresql"}]
        components = {one["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for one in rule["from"]}
        assert components == {"web", "worker", "migrate", "backup", "test"}

    def test_what_pods_reach(self, rendered: dict[str, Rendered]) -> None:
        for component in ("web", "worker"):
            names, database, others = self.allowed(rendered["everything"], component)["egress"]
            assert {port["port"] for port in names["ports"]} == {53}
            assert database["ports"] == [{"port": 5432}]
            assert database["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "postgresql"
            assert {port["port"] for port in others["ports"]} == {443, 8443, 9000}
        assert len(self.allowed(rendered["everything"], "migrate")["egress"]) == 2


def test_the_ingress_leads_to_the_service_at_the_external_url(rendered: dict[str, Rendered]) -> None:
    ingress = rendered["below a path"].of("Ingress").spec
    (rule,) = ingress["rules"]
    assert rule["host"] == "h.example.com"
    (path,) = rule["http"]["paths"]
    assert path["path"] == "/ml"
    service = rendered["below a path"].of("Service", "web")
    assert path["backend"]["service"] == {"name": service.name, "port": {"name": service.spec["ports"][0]["name"]}}
    assert ingress["tls"] == [{"hosts": ["h.example.com"]}]
    everything = rendered["everything"].of("Ingress")
    assert everything.annotations["nginx.ingress.kubernetes.io/proxy-body-size"] == "0"
    assert everything.annotations["nginx.ingress.kubernetes.io/proxy-request-buffering"] == "on"


def test_the_route_leads_to_the_service(rendered: dict[str, Rendered]) -> None:
    route = rendered["gateway"].of("HTTPRoute").spec
    service = rendered["gateway"].of("Service", "web")
    assert route["parentRefs"] == [{"name": "public"}]
    assert route["rules"][0]["backendRefs"] == [{"name": service.name, "port": service.spec["ports"][0]["port"]}]


def test_prometheus_reads_both_services_with_the_servers_token(rendered: dict[str, Rendered]) -> None:
    everything = rendered["everything"]
    monitor = everything.of("ServiceMonitor")
    assert monitor.data["metadata"]["labels"]["release"] == "prometheus"
    ports = {endpoint["port"] for endpoint in monitor.spec["endpoints"]}
    services = [everything.of("Service", component) for component in ("web", "worker")]
    assert ports == {service.spec["ports"][0]["name"] for service in services}
    web = everything.of("Deployment", "web").pod
    assert web
    (token,) = [one for one in web["spec"]["containers"][0]["env"] if one["name"] == "MLTRAIL_METRICS_TOKEN"]
    for endpoint in monitor.spec["endpoints"]:
        assert endpoint["authorization"]["credentials"] == token["valueFrom"]["secretKeyRef"]


def test_the_alerts_are_those_of_the_docs_and_know_the_jobs(rendered: dict[str, Rendered]) -> None:
    rule = rendered["everything"].of("PrometheusRule")
    assert rule.spec == yaml.safe_load((ROOT / "deploy/observability/alerts.yaml").read_text())
    asked = set(re.findall(r'job="([^"]+)"', str(rule.spec)))
    patterns = set(re.findall(r'job=~"([^"]+)"', str(rule.spec)))
    endpoints = rendered["everything"].of("ServiceMonitor").spec["endpoints"]
    jobs = {endpoint["relabelings"][0]["replacement"] for endpoint in endpoints}
    assert asked <= jobs
    assert all(re.fullmatch(pattern, job) for pattern in patterns for job in jobs)


def test_grafana_gets_the_dashboard(rendered: dict[str, Rendered]) -> None:
    found = rendered["everything"].of("ConfigMap", "monitoring")
    assert found.data["metadata"]["labels"]["grafana_dashboard"] == "1"
    dashboard = json.loads(found.data["data"]["mltrail.json"])
    assert dashboard == json.loads((ROOT / "deploy/observability/grafana-dashboard.json").read_text())


def test_values_reach_every_pod(rendered: dict[str, Rendered]) -> None:
    for manifest, pod in rendered["everything"].pods():
        if manifest.component == "postgresql":
            continue
        assert pod["spec"]["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
        assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]
        for container in pod["spec"]["containers"]:
            assert container["image"] == "registry.example.com/mlops/mltrail/server:0.9.0"
            assert {"name": "REQUESTS_CA_BUNDLE", "value": "/etc/ca.pem"} in container["env"]


def test_helm_test_asks_the_server_and_gitlab(rendered: dict[str, Rendered]) -> None:
    pod = rendered["everything"].of("Pod")
    assert pod.annotations["helm.sh/hook"] == "test"
    ready, selftest = [container["args"] for container in pod.spec["containers"]]
    assert ready == ["ready", "--url", "http://trail-mltrail:80/readyz"]
    assert selftest == ["selftest", "--project", "data-science/sandbox"]
