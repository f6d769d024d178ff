#!/usr/bin/env python3
"""Writes the dashboards that Grafana is provisioned with: a panel is a line here, and some forty in Grafana's JSON.

    deploy/grafana/make_dashboards.py [FOLDER]     without it into deploy/grafana/dashboards, which is kept in the repository
"""
import json
import pathlib
import sys

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Filters of the servers chosen, by what scrapes them.
SERVERS, GPUS = 'job="induct",instance=~"$instance"', 'job="dcgm",instance=~"$instance"'
# Reasons of failures that an operator can do something about: those of instance:induct_server_failures:increase15m.
SERVERS_REASONS = "INTERNAL|UNKNOWN|DATA_LOSS|HUB_UNREACHABLE|HUB_UNAVAILABLE|HUB_WRONG_CONTENT|HUB_CACHE_UNUSABLE"
# In Grafana's palette, telling good, doubtful, bad, and nothing.
GREEN, ORANGE, RED, GREY = "green", "orange", "red", "#8e8e8e"
# What a panel says that is empty where all is well, and would say so of servers that are gone. A query that has a value where none of the servers answers.
UNANSWERED, UNANSWERED_IS = "No server answers", "absent(up{SERVERS} == 1)"


def steps(*colours):
    """Thresholds: the first colour, then (from which value, colour)."""
    first, *others = colours
    return {"mode": "absolute", "steps": [{"color": first, "value": None}, *({"value": value, "color": colour} for value, colour in others)]}


def queries(asked, instant):
    """`asked`: legend to PromQL, in which SERVERS and GPUS stand for the filters. A legend may name labels: {{kind}}."""
    return [{"refId": chr(ord("A") + i), "datasource": SOURCE, "legendFormat": legend, "instant": instant, "range": not instant,
             "expr": expression.replace("SERVERS", SERVERS).replace("GPUS", GPUS)}
            for i, (legend, expression) in enumerate(asked.items())]


def in_words(words):
    """`words`: a number, or NaN, to what is shown in its place and, where it has one, its colour."""
    return [{"type": "special", "options": {"match": "null+nan", "result": {"text": text, "index": 0}}} if value == "NaN" else
            {"type": "value", "options": {value: {"text": text, "index": 0, **({"color": colour} if colour else {})}}}
            for value, (text, colour) in words.items()]


def panel(kind, title, says, asked, options, defaults, overrides=(), instant=False):
    return {"type": kind, "title": title, "description": says, "datasource": SOURCE, "targets": queries(asked, instant), "options": options,
            "fieldConfig": {"defaults": defaults, "overrides": list(overrides)}}


def stat(title, says, asked, unit="short", thresholds=None, none="–", decimals=None, text="value", curve=False, words=None):
    """A number for each series, its legend where `text` says so. With a `curve` behind it, for which a range is asked for, of which an old value could be
    the last: so what is asked for is NaN where there is none."""
    if curve:
        asked, words = {legend: f"{expression} or vector(NaN)" for legend, expression in asked.items()}, {"NaN": (none, None)}
    return panel("stat", title, says, asked, instant=not curve, options={
        "reduceOptions": {"calcs": ["last" if curve else "lastNotNull"], "fields": "", "values": False}, "orientation": "auto", "justifyMode": "auto",
        "textMode": text, "wideLayout": True, "colorMode": "background" if text == "name" else "value", "graphMode": "area" if curve else "none",
        "showPercentChange": False, "percentChangeColorMode": "standard"}, defaults={
        "unit": unit, "noValue": none, "thresholds": thresholds or steps("text"), "color": {"mode": "thresholds"}, "mappings": in_words(words or {}),
        **({} if decimals is None else {"decimals": decimals})})


