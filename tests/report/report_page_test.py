"""The page of a report as a reader meets it: example_page's, in headless Chromium."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import browser

CONTROL = 2  # the modifier key

# Functions that only the tests have: figures by number, in the order of the page, and the cells drawn in one.
SCRIPT = """
function figure(n) { return document.querySelectorAll('figure.chart')[n]; }
function view(n) { return figure(n).querySelector('.view').view; }
function data(n) { return JSON.parse(figure(n).querySelector('script').textContent); }
function markItems(mark, name) {
  const own = mark.name === name ? mark.items : [];
  return own.concat(...mark.items.map(item => (item.items ?? []).flatMap(inner => markItems(inner, name))));
}
function items(n, name) {
  const {root} = view(n).scenegraph();
  return root ? markItems(root, name + '_marks') : [];
}
function center(box) { return {x: box.left + box.width / 2, y: box.top + box.height / 2}; }
function drawnCell(n, test) {
  const found = [...figure(n).querySelectorAll('.view path')].find(path => path.__data__?.datum && test(path.__data__.datum));
  found.scrollIntoView({block: 'center'});
  return center(found.getBoundingClientRect());
}
function control(n, text) {
  const found = [...figure(n).querySelectorAll('.controls > *')].find(each => each.textContent.includes(text));
  found.scrollIntoView({block: 'center'});
  return center((found.querySelector('input') ?? found).getBoundingClientRect());
}
function tooltipLines() {
  const box = document.querySelector('.tooltip');
  return box.hidden ? null : Object.fromEntries([...box.children].map(line => [...line.children].map(part => part.textContent)));
}
"""

VIOLATIONS = "window.violations = []; document.addEventListener('securitypolicyviolation', e => violations.push(e.violatedDirective));"


def number(value):
    """As the page writes numbers from 0.0001 to 999."""
    return f"{value:#.3g}".replace("-", "\N{MINUS SIGN}") if value else "0"


def interval(low, high):
    return f"[{number(low)}, {number(high)}]"


class ReportPageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="induct-page-")
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.page = pathlib.Path(cls.dir) / "report.html"
        cls.page.write_bytes(subprocess.run([os.environ["INDUCT_EXAMPLE_PAGE"]], check=True, capture_output=True).stdout)
        cls.browser = browser.Browser(PROGRAM)
        cls.addClassCleanup(cls.browser.close)
        cls.browser.call("Page.addScriptToEvaluateOnNewDocument", source=VIOLATIONS)

    def setUp(self):
        self.browser.events.clear()
        self.browser.call("Page.navigate", url=self.page.as_uri())
        self.evaluate = self.browser.evaluate
        self.browser.wait_for("document.readyState === 'complete'")
        self.evaluate(SCRIPT + "0")
        self.browser.wait_for("[...document.querySelectorAll('.plot')].every(plot => plot.querySelector('.view :is(svg, canvas)') !== null)")
        self.figures = self.evaluate("[...document.querySelectorAll('figure.chart')].map(figure => figure.dataset.kind)")

    def first(self, kind):
        """The number of the first figure of a kind: the one without hostile texts."""
        return self.figures.index(kind)

    def last(self, kind):
        return len(self.figures) - 1 - self.figures[::-1].index(kind)

    def hostile(self, kind):
        return self.figures.index(kind, self.first(kind) + 1)

    def data(self, figure):
        return self.evaluate(f"data({figure})")

    def hover(self, place):
        """The tooltip's lines with the pointer there. Scrolling, whose event comes with the next frame, would hide it."""
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
        self.browser.mouse("mouseMoved", place["x"], place["y"])
        return self.browser.wait_for("tooltipLines()")

    def hover_cell(self, figure, test):
        return self.hover(self.evaluate(f"drawnCell({figure}, datum => {test})"))

    def click_control(self, figure, text):
        place = self.evaluate(f"control({figure}, {json.dumps(text)})")
        self.browser.click(place["x"], place["y"])

    def domains(self, figure):
        return self.evaluate(f"['x', 'y'].map(axis => view({figure}).scale(axis).domain())")

    def spans(self, figure):
        return [high - low for low, high in self.domains(figure)]

    def assert_quiet(self):
        """Nothing was logged, refused or asked for but the page itself."""
        self.evaluate("0")  # what came before has been told by now
        logged = [event["entry"] for event in self.browser.events_of("Log.entryAdded")]
        self.assertEqual([entry for entry in logged if entry["level"] in ("warning", "error")], [])
        self.assertEqual(self.browser.events_of("Runtime.consoleAPICalled"), [])
        self.assertEqual(self.browser.events_of("Runtime.exceptionThrown"), [])
        self.assertEqual(self.evaluate("violations"), [])
        requests = {event["request"]["url"] for event in self.browser.events_of("Network.requestWillBeSent")}
        self.assertEqual(requests, {self.page.as_uri()})

    def test_draws_every_chart_without_a_complaint_or_a_request(self):
        kinds = {"heads", "curve", "overlay", "sizes", "effects", "density", "ablation", "pattern"}
        self.assertEqual(set(self.figures), kinds)
        self.assertNotIn("could not be drawn", self.evaluate("document.body.innerText"))
        for view in self.evaluate("[...document.querySelectorAll('.view :is(svg, canvas)')].map(view => [view.clientWidth, view.clientHeight])"):
            self.assertGreater(min(view), 50)
        self.assert_quiet()

    def test_every_head_has_a_cell(self):
        for figure, kind in enumerate(self.figures):
            if kind in ("heads", "effects"):
                data = self.data(figure)
                self.assertEqual(self.evaluate(f"items({figure}, 'cells').length"), data["n_layers"] * data["n_heads"])

    def test_hostile_texts_are_shown_and_nothing_of_them_runs(self):
        for figure, _ in enumerate(self.figures):
            middle = self.evaluate(f"(figure({figure}).scrollIntoView(), center(figure({figure}).querySelector('.view').getBoundingClientRect()))")
            self.browser.mouse("mouseMoved", middle["x"], middle["y"])
        self.assertIsNone(self.evaluate("window.hacked ?? null"))
        self.assertEqual(self.evaluate("document.images.length"), 0)
        self.assertEqual(self.evaluate("[...document.scripts].filter(script => script.text.startsWith('window.hacked')).length"), 0)
        for place in ("title", "heading", "text", "label"):
            run = f"window.hacked='{place}'"
            shown = f"</script><script>{run}</script><img src=x onerror=\"{run}\">\"'`${{{run}}} \\x1b[31m\\x01 "
            self.assertIn(shown, self.evaluate("document.body.textContent"), place)
        self.assert_quiet()

    def test_hostile_labels_are_shown_in_tooltips(self):
        figure = self.hostile("overlay")
        lines = self.hover_cell(figure, "datum.c === 1 && datum.layer === 3")
        self.assertEqual(lines["curve"], self.data(figure)["curves"][1]["label"])
        self.assertIn("</script><script>window.hacked", lines["curve"])

    def test_a_head_tells_its_numbers(self):
        figure = self.first("heads")
        data = self.data(figure)
        for layer, head in ((0, 0), (3, 2), (5, 7)):
            i = layer * data["n_heads"] + head
            self.assertEqual(self.hover_cell(figure, f"datum.layer === {layer} && datum.head === {head}"), {
                "layer": str(layer), "head": str(head), "score": number(data["scores"][i]),
                "95 % interval": interval(data["ci_low"][i], data["ci_high"][i]),
                "beyond the lag-matched null": number(data["effect"][i]), "p (adjusted)": number(data["p"][i])})

    def test_the_tooltip_goes_with_the_pointer(self):
        self.hover_cell(self.first("heads"), "datum.layer === 3 && datum.head === 2")
        self.browser.mouse("mouseMoved", 2, 2)
        self.browser.wait_for("tooltipLines() === null")

    def test_an_effect_tells_its_numbers(self):
        figure = self.first("effects")
        data = self.data(figure)
        i = 4 * data["n_heads"] + 6
        self.assertEqual(self.hover_cell(figure, "datum.layer === 4 && datum.head === 6"), {
            "layer": "4", "head": "6", "effect": number(data["effect"][i]), "95 % interval": interval(data["ci_low"][i], data["ci_high"][i]),
            "observed score": number(data["observed"][i]), "mean of the lag-matched null": number(data["null_mean"][i]),
            "p (adjusted)": number(data["p"][i])})

    def test_exactly_the_significant_heads_are_marked(self):
        figure = self.first("effects")
        marked = self.evaluate(f"items({figure}, 'significant').map(item => item.datum.i)")
        self.assertEqual(sorted(marked), [i for i, p in enumerate(self.data(figure)["p"]) if p <= 0.05])

    def test_layers_of_a_curve_tell_their_numbers(self):
        figure = self.first("curve")
        data = self.data(figure)
        self.assertEqual(self.hover_cell(figure, "datum.x0 === 6.5"), {
            "layer": "7", "score": number(data["per_layer"][7]), "95 % interval": interval(data["ci_low"][7], data["ci_high"][7])})

    def test_ablations_tell_every_draw(self):
        figure = self.first("ablation")
        metric = self.data(figure)["metrics"][0]
        self.assertEqual(self.evaluate(f"items({figure}, 'draws').length"), sum(len(control["draws"]) for control in metric["controls"]))
        top = self.hover_cell(figure, "datum.row === 0")
        self.assertEqual(top, {"without": "chosen heads", "change": number(metric["top"]["value"]), "baseline": number(metric["baseline"]),
                               "95 % interval": interval(metric["top"]["ci_low"], metric["top"]["ci_high"])})

    def test_attention_tells_its_tokens(self):
        figure = self.first("pattern")
        data = self.data(figure)
        n = len(data["tokens"])
        self.assertEqual(self.hover_cell(figure, "datum.query === 9 && datum.key === 2"), {
            "query": data["tokens"][9] + " (position 9)", "key": data["tokens"][2] + " (position 2)",
            "probability": number(data["probabilities"][9 * n + 2])})
        self.assertEqual(self.evaluate(f"items({figure}, 'targets').length"), len(data["targets"]))

    def test_a_large_pattern_is_drawn_as_pixels_and_tells_its_tokens(self):
        figure = self.last("pattern")
        place = self.evaluate(f"""(() => {{
            const canvas = figure({figure}).querySelector('canvas');
            canvas.scrollIntoView({{block: 'center'}});
            const box = canvas.getBoundingClientRect(), [x, y] = view({figure}).origin(), pad = view({figure}).padding();
            return {{x: box.left + pad.left + x + view({figure}).scale('x')(20), y: box.top + pad.top + y + view({figure}).scale('y')(80)}};
        }})()""")
        lines = self.hover(place)
        self.assertIn("(position 80)", lines["query"])
        self.assertIn("(position 20)", lines["key"])

    def test_heads_sort_by_score_within_their_layer(self):
        figure = self.first("heads")
        data = self.data(figure)
        before = self.evaluate(f"items({figure}, 'cells').map(item => item.datum.head)")
        self.click_control(figure, "sort")
        self.browser.wait_for(f"items({figure}, 'cells').some(item => item.datum.x !== item.datum.head)")
        rows = self.evaluate(f"items({figure}, 'cells').map(item => [item.datum.layer, item.datum.x, item.datum.i])")
        self.assertEqual(len(rows), len(data["scores"]))
        for layer in range(data["n_layers"]):
            ranked = [data["scores"][i] for row, _, i in sorted(rows) if row == layer]
            own = data["scores"][layer * data["n_heads"]:(layer + 1) * data["n_heads"]]
            self.assertEqual(ranked, sorted(own, reverse=True))
        best = max(range(data["n_heads"]), key=lambda head: data["scores"][2 * data["n_heads"] + head])
        self.assertEqual(self.hover_cell(figure, "datum.layer === 2 && datum.x === 0")["head"], str(best))
        self.click_control(figure, "sort")
        self.browser.wait_for(f"items({figure}, 'cells').length > 0 && items({figure}, 'cells').every(item => item.datum.x === item.datum.head)")
        self.assertEqual(self.evaluate(f"items({figure}, 'cells').map(item => item.datum.head)"), before)

    def test_control_and_wheel_zoom_and_a_double_click_resets(self):
        figure = self.first("heads")
        whole = self.domains(figure)
        place = self.evaluate(f"drawnCell({figure}, datum => datum.layer === 3 && datum.head === 4)")
        self.hover(place)
        self.browser.mouse("mouseWheel", **place, deltaX=0, deltaY=-240, modifiers=CONTROL)
        self.browser.wait_for(f"view({figure}).scale('x').domain()[1] < {whole[0][1]}")
        zoomed = self.spans(figure)
        self.assertLess(zoomed[0], whole[0][1] - whole[0][0])
        self.assertLess(zoomed[1], whole[1][1] - whole[1][0])
        self.browser.click(**place, count=2)
        self.browser.wait_for(f"view({figure}).scale('x').domain()[1] === {whole[0][1]}")
        self.assertEqual(self.domains(figure), whole)

    def test_the_wheel_alone_scrolls_the_page(self):
        figure = self.first("heads")
        whole = self.domains(figure)
        place = self.evaluate(f"drawnCell({figure}, datum => datum.layer === 3 && datum.head === 4)")
        before = self.evaluate("scrollY")
        self.browser.mouse("mouseWheel", **place, deltaX=0, deltaY=120)
        self.browser.wait_for(f"scrollY > {before}")
        self.assertEqual(self.domains(figure), whole)

    def test_buttons_zoom_dragging_moves_and_reset_restores(self):
        for figure in (self.first("heads"), self.first("effects"), self.first("pattern")):
            whole = self.domains(figure)
            self.click_control(figure, "Zoom in")
            self.browser.wait_for(f"view({figure}).scale('x').domain()[1] < {whole[0][1]}")
            zoomed, spans = self.domains(figure), self.spans(figure)
            place = self.evaluate(f"(figure({figure}).scrollIntoView(), drawnCell({figure}, datum => datum.layer === 3 && datum.head === 4"
                                  " || datum.query === 7 && datum.key === 4))")
            self.browser.drag(place["x"], place["y"], place["x"] + 30, place["y"])
            self.browser.wait_for(f"view({figure}).scale('x').domain()[0] < {zoomed[0][0]}")
            for after, before in zip(self.spans(figure), spans):
                self.assertAlmostEqual(after, before, places=6)
            self.click_control(figure, "Reset")
            self.browser.wait_for(f"items({figure}, 'cells').length > 0 && view({figure}).scale('x').domain()[1] === {whole[0][1]}")
            self.assertEqual(self.domains(figure), whole)

    def test_is_readable_without_scripts(self):
        self.addCleanup(self.browser.call, "Emulation.setScriptExecutionDisabled", value=False)
        self.browser.call("Emulation.setScriptExecutionDisabled", value=True)
        self.browser.events.clear()
        self.browser.call("Page.reload")
        self.browser.wait_for_event("Page.loadEventFired")
        root = self.browser.call("DOM.getDocument")["root"]["nodeId"]
        text = self.browser.call("DOM.getOuterHTML", nodeId=root)["outerHTML"]
        for part in ("An item: plain text.", "0.412 [0.391, 0.433]", "Attention of one head of demo-large.", "The chart is drawn by JavaScript."):
            self.assertIn(part, text)


PROGRAM = browser.find_browser()
if __name__ == "__main__":
    if PROGRAM is None:
        print("no Chromium here: deploy/install.sh --tests installs it")
        sys.exit(77)
    unittest.main()
