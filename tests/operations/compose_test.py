"""Dockerfile and compose files without an engine: what hadolint, Compose and amtool say of them, and whether they agree with what they start."""
import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
from container_tools import COMPOSE, HADOLINT  # noqa: E402
from prometheus import AMTOOL  # noqa: E402

DEPLOY = ROOT / "deploy"
DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
EXAMPLE = DEPLOY / "docker" / "example.env"
FILES, GPU_FILES = ["docker-compose.yml"], ["docker-compose.yml", "docker-compose.gpu.yml"]


def compose(*command, files=FILES, options=(), **variables):
    """Compose, with these variables and none of the machine's .env."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables}
    named = [word for file in files for word in ("--file", file)]
    return subprocess.run([COMPOSE, *named, *(options or ["--env-file", "/dev/null"]), *command], cwd=ROOT, env=environment, capture_output=True, text=True)


def stack(files=FILES, **variables):
    """The files as Compose understands them."""
    told = compose("--profile", "*", "config", "--format", "json", files=files, GRAFANA_ADMIN_PASSWORD="secret", **variables)
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def seconds(duration):
    return sum(int(n) * {"h": 3600, "m": 60, "s": 1}[unit] for n, unit in re.findall(r"(\d+)([hms])", duration))


def default_of(setting):
    [value] = re.findall(rf"^{setting}: (\S+)", (ROOT / "settings.yaml").read_text(), re.M)
    return value


class DockerfileTest(unittest.TestCase):
    @unittest.skipUnless(HADOLINT, "there is no hadolint")
    def test_hadolint_finds_no_fault(self):
        found = subprocess.run([HADOLINT, DOCKERFILE, ROOT / "tests" / "operations" / "monitors.Dockerfile"], capture_output=True, text=True)
        self.assertEqual((found.returncode, found.stdout), (0, ""))

    def test_images_have_the_version_of_the_programs(self):
        [version] = re.findall(r"project\(induct VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())
        self.assertEqual(set(re.findall(r"ARG VERSION=(\S+)", DOCKERFILE.read_text())), {version})

    def test_what_is_copied_is_let_through(self):
        """.dockerignore names what the builder gets."""
        let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
        copied = {word for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(), re.M) for word in line.split()}
        self.assertEqual(copied, let_through)
        for path in copied:
            self.assertTrue((ROOT / path).exists(), path)


@unittest.skipUnless(COMPOSE, "there is no Compose")
class ComposeTest(unittest.TestCase):
    def test_compose_finds_no_fault(self):
        for files, options in ((FILES, []), (GPU_FILES, []), (FILES, ["--env-file", EXAMPLE]), (GPU_FILES, ["--env-file", EXAMPLE])):
            with self.subTest(files=files, options=options):
                told = compose("config", "--quiet", files=files, options=options, GRAFANA_ADMIN_PASSWORD="secret")
                self.assertEqual((told.returncode, told.stderr), (0, ""))

    def test_without_a_password_for_grafana_nothing_starts_and_a_sentence_says_what_to_do(self):
        for given in ({}, {"GRAFANA_ADMIN_PASSWORD": ""}):
            refused = compose("config", "--quiet", **given)
            self.assertEqual(refused.returncode, 1)
            self.assertRegex(refused.stderr, r"Grafana needs a password for its administrator: echo .GRAFANA_ADMIN_PASSWORD=\$\(openssl rand -hex 16\)")

    def test_the_example_tells_every_variable_and_its_default(self):
        told = dict(re.findall(r"^(\w+)=(.*)$", EXAMPLE.read_text(), re.M))
        read = dict(re.findall(r"\$\{(\w+):[-?]([^}]*)\}", "".join((ROOT / file).read_text() for file in GPU_FILES)))
        self.assertEqual(told.pop("GRAFANA_ADMIN_PASSWORD"), "")
        self.assertIn("GRAFANA_ADMIN_PASSWORD", read)
        del read["GRAFANA_ADMIN_PASSWORD"]
        self.assertEqual(told, read)

    def test_every_service_is_confined_and_pinned_and_reachable_from_this_machine_alone(self):
        for files, (name, service) in ((files, found) for files in (FILES, GPU_FILES) for found in stack(files)["services"].items()):
            with self.subTest(files=files, service=name):
                self.assertTrue(service["read_only"])
                self.assertEqual((service["cap_drop"], service.get("cap_add", [])), (["ALL"], []))
                self.assertFalse(service.get("privileged") or service.get("network_mode") or service.get("pid"))
                self.assertIn("no-new-privileges:true", service["security_opt"])
                self.assertRegex(service["user"], r"^[1-9]\d*:\d+$")
                self.assertNotRegex(service["image"], r":latest$|^[^:]+$")
                self.assertEqual({port["host_ip"] for port in service.get("ports", [])} - {"127.0.0.1"}, set())
                self.assertIn("max-size", service["logging"]["options"])

    def test_an_address_in_the_environment_opens_a_port(self):
        [port] = stack(SERVER_ADDRESS="0.0.0.0:6000")["services"]["server"]["ports"]
        self.assertEqual((port["host_ip"], port["published"], port["target"]), ("0.0.0.0", "6000", 50051))

    def test_services_wait_for_those_that_they_need_to_be_healthy(self):
        services = stack()["services"]
        for name in ("server", "prometheus", "alertmanager", "grafana"):
            self.assertGreaterEqual(seconds(services[name]["healthcheck"]["start_period"]), 30, name)
        needed = {name: {other: how["condition"] for other, how in services[name].get("depends_on", {}).items()} for name in services}
        self.assertEqual(needed["prometheus"], {"server": "service_healthy", "alertmanager": "service_healthy"})
        self.assertEqual(needed["grafana"], {"prometheus": "service_healthy"})

    def test_the_server_gets_longer_to_end_than_it_takes(self):
        self.assertGreater(seconds(stack()["services"]["server"]["stop_grace_period"]), int(default_of("drain_seconds")) + 10)

    def test_a_server_that_cannot_start_is_not_started_for_ever(self):
        self.assertRegex(stack()["services"]["server"]["restart"], r"^on-failure:\d$")

    def test_addresses_agree_with_what_prometheus_and_grafana_ask(self):
        services = stack()["services"]
        asked = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
        self.assertIn(f"targets: [server:{services['server']['environment']['INDUCT_METRICS_LISTEN'].rsplit(':')[-1]}]", asked)
        [alertmanager] = services["alertmanager"]["ports"]
        self.assertIn(f"targets: [alertmanager:{alertmanager['target']}]", asked)
        [prometheus] = services["prometheus"]["ports"]
        self.assertIn(f"url: http://prometheus:{prometheus['target']}\n", (DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yaml").read_text())
        [server] = services["server"]["ports"]
        self.assertEqual(services["client"]["environment"]["INDUCT_SERVER"], f"server:{server['target']}")
        self.assertTrue(services["server"]["environment"]["INDUCT_LISTEN"].endswith(f":{server['target']}"))

    def test_folders_agree_with_where_configurations_look(self):
        mounts = {name: {mount["target"]: pathlib.Path(mount["source"]) for mount in service.get("volumes", []) if mount["type"] == "bind"}
                  for name, service in stack(GPU_FILES)["services"].items()}
        for name in ("server", "prometheus", "alertmanager", "grafana"):
            for target, source in mounts[name].items():
                self.assertTrue(source.exists(), f"{name}: {target} is {source}")
        [boards] = re.findall(r"path: (\S+)", (DEPLOY / "grafana" / "provisioning" / "dashboards" / "induct.yaml").read_text())
        self.assertEqual(mounts["grafana"][boards], DEPLOY / "grafana" / "dashboards")
        home = pathlib.Path(stack()["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
        self.assertTrue((mounts["grafana"][str(home.parent)] / home.name).exists())
        for pattern in re.findall(r"(?:rule_files: |files: )\[(\S+)\]", (DEPLOY / "prometheus" / "prometheus.yml").read_text()):
            folder, names = pattern.split("/")
            self.assertTrue(list(mounts["prometheus"][f"/etc/prometheus/{folder}"].glob(names)), pattern)

    def test_gpus_are_reserved_and_watched(self):
        services = stack(GPU_FILES)["services"]
        for name in ("server", "dcgm-exporter"):
            [device] = services[name]["deploy"]["resources"]["reservations"]["devices"]
            self.assertEqual((device["driver"], device["capabilities"]), ("nvidia", ["gpu"]))
        self.assertEqual(services["server"]["build"]["args"], {"CUDA": "1"})
        self.assertNotEqual(services["server"]["image"], stack()["services"]["server"]["image"])
        self.assertIn("targets: [dcgm-exporter:9400]", (DEPLOY / "docker" / "targets" / "gpus.yml").read_text())

    def test_of_gpus_is_read_what_boards_and_rules_ask_for_and_nothing_that_needs_root(self):
        exporter = stack(GPU_FILES)["services"]["dcgm-exporter"]
        [counters] = exporter["volumes"]
        self.assertEqual(exporter["command"], ["-f", counters["target"]])
        asked = (DEPLOY / "prometheus" / "rules" / "induct.yml").read_text() + (DEPLOY / "grafana" / "dashboards" / "gpu.json").read_text()
        read = re.findall(r"^(\w+),", pathlib.Path(counters["source"]).read_text(), re.M)
        self.assertEqual(sorted(read), sorted(set(re.findall(r"DCGM_FI_\w+", asked))))
        self.assertEqual([name for name in read if "_PROF_" in name], [])


@unittest.skipUnless(COMPOSE, "there is no Compose")
class HandBookTest(unittest.TestCase):
    """What docs/operations.md says to type, against what the files name."""

    def setUp(self):
        page = (DEPLOY.parent / "docs" / "operations.md").read_text()
        self.upgrade = re.search(r"^## Upgrade and roll back$(.+?)^## ", page, re.M | re.S)[1]

    def test_an_image_that_is_to_come_back_is_kept_by_the_name_that_it_comes_back_by(self):
        kept = dict(re.findall(r"docker tag (\S+)\s+([^\s`]+)", self.upgrade))
        for files in (FILES, GPU_FILES):
            now, back = (stack(files, **tag)["services"]["server"]["image"] for tag in ({}, {"IMAGE_TAG": "before"}))
            self.assertEqual(kept[now], back)

    def test_who_has_a_single_file_open_is_restarted(self):
        """Git, as most editors, puts a new file in the place of the old one, which a container that has it mounted does not see."""
        [restarted] = re.findall(r"docker compose restart ([\w -]+?) +#", self.upgrade)
        mounts = {name: [mount["source"] for mount in service.get("volumes", []) if mount["type"] == "bind"] for name, service in stack()["services"].items()}
        having_files = {name for name, sources in mounts.items() if any(pathlib.Path(source).is_file() for source in sources)}
        self.assertEqual(set(restarted.split()), having_files - {"server"})  # which a new image starts anew


class AlertmanagerTest(unittest.TestCase):
    @unittest.skipUnless(AMTOOL, "there is no amtool")
    def test_amtool_finds_no_fault(self):
        check = subprocess.run([AMTOOL, "check-config", DEPLOY / "alertmanager" / "alertmanager.yml"], capture_output=True, text=True)
        self.assertEqual(check.returncode, 0, check.stdout + check.stderr)


if __name__ == "__main__":
    unittest.main()