def curves(title, says, asked, unit="short", stacked=False, bars=False, alarming=(), limits=(), downwards=(), colours=None, most=None, none=None,
           twofold=False):
    """`alarming`: ends of the legends of what should not be, or not be reached, drawn dashed in red; `limits`: of limits that each have a colour of their own;
    `downwards`: ends of the legends of what is asked for as negative numbers, drawn in red; `colours`: regular expressions of legends to colours; `most`:
    the top of the axis; `none`: what is well where there is nothing to draw and a server answers; where none does, the panel is grey; `twofold`: there are
    two lines of each server."""
    overrides = [{"matcher": {"id": "byRegexp", "options": f".* {legend}"},
                  "properties": [*([{"id": "color", "value": {"mode": "fixed", "fixedColor": RED}}] if legend in alarming else []),
                                 {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 8]}},
                                 {"id": "custom.fillOpacity", "value": 0},
                                 {"id": "custom.stacking", "value": {"mode": "none", "group": "A"}}]} for legend in (*alarming, *limits)]
    overrides += [{"matcher": {"id": "byRegexp", "options": legends}, "properties": [{"id": "color", "value": {"mode": "shades", "fixedColor": colour}}]}
                  for legends, colour in (colours or {}).items()]
    overrides += [{"matcher": {"id": "byRegexp", "options": f".* {legend}"},
                   "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": RED}}]} for legend in downwards]
    if none:
        asked = {**asked, UNANSWERED: UNANSWERED_IS}
        overrides += [{"matcher": {"id": "byName", "options": UNANSWERED},
                       "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": GREY}}, {"id": "min", "value": 0}, {"id": "max", "value": 1},
                                      {"id": "custom.axisPlacement", "value": "hidden"}, {"id": "custom.drawStyle", "value": "line"},
                                      {"id": "custom.fillOpacity", "value": 25}, {"id": "custom.stacking", "value": {"mode": "none", "group": "A"}}]}]
    return {**({"interval": "1m"} if bars else {}), **panel("timeseries", title, says, asked, options={
        # Two lines a server fill more rows below a chart than there is room for.
        "legend": {"showLegend": True, "displayMode": "list", "placement": "right" if twofold else "bottom", "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"}}, defaults={
        "unit": unit, "noValue": none or "No data", **({} if downwards else {"min": 0}), **({} if most is None else {"max": most}), "thresholds": steps("text"),
        "mappings": [], "color": {"mode": "shades", "fixedColor": "blue"} if colours else {"mode": "palette-classic"}, "custom": {
            "drawStyle": "bars" if bars else "line", "lineInterpolation": "linear", "lineWidth": 0 if bars else 2, "lineStyle": {"fill": "solid"},
            "fillOpacity": 80 if bars else 25 if stacked else 0, "gradientMode": "none", "showPoints": "never" if bars else "auto", "pointSize": 4,
            "barAlignment": 0, "barWidthFactor": 0.8, "spanNulls": False, "axisPlacement": "auto", **({"axisSoftMax": 1} if unit == "short" else {}),
            "stacking": {"mode": "normal" if stacked or bars else "none", "group": "A"}, "thresholdsStyle": {"mode": "off"}}}, overrides=overrides)}


def gauges(title, says, asked, none, unit="short", most=None):
    """A bar for each series as it is now; `none`: what is so where there is no series and a server answers."""
    return panel("bargauge", title, says, {**asked, UNANSWERED: f"-{UNANSWERED_IS}"}, instant=True, options={
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "orientation": "horizontal", "displayMode": "basic",
        "valueMode": "text", "namePlacement": "top", "showUnfilled": True, "sizing": "manual", "minVizWidth": 8, "minVizHeight": 16, "maxVizHeight": 28,
        "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []}}, defaults={
        "unit": unit, "noValue": none, "min": 0, **({} if most is None else {"max": most}), "thresholds": steps("blue"),
        "mappings": in_words({"-1": ("–", None)}), "color": {"mode": "thresholds"}}, overrides=[
            {"matcher": {"id": "byName", "options": UNANSWERED},  # whose bar is empty
             "properties": [{"id": "max", "value": 1}, {"id": "color", "value": {"mode": "fixed", "fixedColor": GREY}}]}])


ROW = "row"  # (ROW, title): a heading


def laid_out(rows):
    """`rows`: headings, and (height, [(width, panel), ...]) from left to right, 24 wide."""
    panels, y = [], 0
    for row in rows:
        height, parts = (1, [(24, {"type": "row", "title": row[1], "collapsed": False, "panels": []})]) if row[0] == ROW else row
        assert sum(width for width, _ in parts) == 24, row
        x = 0
        for width, part in parts:
            panels.append({"id": len(panels) + 1, **part, "gridPos": {"x": x, "y": y, "w": width, "h": height}})
            x += width
        y += height
    return panels


