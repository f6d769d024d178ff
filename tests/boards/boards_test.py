"""Rules and boards by themselves: what promtool says of them, where they point to, and that the dashboards are what their generator writes."""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
from prometheus import PROMTOOL  # noqa: E402

DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "rules" / "induct.yml"
RULE_TESTS = ROOT / "tests" / "boards" / "alerts.test.yml"
ALERTS = re.findall(r"- alert: (\w+)", RULES.read_text())


def heading_anchors(page):
    """What a link to a heading of the page ends in."""
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", page.read_text(), re.M)}


class RulesTest(unittest.TestCase):
    @unittest.skipUnless(PROMTOOL, "there is no promtool")
    def test_promtool_finds_no_fault_in_rules_and_configurations(self):
        for command in (["check", "rules", RULES], *(["check", "config", path] for path in DEPLOY.glob("prometheus/*.yml"))):
            with self.subTest(command=command):
                check = subprocess.run([PROMTOOL, *command], capture_output=True, text=True)
                self.assertEqual(check.returncode, 0, check.stdout + check.stderr)

    @unittest.skipUnless(PROMTOOL, "there is no promtool")
    def test_alerts_fire_when_they_should_and_not_when_they_should_not(self):
        test = subprocess.run([PROMTOOL, "test", "rules", RULE_TESTS], capture_output=True, text=True)
        self.assertEqual(test.returncode, 0, test.stdout + test.stderr)

    def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(self):
        cases = RULE_TESTS.read_text()
        fires = re.findall(r"eval_time: \w+\n +alertname: (\w+)\n +exp_alerts:\n +- exp_labels:", cases)
        does_not = re.findall(r"- \{eval_time: \w+, alertname: (\w+)\}\n", cases)
        self.assertEqual(len(fires) + len(does_not), cases.count("alertname:"), "a case that is written otherwise")
        self.assertEqual((set(fires), set(does_not)), (set(ALERTS), set(ALERTS)))

    def test_each_alert_points_to_its_runbook(self):
        runbooks = re.findall(r"runbook: (\S+)#(\S+)", RULES.read_text())
        self.assertEqual([anchor for _, anchor in runbooks], [name.lower() for name in ALERTS])
        for page, anchor in runbooks:
            self.assertIn(anchor, heading_anchors(ROOT / page))


class DashboardsTest(unittest.TestCase):
    def test_they_are_what_the_generator_writes(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, DEPLOY / "grafana" / "make_dashboards.py", folder], check=True)
            written = {path.name: path.read_text() for path in pathlib.Path(folder).iterdir()}
        self.assertEqual(written, {path.name: path.read_text() for path in (DEPLOY / "grafana" / "dashboards").iterdir()})

    def test_they_take_the_same_failures_for_the_servers_as_the_alert_does(self):
        [reasons] = set(re.findall(r'reason=~"([A-Z_|]+)"', RULES.read_text()))
        overview = json.loads((DEPLOY / "grafana" / "dashboards" / "overview.json").read_text())
        [failures] = [panel for panel in overview["panels"] if panel["title"] == "Jobs failed a minute, by reason"]
        [asked] = [target["expr"] for target in failures["targets"] if target["legendFormat"] == "server: {{reason}}"]
        self.assertIn(f'reason=~"{reasons}"', asked)


if __name__ == "__main__":
    unittest.main()
