"""The log: as text, as JSON, and its level, which SIGHUP changes."""
import fcntl
import json
import os
import re
import signal
import subprocess
import termios
import unittest

from harness import SERVER, ProgramTest, wait_for

SMALL = ["--n_sequences", "8", "--bootstrap_resamples", "0", "--task_types", "ABAB", "--no_report"]
JSON = "log_format: json\n"


class LogTest(ProgramTest):
    def run_job(self, address):
        self.client("profile", "--model", "demo-small", *SMALL, "--server", address)
        jobs = json.loads(self.client("jobs", "--server", address, "--json").stdout)["jobs"]
        return {job["name"] for job in jobs}

    def rewrite_settings(self, server, text):
        """Lets the server read the new file; what its log says from then on is returned once it has said something."""
        (self.dir / "server.yaml").write_text(text)
        before = len(server.log.read_text())
        server.send_signal(signal.SIGHUP)
        return wait_for(lambda: server.log.read_text()[before:].rpartition("\n")[0], "a word on SIGHUP")

    def test_a_job_stands_in_brackets_as_text(self):
        server, address = self.start_server()
        [job] = self.run_job(address)
        log = server.log.read_text()
        for word in ("accepted, profile by tester", "preparing", "started", "succeeded"):
            self.assertRegex(log, rf"(?m)^\d{{4}}-\d\d-\d\d [\d:.]+ info \[{job}\] .*{word}")

    def test_where_only_this_machine_can_reach_it_the_log_says_so_and_how_to_open_it(self):
        server, address = self.start_server()
        port = address.rpartition(":")[2]
        self.assertIn(f"only this machine can reach it; --listen 0.0.0.0:{port} opens it to others", server.log.read_text())

    def test_as_json_every_line_is_an_object_and_those_of_a_job_name_it(self):
        server, address = self.start_server(settings=JSON)
        jobs = self.run_job(address)
        server.send_signal(signal.SIGTERM)
        self.assertEqual(server.wait(timeout=30), 0)
        lines = [json.loads(line) for line in server.log.read_text().splitlines()]
        for line in lines:
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertEqual(line["level"], "info")
            self.assertIn(set(line) - {"time", "level", "text"}, [{"job"}, {"subject"}], line)
        self.assertGreaterEqual(len([line for line in lines if line.get("job") in jobs]), 4, lines)
        self.assertEqual(lines[-1]["subject"], "server")

    def test_as_json_what_ends_the_server_at_its_start_is_an_object_too(self):
        (self.dir / "s.yaml").write_text(JSON)
        for listen in ("1.2.3.4:5", "nonsense"):
            failed = subprocess.run([SERVER, "--settings", self.dir / "s.yaml", "--listen", listen], env=self.env, capture_output=True, text=True, timeout=60)
            self.assertEqual(failed.returncode, 1)
            [line] = failed.stderr.splitlines()
            self.assertEqual(json.loads(line)["level"], "error")

    def test_sighup_changes_the_level_there_and_back(self):
        server, address = self.start_server(settings="log_level: info\n")
        self.assertIn("log_level is error; other settings are read at the start only", self.rewrite_settings(server, "log_level: error\n"))
        before = server.log.read_text()
        self.run_job(address)
        self.assertEqual(server.log.read_text(), before)
        self.assertIn("log_level is info", self.rewrite_settings(server, "log_level: info\n"))
        self.run_job(address)
        self.assertIn("accepted, profile", server.log.read_text()[len(before):])

    def test_what_is_wrong_with_the_file_at_sighup_is_said_and_the_level_stays(self):
        server, address = self.start_server(settings="log_level: info\n")
        for text, says in (("log_level: loud\n", r'log_level: "loud" given'), ("log_level:\t- [\n", "no valid YAML"), ("log_levle: error\n", "did you mean log_level")):
            self.assertRegex(self.rewrite_settings(server, text), rf"error \[server\] SIGHUP: log_level stays as it was: .*server\.yaml:1: .*{says}")
        (self.dir / "server.yaml").unlink()
        before = len(server.log.read_text())
        server.send_signal(signal.SIGHUP)
        wait_for(lambda: "server.yaml" in server.log.read_text()[before:], "a word on the missing file")
        before = len(server.log.read_text())
        self.run_job(address)
        self.assertIn("accepted, profile", server.log.read_text()[before:])

    def test_the_environment_goes_before_the_file_at_sighup_as_at_the_start(self):
        self.env["INDUCT_LOG_LEVEL"] = "info"
        server, _ = self.start_server(settings="log_level: error\n")
        self.assertIn("log_level is info", self.rewrite_settings(server, "log_level: warning\n"))

    def test_a_terminal_that_hangs_up_ends_the_server(self):
        ours, theirs = os.openpty()

        def take_terminal():
            os.setsid()
            fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

        log = self.dir / "terminal.log"
        with open(log, "w") as stderr:
            server = subprocess.Popen([SERVER, "--listen", "127.0.0.1:0"], cwd=self.dir, env=self.env, stderr=stderr, stdout=subprocess.DEVNULL,
                                      preexec_fn=take_terminal)
        self.addCleanup(self._end, server)
        os.close(theirs)
        wait_for(lambda: re.search("listening on", log.read_text()), "the server to listen")
        server.send_signal(signal.SIGHUP)
        wait_for(lambda: "SIGHUP: log_level is info" in log.read_text(), "a word on SIGHUP")
        os.close(ours)
        self.assertEqual(server.wait(timeout=30), 0, log.read_text())


if __name__ == "__main__":
    unittest.main()