def dashboard(uid, title, says, job, rows):
    instances = f'label_values(up{{job="{job}"}}, instance)'
    return {
        "uid": uid, "title": title, "description": says, "tags": ["induct"], "schemaVersion": 41, "version": 1, "editable": False, "graphTooltip": 1,
        "refresh": "30s", "time": {"from": "now-6h", "to": "now"}, "timezone": "browser", "annotations": {"list": []},
        "links": [{"type": "dashboards", "title": "induct", "tags": ["induct"], "asDropdown": False, "includeVars": True, "keepTime": True,
                   "targetBlank": False, "icon": "external link", "tooltip": "", "url": ""}],
        "templating": {"list": [
            {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "regex": "", "hide": 0, "multi": False,
             "includeAll": False, "refresh": 1, "options": [], "current": {"text": "Prometheus", "value": "induct-prometheus"}},
            {"type": "query", "name": "instance", "label": "Server", "datasource": SOURCE, "query": {"query": instances, "refId": "instances"},
             "regex": "", "hide": 0, "multi": True, "includeAll": True, "allValue": ".*", "refresh": 2, "sort": 1, "options": [],
             "current": {"text": "All", "value": "$__all"}}]},
        "panels": laid_out(rows)}


# --- what several boards show -------------------------------------------------------------------------------------------------------

RUNNING = gauges("What runs now, and how far it is", "A job on its device: its kind, the model that it measures at the moment, how much of it is done.", {
    "{{instance}} {{device}}: {{kind}} of {{model}}":
        "induct_running_job_progress{SERVERS} * on (job, instance, device) group_left (kind, model) induct_running_job_info{SERVERS}"},
    "No device has a job", "percentunit", most=1)
BUSY = curves("Devices busy", "Share of the time in which a device had a job. At 100 % jobs wait because there is more work than the devices do; where jobs "
              "wait and this is 0, they are being prepared: look at what is downloaded and loaded.", {
                  "{{instance}} {{device}}": "rate(induct_device_busy_seconds_total{SERVERS}[$__rate_interval])"}, "percentunit", most=1)
LOADS = curves("Models loaded (up) and unloaded to make room (down), a minute", "Where they are unloaded as often as they are loaded, memory is too small "
               "for the models that are asked for in turn.", {
                   "{{instance}} loaded": 'sum by (instance) (60 * rate(induct_model_loads_total{SERVERS,outcome="succeeded"}[$__rate_interval]))',
                   "{{instance}} unloaded": "-sum by (instance) (60 * rate(induct_model_evictions_total{SERVERS}[$__rate_interval]))"},
               downwards=["unloaded"], twofold=True)
READ = curves("Weights streamed, files downloaded", "A second: layers read anew with each pass, as their model does not fit into memory; files from the hub.", {
    "{{instance}} streamed": "rate(induct_streamed_bytes_total{SERVERS}[$__rate_interval])",
    "{{instance}} downloaded": "rate(induct_hub_downloaded_bytes_total{SERVERS}[$__rate_interval])"}, "Bps", twofold=True)
MEMORY = curves("Device memory", "Used by all programs, and what there is. Of a CPU: the machine's, or what the server's control group may use.", {
    "{{instance}} {{device}} used": "induct_device_memory_used_bytes{SERVERS}",
    "{{instance}} {{device}} total": "induct_device_memory_total_bytes{SERVERS}"}, "bytes", limits=["total"], twofold=True)
HALVED = curves("Too little memory: how often a minute", "Halved: micro-batches, because they did not fit, which costs time; failed: jobs, all the same.", {
                    "{{instance}} halved": "60 * rate(induct_micro_batch_halvings_total{SERVERS}[$__rate_interval])",
                    "{{instance}} failed": '60 * rate(induct_job_failures_total{SERVERS,reason="OUT_OF_MEMORY"}[$__rate_interval])'},
                alarming=["failed"], twofold=True)

FIRING = 'ALERTS{alertname=~"Induct.*",alertstate="firing",instance=~"$instance"}'
CRITICAL = FIRING.replace("{", '{severity="critical",')

# --- the boards ---------------------------------------------------------------------------------------------------------------------

