#!/usr/bin/env python3
"""docker-compose.yml as an operator has it. tests/operations/run.sh starts this beside a Docker engine, in the engine's network, with the images built:
DOCKER and COMPOSE are the programs, ENGINE_PID is a process in the engine's namespaces, WORK a folder that the engine sees, too."""
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "boards"))
from board_queries import may_be_empty, of_all_servers, queries  # noqa: E402

WORK = pathlib.Path(os.environ["WORK"])
RUNS = WORK / "runs"
PROMETHEUS, ALERTMANAGER = "http://127.0.0.1:9090", "http://127.0.0.1:9093"
WATCHED = ["server", "prometheus", "alertmanager"]
SMALL = ["--n_sequences", "40", "--no_report", "--no_figures"]
# Minutes of work on any machine.
LONG = ["--n_sequences", "60000", "--task_types", "RANDOM", "--lag_values", "100", "--n_repeats", "fill", "--seq_len", "512", "--no_report", "--no_figures"]
KINDS = {"profile": ["--model", "demo-small"], "crosssize": ["--models", "demo-small", "demo-large"], "nulls": ["--model", "demo-small"],
         "causal": ["--model", "demo-small", "--draws", "5"], "lagbuckets": ["--model", "demo-small"], "pattern": ["--model", "demo-small", "--head", "3.0", "--prompt", "5"],
         "targets": ["--model", "demo-small", "--detect", "sink"]}


def require(condition, what):
    if not condition:
        raise AssertionError(what)


