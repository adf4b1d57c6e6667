"""What Dockerfile, compose.yaml, Kubernetes' manifests and the systemd unit say is there, and the program takes it.

No image is built and nothing is pulled: that needs an engine and a registry, which a test has not.
"""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from highwayman.serving.cli.main import main
from highwayman.serving.telemetry.families import FAMILIES

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
UNIT = (ROOT / "deploy" / "systemd" / "highwayman.service").read_text()
OPEN_ROUTES = {"/healthz", "/readyz"}  # without a key
# Of the compose specification, as far as is used here.
SERVICE_KEYS = {
    "image", "build", "restart", "read_only", "cap_drop", "security_opt", "tmpfs", "command", "entrypoint",
    "environment", "depends_on", "stop_grace_period", "ports", "volumes", "healthcheck", "profiles", "shm_size",
    "deploy", "secrets",
}  # fmt: skip
API_VERSIONS = {
    "Namespace": "v1", "Service": "v1", "ConfigMap": "v1", "StatefulSet": "apps/v1", "Deployment": "apps/v1",
    "PodDisruptionBudget": "policy/v1", "HorizontalPodAutoscaler": "autoscaling/v2",
}  # fmt: skip


def dockerfile() -> list[list[str]]:
    """Return the Dockerfile's instructions, each as words."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    return [line.split(maxsplit=1) for line in text.splitlines() if line.strip() and not line.startswith("#")]


def objects() -> list[dict[str, Any]]:
    """Return the objects of Kubernetes' manifests."""
    files = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    return [found for name in files for found in yaml.safe_load_all((KUBERNETES / name).read_text())]


def workloads() -> list[dict[str, Any]]:
    return [found for found in objects() if found["kind"] in ("StatefulSet", "Deployment")]


def own_commands() -> Iterator[tuple[str, list[str]]]:
    """Yield every command line that runs `highwayman`, without its name, and where it stands."""
    yield "Dockerfile", json.loads(next(words for name, words in dockerfile() if name == "CMD"))
    for name, service in SERVICES.items():
        if service.get("build") and "entrypoint" not in service:
            yield f"compose.yaml: {name}", service["command"]
    for found in workloads():
        for container in found["spec"]["template"]["spec"]["containers"]:
            if container["image"] == "highwayman":
                yield f"kubernetes: {container['name']}", container["args"]
    for line in re.findall(r"^Exec\w+=/opt/highwayman/bin/highwayman (.*)$", UNIT, re.MULTILINE):
        yield "systemd", shlex.split(line)


@pytest.mark.parametrize(("place", "words"), list(own_commands()))
def test_every_flag_is_one_that_the_command_has(place: str, words: list[str]) -> None:
    command: click.Command = main
    context = click.Context(main)
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, f"{place}: no command {words[0]}"
        command, words, context = found, words[1:], click.Context(found, parent=context)
    command.make_parser(context).parse_args(list(words))


def test_the_image_runs_as_nobody_says_when_it_is_well_and_copies_what_is_there() -> None:
    steps = dockerfile()
    stages = [words for name, words in steps if name == "FROM"]
    assert len(stages) == 2
    assert stages[0].endswith(" AS build")
    last = steps[max(k for k, step in enumerate(steps) if step[0] == "FROM") :]
    assert ["USER", "65532:65532"] in last
    assert any(name == "HEALTHCHECK" and "/readyz" in words for name, words in last)
    assert any(name == "ENTRYPOINT" and json.loads(words) == ["highwayman"] for name, words in last)
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for words in (words.split() for name, words in steps if name == "COPY" and not words.startswith("--from")):
        for source in words[:-1]:
            assert (ROOT / source).exists()
            assert source in allowed, "or it would not reach the build"
    rooms = {path.name for path in (ROOT / "src" / "highwayman").iterdir() if path.is_symlink()}
    assert rooms <= set(allowed), "every room is in the image"


def test_services_have_known_keys_and_mount_what_is_there() -> None:
    assert {name for name, service in SERVICES.items() if service.get("profiles")} == {"vllm"}
    volumes = set()
    for name, service in SERVICES.items():
        assert service.keys() <= SERVICE_KEYS, name
        assert set(service.get("depends_on", ())) <= SERVICES.keys()
        for volume in service.get("volumes", ()):
            source, target = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", volume).split(":")[:2]
            if not source.startswith("."):
                volumes.add(source)
            else:
                assert (ROOT / source).is_file(), f"{name}: {source}"
            assert target.startswith("/")
    assert volumes == set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if service.get("build")])