OVERVIEW = dashboard("induct-overview", "induct: overview", "Why does my job wait? How many do, what runs, what fails.", "induct", [
    (3, [(24, stat("Alerts that are firing", "Red: most users get no results until somebody acts; orange: look soon. What to do: docs/operations.md.", {
        "{{instance}}: {{alertname}}": f'label_replace(2 * {CRITICAL} or {FIRING}, "instance", "no server", "instance", "")', "None": f"0 * absent({FIRING})"},
        thresholds=steps(GREEN, (1, ORANGE), (2, RED)), text="name"))]),
    (5, [
        (3, stat("Waiting now", "Jobs that have no device yet, those that are being prepared included.", {
            "waiting": "sum(induct_jobs_queued{SERVERS})"}, curve=True)),
        (3, stat("Oldest wait", "Since when the oldest of them waits.", {"oldest": "max(induct_queue_oldest_seconds{SERVERS})"}, "s",
                 steps("text", (600, ORANGE), (3600, RED)), decimals=0, curve=True)),
        (3, stat("Running now", "Jobs that have a device at this moment; short ones come and go between two looks, and are seen in the share beside it.", {
            "running": "sum(induct_jobs_running{SERVERS})"}, curve=True)),
        (3, stat("Busy, last 5 min", "Share of the time in which devices had jobs, all devices of the servers that answer together.", {
            "busy": "avg(rate(induct_device_busy_seconds_total{SERVERS}[5m]) and on (job, instance) up{SERVERS} == 1)"}, "percentunit", decimals=0,
            curve=True)),
        (3, stat("Jobs, last hour", "Jobs that ended.", {"jobs": "sum(increase(induct_jobs_total{SERVERS}[1h]))"}, decimals=0)),
        (3, stat("Failed, any cause, 1 h", "Share of the jobs that ended that failed, by users' mistakes, too. Which are the server's, and which are not, is "
                 "said by 'Jobs failed a minute, by reason'; InductJobsFailing goes by the server's alone.", {
            "failed": "sum(increase(induct_job_failures_total{SERVERS}[1h])) / (sum(increase(induct_jobs_total{SERVERS}[1h])) > 0)"}, "percentunit",
            steps("text", (0.25, ORANGE), (0.5, RED)), decimals=0)),
        (3, stat("Tokens/s, last 5 min", "Measured, all devices of the servers that answer together.", {
            "tokens": "sum(rate(induct_tokens_total{SERVERS}[5m]) and on (job, instance) up{SERVERS} == 1)"}, decimals=0, curve=True)),
        (3, stat("Servers down", "Servers whose metrics are not answered, of those that Prometheus knows.", {
            "down": "count(up{SERVERS} == 0) or 0 * count(up{SERVERS}) or vector(-1)"}, thresholds=steps(GREEN, (1, RED)),
            words={"-1": ("no server known", RED)}))]),
    (8, [
        (8, RUNNING),
        (8, curves("Waiting jobs", "By server; the dashed line is how many may wait before others are refused (limits.max_queued), where it is near.", {
            "{{instance}}": "induct_jobs_queued{SERVERS}",
            "{{instance}} limit": "induct_queue_limit{SERVERS} < 2 * induct_jobs_queued{SERVERS}"}, alarming=["limit"])),
        (8, BUSY)]),
    (8, [
        (8, curves("How long jobs wait: oldest now, p50 and p95 of the last hour", "Oldest, dashed: the longest wait of those that wait at that moment. Of "
                   "the jobs that began to run in the hour before, half had waited less than p50, all but one in twenty less than p95; both are interpolated "
                   "in the histogram's buckets (0.01, 0.1, 1, 5, 15 s, 1, 5, 15 min, 1, 4 h). Preparing is not included in these.", {
                       "{{instance}} p50": "instance:induct_job_queue_seconds:p50_1h{SERVERS}",
                       "{{instance}} p95": "instance:induct_job_queue_seconds:p95_1h{SERVERS}",
                       "{{instance}} oldest": "induct_queue_oldest_seconds{SERVERS}"}, "s", alarming=["oldest"])),
        (8, READ),
        (8, curves("Jobs failed a minute, by reason", "Whoever's fault it was. Server, red: the server's or the hub's, of which InductJobsFailing speaks; "
                   "memory, orange; request, blue: the user's, as a prompt that is too long, a model that is not one, a deadline.", {
            f"{whose}: {{{{reason}}}}":
                f"sum by (reason) (60 * rate(induct_job_failures_total{{SERVERS,reason{reasons}}}[$__rate_interval])) > 0"
            for whose, reasons in (("server", f'=~"{SERVERS_REASONS}"'), ("memory", '="OUT_OF_MEMORY"'),
                                   ("request", f'!~"OUT_OF_MEMORY|{SERVERS_REASONS}"'))}, bars=True,
            colours={"server: .*": RED, "memory: .*": ORANGE}, none="No job failed"))]),
    (ROW, "Jobs"),
    (7, [
        (8, curves("Jobs ended a minute, by kind", "However they ended.", {
            "{{kind}}": "sum by (kind) (60 * rate(induct_jobs_total{SERVERS}[$__rate_interval]))"}, stacked=True)),
        (8, curves("How long jobs ran: p95 of the last hour, by kind", "All but one in twenty had their device for less; interpolated in the "
                   "histogram's buckets (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30 s, 1, 2, 5, 10, 30 min, 1, 4 h).", {
            "{{kind}}": "max by (kind) (instance_kind:induct_job_run_seconds:p95_1h{SERVERS})"}, "s")),
        (8, curves("Requests refused a minute, by reason", "Requests of which no job was made. Orange: too much is waiting, or the server "
                   "stops; blue: the request.", {
            "{{reason}}": "sum by (reason) (60 * rate(induct_rejections_total{SERVERS}[$__rate_interval])) > 0"}, bars=True,
            colours={"QUEUE_FULL|QUOTA_USED|TOO_MANY_LOADS|DRAINING": ORANGE}, none="No request was refused"))]),
    (ROW, "Models and memory"),
    (7, [
        (8, curves("Models against the budget", "Share of model_memory_mb that loaded models take.", {
            "{{instance}} {{device}}": "sum by (job, instance, device) (induct_model_resident_bytes{SERVERS}) / on (job, instance, device) "
                                       "induct_model_budget_bytes{SERVERS}"}, "percentunit", most=1)),
        (8, LOADS),
        (8, MEMORY)]),
    (7, [
        (8, HALVED),
        (8, curves("Clients", "Clients that follow a job at that moment, and those that went away before its end.", {
            "{{instance}} following": "induct_streams_open{SERVERS}",
            "{{instance}} gone/min": "60 * rate(induct_stream_disconnects_total{SERVERS}[$__rate_interval])"}, twofold=True)),
        (8, curves("Free for models on the disk", "Of the disk that holds the model cache. InductDiskLow fires below 20 GiB.", {
            "{{instance}}": 'induct_disk_free_bytes{SERVERS,volume="model_cache"}'}, "bytes"))])])

