"""The Kubernetes manifests: they render, are valid, and fit the service and each other."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from service import __version__
from service.server import SHUTDOWN_SECONDS
from service.settings import Settings, unknown_variables
from tests.processes import serving
from tests.programs import need

ROOT = Path(__file__).parent.parent
TARGETS = ("base", "overlays/monitoring", "overlays/ingress", "overlays/production", "kserve")

Object = dict[str, Any]


@pytest.fixture(scope="module")
def rendered() -> dict[str, list[Object]]:
    """Objects of each kustomize target."""
    kubectl = need("kubectl")
    return {target: render(kubectl, target) for target in TARGETS}


def render(kubectl: str, target: str) -> list[Object]:
    done = subprocess.run(
        [kubectl, "kustomize", str(ROOT / "k8s" / target)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return list(yaml.safe_load_all(done.stdout))


def one(objects: list[Object], kind: str) -> Object:
    [found] = [item for item in objects if item["kind"] == kind]
    return found


def pod_of(objects: list[Object]) -> Object:
    for item in objects:
        if item["kind"] == "Deployment":
            return item["spec"]["template"]["spec"]
    return one(objects, "InferenceService")["spec"]["predictor"]


def test_every_folder_of_manifests_is_rendered_here() -> None:
    folders = {str(path.parent.relative_to(ROOT / "k8s")) for path in (ROOT / "k8s").rglob("kustomization.yaml")}
    assert {folder for folder in folders if not folder.startswith("components/")} == set(TARGETS)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", ["1.34", "1.37"])
@pytest.mark.parametrize("target", TARGETS)
def test_every_object_is_valid_against_the_schemas_of_kubernetes(
    rendered: dict[str, list[Object]], target: str, version: str
) -> None:
    import kubernetes_validate

    for item in rendered[target]:
        if not item["apiVersion"].startswith(("monitoring.coreos.com", "serving.kserve.io")):
            kubernetes_validate.validate(item, version, strict=True)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_predictor_of_kserve_is_a_valid_pod_with_members_that_kserve_knows(
    rendered: dict[str, list[Object]],
) -> None:
    """Beside those of its scaling a predictor has the members of a pod (V1beta1PredictorSpec)."""
    import kubernetes_validate

    predictor = dict(pod_of(rendered["kserve"]))
    for member in ("minReplicas", "maxReplicas", "scaleMetric", "scaleTarget"):
        assert predictor.pop(member)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "digits"}, "spec": predictor}
    kubernetes_validate.validate(pod, "1.37", strict=True)


@pytest.mark.parametrize("target", TARGETS)
def test_every_object_lies_in_the_namespace_and_no_name_comes_twice(
    rendered: dict[str, list[Object]], target: str
) -> None:
    objects = rendered[target]
    assert len({(item["kind"], item["metadata"]["name"]) for item in objects}) == len(objects)
    assert {item["metadata"].get("namespace", "none") for item in objects if item["kind"] != "Namespace"} == {"digits"}


@pytest.mark.parametrize("target", TARGETS)
def test_pods_run_as_nobody_on_a_read_only_root_with_nothing_they_do_not_need(
    rendered: dict[str, list[Object]], target: str
) -> None:
    pod = pod_of(rendered[target])
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    assert "memory" in container["resources"]["limits"]
    assert container["image"] == f"digits:{__version__}"


@pytest.mark.parametrize("target", TARGETS)
def test_the_grace_period_covers_pre_stop_drain_and_shutdown(rendered: dict[str, list[Object]], target: str) -> None:
    pod = pod_of(rendered[target])
    [container] = pod["containers"]
    environ = {entry["name"]: entry["value"] for entry in container["env"]}
    drain = float(environ["DIGITS_DRAIN_SECONDS"])
    pre_stop = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pre_stop >= 5
    assert pod["terminationGracePeriodSeconds"] >= pre_stop + drain + SHUTDOWN_SECONDS + 5


@pytest.mark.parametrize("target", TARGETS)
def test_every_variable_is_a_setting_that_parses(
    rendered: dict[str, list[Object]], target: str, tmp_path: Path
) -> None:
    [container] = pod_of(rendered[target])["containers"]
    environ = {entry["name"]: entry["value"] for entry in container["env"]}
    (tmp_path / "keys").write_text("first\nsecond\n")
    if "DIGITS_API_KEYS" in environ:
        [mount] = [mount for mount in container["volumeMounts"] if mount["name"] == "api-keys"]
        assert environ["DIGITS_API_KEYS"] == f"@{mount['mountPath']}/keys"
        environ["DIGITS_API_KEYS"] = f"@{tmp_path}/keys"
    assert not unknown_variables(environ)
    Settings.from_env(environ)


def test_probes_ask_what_the_service_answers(rendered: dict[str, list[Object]]) -> None:
    [container] = pod_of(rendered["base"])["containers"]
    paths = {probe: container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/health/ready", "readiness": "/health/ready", "liveness": "/health/live"}


def test_selectors_find_the_pods_and_only_them(rendered: dict[str, list[Object]]) -> None:
    objects = rendered["overlays/production"]
    deployment = one(objects, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert one(objects, "Service")["spec"]["selector"] == labels
    assert one(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert one(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    service = one(objects, "Service")
    assert one(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"] == service["metadata"]["labels"]
    [port] = service["spec"]["ports"]
    assert one(objects, "ServiceMonitor")["spec"]["endpoints"][0]["port"] == port["name"]
    assert one(objects, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]


def test_a_roll_out_takes_nobody_away_and_a_drain_of_nodes_one_at_a_time(rendered: dict[str, list[Object]]) -> None:
    deployment = one(rendered["base"], "Deployment")
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert "replicas" not in deployment["spec"], "the autoscaler owns the number"
    assert one(rendered["base"], "HorizontalPodAutoscaler")["spec"]["minReplicas"] >= 2
    assert one(rendered["base"], "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_nothing_leaves_the_pods(rendered: dict[str, list[Object]]) -> None:
    policy = one(rendered["base"], "NetworkPolicy")["spec"]
    assert "Egress" in policy["policyTypes"]
    assert not policy.get("egress")


def test_from_outside_it_is_reached_under_its_root_path_and_with_whole_batches(
    rendered: dict[str, list[Object]],
) -> None:
    ingress = one(rendered["overlays/ingress"], "Ingress")
    [container] = pod_of(rendered["overlays/ingress"])["containers"]
    environ = {entry["name"]: entry["value"] for entry in container["env"]}
    [path] = ingress["spec"]["rules"][0]["http"]["paths"]
    assert path["path"] == environ["DIGITS_ROOT_PATH"]
    assert ingress["spec"]["tls"][0]["hosts"] == [ingress["spec"]["rules"][0]["host"]]
    size = ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"]
    assert int(size.removesuffix("m")) * 2**20 >= Settings().max_batch_bytes


def test_the_operator_gets_the_rules_that_prometheus_is_tested_with() -> None:
    rules = yaml.safe_load((ROOT / "monitoring/prometheus/rules.yml").read_text(encoding="utf-8"))
    resource = yaml.safe_load((ROOT / "k8s/components/monitoring/rules.yaml").read_text(encoding="utf-8"))
    assert resource["spec"] == rules


def test_the_documented_request_of_the_open_inference_protocol_is_answered() -> None:
    text = (ROOT / "k8s/README.md").read_text(encoding="utf-8")
    [command] = re.findall(r"^(curl -s localhost:8000/v2/.*?)^```", text, re.M | re.S)
    with serving() as server:
        line = command.replace("localhost:8000", server.url)
        done = subprocess.run([need("bash"), "-c", line], cwd=ROOT, capture_output=True, text=True, check=True)
    outputs = {output["name"]: output["data"] for output in json.loads(done.stdout)["outputs"]}
    assert (outputs["digit"], outputs["decision"]) == ([7], ["accept"])