def run(*command, code=0, **variables):
    """Its output, of both streams."""
    done = subprocess.run([str(word) for word in command], cwd=ROOT, env={**os.environ, **variables}, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    require(code is None or done.returncode == code, f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout.strip()


def docker(*arguments, **how):
    return run(os.environ["DOCKER"], *arguments, **how)


def compose(*arguments, **how):
    return run(os.environ["COMPOSE"], *arguments, **{"RUNS_FOLDER": str(RUNS), **how})


def client_command(*arguments):
    return ["run", "--rm", "--no-TTY", "client", *map(str, arguments)]


def up(**how):
    return compose("up", "--detach", "--no-build", "--wait", *WATCHED, **how)


def container(service):
    return compose("ps", "--all", "--quiet", service)


def state(service, what):
    """A field of `docker inspect`."""
    return docker("inspect", "--format", "{{json ." + what + "}}", container(service)).strip('"')


def wait_for(condition, what, seconds=120):
    """The first true value of condition()."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.5)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


def get(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        return json.load(answer)


def ask(query):
    return get(f"{PROMETHEUS}/api/v1/query?query={urllib.parse.quote(query)}")["data"]["result"]


def megabytes(image):
    return int(docker("image", "inspect", "--format", "{{.Size}}", image)) / 1e6


def the_images_hold_what_runs_and_nothing_else():
    base, client, server = (megabytes(image) for image in (os.environ["BASE"], "induct-client:local", "induct-server:local"))
    require(client - base < 100, f"the client is {client - base:.0f} MB above its base")
    for image in ("induct-client:local", "induct-server:local"):
        require(docker("image", "inspect", "--format", "{{.Config.User}}", image) == "10001:10001", f"{image} has no user of its own")
        for tool in ("g++", "cmake", "python3"):
            require(docker("run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c", f"command -v {tool} || true") == "", f"{image} has {tool}")
    require(docker("run", "--rm", "--network", "none", "--user", "0", "--entrypoint", "find", "induct-client:local", "/", "-xdev", "-name", "libtorch*") == "", "the client has LibTorch")
    return f"base {base:.0f} MB; client {client - base:.0f} MB and server {server - base:.0f} MB above it"


def it_starts_and_is_healthy_and_confined():
    begin = time.monotonic()
    up()
    for service in WATCHED:
        require(state(service, "State.Health.Status") == "healthy", f"{service} is not healthy")
        status = compose("exec", "--no-TTY", service, "cat", "/proc/1/status")
        require(re.search(r"^CapEff:\t0+$", status, re.M) and re.search(r"^NoNewPrivs:\t1$", status, re.M), f"{service} may do more than it should")
        require("Read-only file system" in compose("exec", "--no-TTY", service, "touch", "/here", code=1), f"{service} can write its root")
    return f"after {time.monotonic() - begin:.0f} s"


def prometheus_sees_all_of_it():
    def all_up():
        targets = get(f"{PROMETHEUS}/api/v1/targets")["data"]["activeTargets"]
        return targets and all(target["health"] == "up" for target in targets) and targets
    found = wait_for(all_up, "the targets to be up")
    alertmanagers = wait_for(lambda: get(f"{PROMETHEUS}/api/v1/alertmanagers")["data"]["activeAlertmanagers"], "Alertmanager to be found")
    groups = get(f"{PROMETHEUS}/api/v1/rules")["data"]["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if rule["type"] == "alerting"]
    require(len(alerts) == (ROOT / "deploy/prometheus/rules/induct.yml").read_text().count("- alert:"), "rules are missing")
    return f"{', '.join(target['scrapeUrl'] for target in found)}; {alertmanagers[0]['url']}; {len(alerts)} alerts"


def the_clients_image_runs_each_kind_of_job():
    for kind, arguments in KINDS.items():
        compose(*client_command(kind, *arguments, *([] if kind == "pattern" else SMALL)))
    saved = {path.name.split("-")[2] for path in (RUNS / "outputs" / "runs").iterdir()}
    require(saved == set(KINDS), f"runs are missing: {saved}")
    compose(*client_command("profile", "--model", "demo-small"))
    require(list(RUNS.glob("figs/*.png")), "there are no figures")
    return f"{', '.join(KINDS)}; with figures: profile"


def running_jobs():
    told = json.loads(compose("exec", "--no-TTY", "server", "induct-client", "jobs", "--json"))
    return [job["name"] for job in told.get("jobs", []) if job["state"] == "running"]


def start_long_job():
    """A client whose job runs."""
    client = subprocess.Popen([os.environ["COMPOSE"], *client_command("profile", "--model", "demo-large", *LONG)], cwd=ROOT, text=True,
                              env={**os.environ, "RUNS_FOLDER": str(RUNS)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_for(running_jobs, "a job to run")
    return client


def every_query_of_every_board_is_answered():
    client = start_long_job()
    for kind in KINDS:
        wait_for(lambda: ask(f'instance_kind:induct_job_run_seconds:p95_1h{{kind="{kind}"}} > 0'), f"{kind} to be recorded")
    wait_for(lambda: ask("induct_running_job_info"), "the job that runs")
    for panel, query in queries():
        require(ask(of_all_servers(query)) or may_be_empty(query), f"{panel} has no data: {query}")
    wait_for(lambda: ask('count_over_time(up{job="induct"}[5m]) >= 8'), "enough for a curve")
    drawn = run(sys.executable, "tests/boards/draw_boards.py", "--board", "overview", "--minutes", "5", "--prometheus", PROMETHEUS, "--to", WORK / "overview.png")
    compose("exec", "--no-TTY", "server", "induct-client", "cancel", *running_jobs())
    client.communicate(timeout=60)
    return f"{len(queries())}; the overview was drawn{re.sub('^[^;]*', '', drawn)}"


def a_sighup_reads_the_log_level_again():
    compose("exec", "--no-TTY", "server", "sh", "-c", "kill -HUP 1")
    return wait_for(lambda: re.findall(r"SIGHUP: log_level is .*", compose("logs", "--no-log-prefix", "server")), "the log to say so")[0]


def a_killed_server_is_back_and_an_alert_says_so():
    before = int(state("server", "RestartCount"))
    begin = time.monotonic()
    run("nsenter", "--mount", "--pid", "--target", os.environ["ENGINE_PID"], "sh", "-c", f"kill -KILL {state('server', 'State.Pid')}")
    wait_for(lambda: int(state("server", "RestartCount")) == before + 1, "the server to be started again")
    wait_for(lambda: state("server", "State.Health.Status") == "healthy", "the server to be healthy again")
    seconds = time.monotonic() - begin
    compose(*client_command("profile", "--model", "demo-small", *SMALL))
    wait_for(lambda: any(alert["labels"]["alertname"] == "InductRestarted" for alert in get(f"{ALERTMANAGER}/api/v2/alerts")), "the alert to come to Alertmanager")
    return f"healthy after {seconds:.0f} s; Alertmanager has InductRestarted"


def bad_settings_are_a_visible_failure_with_an_end():
    (WORK / "bad.yaml").write_text("seq_lenght: 128\n")
    told = up(SETTINGS_FILE=str(WORK / "bad.yaml"), code=1)
    wait_for(lambda: state("server", "State.Status") == "exited", "the attempts to end")
    attempts, code = 1 + int(state("server", "RestartCount")), state("server", "State.ExitCode")
    require((attempts, code) == (6, "1"), f"{attempts} attempts, exit code {code}")
    log = compose("logs", "--no-log-prefix", "server").splitlines()[-1]
    require("seq_lenght" in log, f"the log does not name the key: {log}")
    up()
    return f"{told.splitlines()[-1].strip()}; {attempts} attempts; the log: {log}"


def without_a_driver_gpus_are_refused_by_docker():
    docker("tag", "induct-server:local", "induct-server:local-cuda")
    files = os.environ["COMPOSE_FILE"].replace("docker-compose.yml:", "docker-compose.yml:docker-compose.gpu.yml:")
    told = compose("up", "--detach", "--no-build", "server", COMPOSE_FILE=files, code=1)
    require("could not select device driver" in told, told)
    up()
    return told.splitlines()[-1].strip()


def another_tag_goes_back_to_an_earlier_image():
    docker("tag", "induct-server:local", "induct-server:before")
    up(IMAGE_TAG="before")
    require(state("server", "Config.Image") == "induct-server:before", "the server has another image")
    up()
    return "IMAGE_TAG=before, and again without"


def a_stop_drains_the_job_that_runs():
    client = start_long_job()
    begin = time.monotonic()
    compose("stop", "server")
    seconds = time.monotonic() - begin
    output, _ = client.communicate(timeout=60)
    require(client.returncode == 5, f"the client's exit code is {client.returncode}\n{output}")
    require(state("server", "State.ExitCode") == "0" and seconds < 60, f"exit code {state('server', 'State.ExitCode')} after {seconds:.0f} s")
    return f"after {seconds:.0f} s with exit code 0; the client was told (exit code 5): {output.strip().splitlines()[-1]}"


def down_leaves_nothing():
    compose("down", "--volumes")
    require(docker("ps", "--all", "--quiet") == "", "containers are left")
    for kind in ("volume", "network"):
        left = docker(kind, "ls", "--quiet", "--filter", "label=com.docker.compose.project")
        require(left == "", f"a {kind} is left: {left}")
    return "no container, volume or network"


CHECKS = [the_images_hold_what_runs_and_nothing_else, it_starts_and_is_healthy_and_confined, prometheus_sees_all_of_it,
          the_clients_image_runs_each_kind_of_job, every_query_of_every_board_is_answered, a_sighup_reads_the_log_level_again, a_killed_server_is_back_and_an_alert_says_so,
          bad_settings_are_a_visible_failure_with_an_end, without_a_driver_gpus_are_refused_by_docker, another_tag_goes_back_to_an_earlier_image,
          a_stop_drains_the_job_that_runs, down_leaves_nothing]


def main():
    RUNS.mkdir(exist_ok=True)
    RUNS.chmod(0o777)  # for the containers' user
    try:
        for number, check in enumerate(CHECKS, 1):
            print(f"check {number} of {len(CHECKS)}: {check.__name__.replace('_', ' ')}", flush=True)
            print(f"  {check()}", flush=True)
    except (AssertionError, subprocess.SubprocessError, OSError) as error:
        print(f"  {error}\n{compose('ps', '--all', code=None)}\n{compose('logs', '--tail', '20', code=None)}", flush=True)
        compose("--profile", "*", "down", "--volumes", code=None)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