MODELS = dashboard("induct-models", "induct: models and devices", "Which models are where, what loading them costs, and what each device does.", "induct", [
    (8, [
        (8, gauges("Models that are loaded", "Bytes reserved for the weights of each, loads under way included.", {
            "{{instance}} {{device}}: {{model}}": "induct_model_resident_bytes{SERVERS}"}, "No model is loaded", "bytes")),
        (8, curves("Models against the budget", "Bytes of loaded models; dashed: what they may take (model_memory_mb), where they take a tenth of it.", {
            "{{instance}} {{device}}": "sum by (job, instance, device) (induct_model_resident_bytes{SERVERS})",
            "{{instance}} {{device}} budget": "induct_model_budget_bytes{SERVERS} < on (job, instance, device) (10 * sum by (job, instance, device) "
                                              "(induct_model_resident_bytes{SERVERS}))"},
            "bytes", alarming=["budget"])),
        (8, LOADS)]),
    (7, [
        (8, curves("Time spent loading", "Share of the time in which weights were read into memory, or files came from the hub; two at once count twice.", {
            "{{instance}} {{source}}": "rate(induct_model_load_seconds_sum{SERVERS}[$__rate_interval])"}, "percentunit")),
        (8, curves("How long a load takes", "The mean: disk, weights into memory; hub, a model's files onto the disk.", {
            "{{instance}} {{source}}": "rate(induct_model_load_seconds_sum{SERVERS}[$__rate_interval]) "
                                       "/ rate(induct_model_load_seconds_count{SERVERS}[$__rate_interval])"}, "s")),
        (8, READ)]),
    (7, [
        (8, curves("How long jobs were prepared: p95 by kind", "Downloading, making prompts, loading, waiting for model memory; "
                   "interpolated in the histogram's buckets.", {
            "{{kind}}": "histogram_quantile(0.95, sum by (kind, le) (rate(induct_job_prepare_seconds_bucket{SERVERS}[$__rate_interval])))"}, "s")),
        (8, curves("Loads that did not succeed, a minute", "Failed, or cancelled with their job.", {
            "{{instance}} {{outcome}}": '60 * rate(induct_model_loads_total{SERVERS,outcome!="succeeded"}[$__rate_interval]) > 0'}, bars=True,
            none="None failed or was cancelled")),
        (8, HALVED)]),
    (ROW, "Devices"),
    (7, [(8, RUNNING), (8, BUSY), (8, MEMORY)]),
    (7, [
        (8, curves("Tokens a second", "Measured, each once for each model; an ablation's variants are not counted.", {
            "{{instance}} {{device}}": "rate(induct_tokens_total{SERVERS}[$__rate_interval])"})),
        (8, curves("Prompts a second", "Measured, each once for each model.", {
            "{{instance}} {{device}}": "rate(induct_prompts_total{SERVERS}[$__rate_interval])"})),
        (8, curves("Layers a second", "Layers whose scores are final.", {
            "{{instance}} {{device}}": "rate(induct_layers_total{SERVERS}[$__rate_interval])"}))]),
    (ROW, "Processes"),
    (7, [
        (6, curves("Memory of the process", "In RAM.", {"{{instance}}": "process_resident_memory_bytes{SERVERS}"}, "bytes")),
        (6, curves("Ended jobs kept", "Bytes of their requests, events and artifacts (limits.kept_mb).", {
            "{{instance}}": "induct_kept_bytes{SERVERS}"}, "bytes")),
        (6, curves("Open files", "File descriptors, connections included.", {"{{instance}}": "process_open_fds{SERVERS}"})),
        (6, stat("Running for", "Time since the process started, and what it is.", {"{{instance}}: {{version}}, LibTorch {{libtorch}}":
            "(time() - process_start_time_seconds{SERVERS}) * on (job, instance) group_left (version, libtorch) induct_build_info{SERVERS}"}, "s",
            text="value_and_name"))])])

