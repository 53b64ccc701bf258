"""The compose files: valid, whole, and in step with what they mount."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from service.settings import PREFIX, Settings
from tests.deploy.conftest import ROOT

FILES = ["docker-compose.yml", "docker-compose.gpu.yml"]
COMPOSE = yaml.safe_load((ROOT / FILES[0]).read_text())
GPU = yaml.safe_load((ROOT / FILES[1]).read_text())
SERVICES = COMPOSE["services"]


def mounts(service: str) -> dict[str, Path]:
    """Where in the container -> which folder of ours."""
    volumes = [volume.split(":") for volume in SERVICES[service]["volumes"]]
    return {target: ROOT / source for source, target, *_ in volumes if source.startswith("./")}


@pytest.mark.parametrize("name", FILES)
def test_file_follows_the_compose_specification(name):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", ROOT / name]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_folders_that_are_mounted_exist_and_cannot_be_written(service):
    assert all(folder.is_dir() for folder in mounts(service).values())
    ours = [volume for volume in SERVICES[service]["volumes"] if volume.startswith("./")]
    assert ours
    assert all(volume.endswith(":ro") for volume in ours)


@pytest.mark.parametrize("service", SERVICES)
def test_container_has_no_privileges(service):
    assert SERVICES[service]["cap_drop"] == ["ALL"]
    assert SERVICES[service]["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("service", SERVICES)
def test_container_says_whether_it_is_healthy(service):
    assert SERVICES[service]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[service]["restart"] == "unless-stopped"


def test_root_file_system_of_the_service_is_read_only():
    assert SERVICES["service"]["read_only"] is True


@pytest.mark.parametrize("service", ["prometheus", "alertmanager", "grafana"])
def test_foreign_image_is_pinned_to_a_whole_version(service):
    assert re.fullmatch(r"\S+:v?\d+\.\d+\.\d+", SERVICES[service]["image"])


@pytest.mark.parametrize("service", ["prometheus", "alertmanager", "grafana"])
def test_what_has_no_password_is_published_on_this_machine_only(service):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[service]["ports"])


def test_every_variable_has_a_default():
    variables = re.findall(r"\$\{[^}]*\}", (ROOT / FILES[0]).read_text())
    assert variables
    assert all(":-" in variable for variable in variables)


def test_settings_given_to_the_service_exist():
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    given = SERVICES["service"]["environment"] | GPU["services"]["service"]["environment"]
    assert given.keys() <= known


@pytest.mark.parametrize("service", ["prometheus", "alertmanager"])
def test_configuration_that_is_read_is_mounted(service):
    (argument,) = (each for each in SERVICES[service]["command"] if each.startswith("--config.file="))
    path = Path(argument.partition("=")[2])
    assert (mounts(service)[str(path.parent)] / path.name).is_file()


def test_prometheus_sends_alerts_to_alertmanager_by_its_name_here():
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    targets = [
        target
        for each in config["alerting"]["alertmanagers"]
        for group in each["static_configs"]
        for target in group["targets"]
    ]
    published = SERVICES["alertmanager"]["ports"][0].split(":")[-1]
    assert targets == [f"alertmanager:{published}"]


def test_state_of_the_service_outlives_its_container():
    (volume,) = (each for each in SERVICES["service"]["volumes"] if not each.startswith("./"))
    name, folder = volume.split(":")
    assert name in COMPOSE["volumes"]
    # Where the service keeps it by default, seen from the image's working directory.
    assert folder == str(Path("/app") / Settings.model_fields["state"].default)


def test_prometheus_scrapes_the_service_by_its_name_here():
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    targets = [
        target for job in config["scrape_configs"] for each in job["static_configs"] for target in each["targets"]
    ]
    published = SERVICES["service"]["ports"][0].split(":")[-1]
    assert targets == [f"service:{published}"]


def test_grafana_finds_its_provisioning_where_it_looks_by_itself():
    folder = mounts("grafana")["/etc/grafana/provisioning"]
    assert list(folder.glob("datasources/*.yml"))
    assert list(folder.glob("dashboards/*.yml"))


def test_grafana_is_told_of_the_dashboards_that_are_mounted():
    folder = mounts("grafana")["/etc/grafana/provisioning"]
    (file,) = folder.glob("dashboards/*.yml")
    (provider,) = yaml.safe_load(file.read_text())["providers"]
    dashboards = mounts("grafana")[provider["options"]["path"]]
    assert list(dashboards.glob("*.json"))
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (mounts("grafana")[str(home.parent)] / home.name).is_file()


def test_grafana_asks_prometheus_by_its_name_here():
    folder = mounts("grafana")["/etc/grafana/provisioning"]
    (file,) = folder.glob("datasources/*.yml")
    (source,) = yaml.safe_load(file.read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in SERVICES


def test_gpu_variant_changes_the_same_service():
    assert GPU["services"].keys() == {"service"}
    assert GPU["services"]["service"]["build"]["args"] == {"EXTRA": "gpu"}
    assert GPU["services"]["service"]["image"] != SERVICES["service"]["image"]