def test_services_of_ours_have_a_root_that_cannot_be_written(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["tmpfs"] == ["/tmp"]
    mounted = [volume.rsplit(":", 2)[-2] if volume.endswith(":ro") else volume.rsplit(":", 1)[-1]
               for volume in service.get("volumes", ())]  # fmt: skip
    for word in service["command"]:
        assert not word.startswith("/etc/") or word in mounted


def test_prometheus_asks_every_router_with_the_key_it_is_given() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "compose" / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    routers = [name for name in SERVICES if name.startswith("router-")]
    assert job["static_configs"] == [{"targets": [f"{name}:8790" for name in routers]}]
    (secret,) = SERVICES["prometheus"]["secrets"]
    assert job["authorization"]["credentials_file"] == f"/run/secrets/{secret}"
    assert "HIGHWAYMAN_API_KEYS" in SERVICES["router-1"]["environment"]
    assert COMPOSE["secrets"][secret] == {"environment": "HIGHWAYMAN_API_KEYS"}
    targets = [volume.split(":")[1] for volume in SERVICES["prometheus"]["volumes"]]
    assert {f"/etc/prometheus/{file}" for file in config["rule_files"]} <= set(targets)


def test_valkey_keeps_all_it_is_given_on_the_disk() -> None:
    (stateful,) = [found for found in workloads() if found["metadata"]["name"] == "valkey"]
    in_kubernetes = stateful["spec"]["template"]["spec"]["containers"][0]["command"]
    for words in (SERVICES["valkey"]["command"], in_kubernetes):
        options = dict(zip(words[1::2], words[2::2], strict=True))
        assert options["--appendonly"] == "yes"
        assert options["--maxmemory-policy"] == "noeviction"


@pytest.mark.parametrize(
    ("folder", "pool"), [("compose", "pool.yaml"), ("compose", "pool-gpu.yaml"), ("kubernetes", "pool.yaml")]
)
def test_pools_and_configurations_pass_their_checks(folder: str, pool: str) -> None:
    files = ROOT / "deploy" / folder
    words = ["config", "check", str(files / "highwayman.yaml"), "--pool", str(files / pool)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output


def test_arms_of_compose_are_services_of_it() -> None:
    for pool in ("pool.yaml", "pool-gpu.yaml"):
        arms = yaml.safe_load((ROOT / "deploy" / "compose" / pool).read_text())["arms"]
        assert {arm["endpoint"].split("/")[2].split(":")[0] for arm in arms.values()} <= SERVICES.keys()


def test_manifests_are_of_the_kinds_they_say_and_all_are_listed() -> None:
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    (files,) = [entry["files"] for entry in listed["configMapGenerator"]]
    assert {*listed["resources"], *files, "kustomization.yaml"} == {path.name for path in KUBERNETES.iterdir()}
    for found in objects():
        assert found["apiVersion"] == API_VERSIONS[found["kind"]]
        assert re.fullmatch("[a-z0-9-]+", found["metadata"]["name"])


@pytest.mark.parametrize("workload", workloads(), ids=lambda found: found["metadata"]["name"])
def test_pods_are_found_by_their_labels_probed_where_they_listen_and_cannot_write_their_root(
    workload: dict[str, Any],
) -> None:
    spec, template = workload["spec"], workload["spec"]["template"]
    assert spec["selector"]["matchLabels"] == template["metadata"]["labels"]
    pod = template["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    volumes = {volume["name"] for volume in [*pod.get("volumes", ()), *(
        claim["metadata"] for claim in spec.get("volumeClaimTemplates", ()))]}  # fmt: skip
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    ports = {port["name"] for port in container.get("ports", ())}
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        if asked := container.get(kind, {}).get("httpGet"):
            assert asked["port"] in ports
            assert asked["path"] in OPEN_ROUTES
    assert "memory" in container["resources"]["limits"]


def test_a_router_has_longer_to_end_than_answers_have() -> None:
    (router,) = [found for found in workloads() if found["metadata"]["name"] == "router"]
    pod = router["spec"]["template"]["spec"]
    pause_s = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] >= 60 + 10 + pause_s
    assert int(SERVICES["router-1"]["stop_grace_period"].removesuffix("s")) >= 60 + 10
    assert int(re.findall(r"TimeoutStopSec=(\d+)", UNIT)[0]) >= 60 + 10


def test_budgets_of_disruption_and_scaling_are_of_what_is_there() -> None:
    labels = [found["spec"]["template"]["metadata"]["labels"] for found in workloads()]
    names = {(found["kind"], found["metadata"]["name"]) for found in workloads()}
    by_kind = {kind: [found.get("spec") for found in objects() if found["kind"] == kind] for kind in API_VERSIONS}
    assert by_kind["PodDisruptionBudget"]
    assert all(spec["selector"]["matchLabels"] in labels for spec in by_kind["PodDisruptionBudget"])
    assert all(spec["selector"] in labels for spec in by_kind["Service"])
    (scaler,) = by_kind["HorizontalPodAutoscaler"]
    assert (scaler["scaleTargetRef"]["kind"], scaler["scaleTargetRef"]["name"]) in names
    (metric,) = scaler["metrics"]
    gauges = {family.name for family in FAMILIES if family.kind == "gauge"}
    assert metric["pods"]["metric"]["name"] in gauges


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here to render with")
def test_kustomize_renders_it() -> None:
    rendered = subprocess.run(["kubectl", "kustomize", str(KUBERNETES)], capture_output=True, text=True, check=True)
    found = list(yaml.safe_load_all(rendered.stdout))
    assert len(found) == len(objects()) + 1, "and the files as a ConfigMap"
    images = re.findall("image: (.*)", rendered.stdout)
    assert "highwayman" not in images, "the image's own name is put in"
    (files,) = [each for each in found if each["kind"] == "ConfigMap"]
    assert set(files["data"]) == {"pool.yaml", "highwayman.yaml"}