GPU = dashboard("induct-gpu", "induct: GPU", "What dcgm-exporter reads of the GPUs' driver.", "dcgm", [
    (8, [
        (8, curves("Use", "Share of the time in which any kernel ran. A device that is busy (overview) and hardly used here waits for its CPU or its disk.", {
            "{{Hostname}} {{gpu}}": "DCGM_FI_DEV_GPU_UTIL{GPUS}"}, "percent", most=100)),
        (8, curves("Memory", "Used by all programs, and what there is.", {
            "{{Hostname}} {{gpu}} used": "2^20 * DCGM_FI_DEV_FB_USED{GPUS}",
            "{{Hostname}} {{gpu}} total": "2^20 * (DCGM_FI_DEV_FB_USED{GPUS} + DCGM_FI_DEV_FB_FREE{GPUS})"}, "bytes", limits=["total"], twofold=True)),
        (8, stat("Last Xid error", "The driver's number of the last error since dcgm-exporter was started; 0: none. InductGpuXid says what to do.", {
            "{{Hostname}} {{gpu}}": "DCGM_FI_DEV_XID_ERRORS{GPUS}"}, "none", steps(GREEN, (1, RED)), none="No dcgm-exporter answers", text="value_and_name"))]),
    (7, [
        (8, curves("Power", "Drawn by the card.", {"{{Hostname}} {{gpu}}": "DCGM_FI_DEV_POWER_USAGE{GPUS}"}, "watt")),
        (8, curves("Temperature", "Of the GPU, and of its memory where it tells.", {
            "{{Hostname}} {{gpu}}": "DCGM_FI_DEV_GPU_TEMP{GPUS}", "{{Hostname}} {{gpu}} memory": "DCGM_FI_DEV_MEMORY_TEMP{GPUS} > 0"}, "celsius")),
        (8, curves("Clock", "Of the multiprocessors: it falls when the card is too hot or may draw no more power.", {
            "{{Hostname}} {{gpu}}": "1e6 * DCGM_FI_DEV_SM_CLOCK{GPUS}"}, "hertz"))]),
    (7, [
        (8, curves("Memory traffic", "Share of the time in which memory was read or written.", {
            "{{Hostname}} {{gpu}}": "DCGM_FI_DEV_MEM_COPY_UTIL{GPUS}"}, "percent", most=100)),
        (8, curves("PCIe retries", "A minute: a card that sits badly, or a bad slot.", {
            "{{Hostname}} {{gpu}}": "60 * rate(DCGM_FI_DEV_PCIE_REPLAY_COUNTER{GPUS}[$__rate_interval])"})),
        (8, curves("Rows of memory remapped", "After errors that could not be corrected. Many: the card wears out.", {
            "{{Hostname}} {{gpu}}": "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS{GPUS}"}))])])


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent / "dashboards"
    for name, board in (("overview", OVERVIEW), ("models", MODELS), ("gpu", GPU)):
        (folder / f"{name}.json").write_text(json.dumps(board, indent=1) + "\n")


if __name__ == "__main__":
    main()
