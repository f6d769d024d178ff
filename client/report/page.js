// Draws each figure's chart from the data beside it. Vega's expressions are interpreted, since the page's policy forbids eval;
// texts from the data reach Vega as values of data alone.

const CHARTS = {
  heads: headsChart, curve: curveChart, overlay: overlayChart, sizes: sizesChart,
  effects: effectsChart, density: densityChart, ablation: ablationChart, pattern: patternChart,
};

const MOST_SVG_CELLS = 5000;  // more are faster as pixels

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const CONFIG = {
  background: null,
  font: FONT,
  view: {stroke: null},
  axis: {labelFontSize: 11, titleFontSize: 12, titleFontWeight: 'normal', titleColor: '#333', labelColor: '#333', gridColor: '#e6e6e6'},
  legend: {labelFontSize: 11, titleFontSize: 12, titleFontWeight: 'normal'},
};

const tooltip = new Tooltip();

// Draws a panel into `place`, and leaves its view there as `view`: what a test asks for marks and scales.
async function drawPanel(panel, place) {
  const {spec} = vegaLite.compile({...panel.spec, config: CONFIG});
  const view = new vega.View(vega.parse(spec, null, {ast: true}), {
    expr: vega.expressionInterpreter,
    renderer: panel.nCells > MOST_SVG_CELLS ? 'canvas' : 'svg',
    container: place,
    logLevel: vega.Warn,
    tooltip: (handler, event, item, value) => {
      if (value && panel.tip) tooltip.show(event, panel.tip(value));
      else tooltip.hide();
    },
  });
  place.view = view;
  await view.runAsync();
}

function legendEntry({shape, color, text}) {
  const mark = element('span', `mark ${shape}`);
  mark.style.color = color;
  return element('span', 'entry', mark, text);
}

function button(text, action) {
  const made = element('button', '', text);
  made.type = 'button';
  made.addEventListener('click', action);
  return made;
}

class Figure {
  constructor(figure) {
    this.data = JSON.parse(figure.querySelector('script').textContent);
    this.plot = figure.querySelector('.plot');
    this.chart = CHARTS[figure.dataset.kind];
    this.sorted = false;
    this.panels = [];
  }

  async draw() {
    tooltip.hide();
    this.panels.forEach(panel => panel.view?.finalize());
    const chart = this.chart(this.data, {width: this.plot.clientWidth, sorted: this.sorted});
    this.panels = chart.panels.map(() => element('div', 'view'));
    this.plot.replaceChildren(...this.heading(chart), ...this.controls(chart), this.frame(chart));
    await Promise.all(chart.panels.map((panel, i) => drawPanel(panel, this.panels[i])));
  }

  heading({title, legend}) {
    return [
      ...(title ? [element('div', 'title', title)] : []),
      ...(legend?.length ? [element('div', 'legend', ...legend.map(legendEntry))] : []),
    ];
  }

  frame(chart) {
    return element('div', 'panels', ...chart.panels.map(({yTitle}, i) =>
      element('div', 'panel', ...(yTitle ? [element('div', 'y-title', yTitle)] : []), this.panels[i])));
  }

  controls({sortable, zoomable}) {
    const controls = [];
    if (sortable) controls.push(this.sortBox());
    if (zoomable) {
      controls.push(
        button('Zoom in', () => this.zoom(1 / 1.5)), button('Zoom out', () => this.zoom(1.5)), button('Reset', () => this.draw()),
        element('span', 'hint', 'Ctrl + wheel or pinch zooms, dragging moves, a double-click resets.'));
    }
    return controls.length ? [element('div', 'controls', ...controls)] : [];
  }

  sortBox() {
    const box = element('input');
    box.type = 'checkbox';
    box.checked = this.sorted;
    box.addEventListener('change', () => {
      this.sorted = box.checked;
      this.draw();
    });
    return element('label', '', box, 'sort heads by score');
  }

  // Makes what both axes show `factor` times as wide, around its middle.
  zoom(factor) {
    const {view} = this.panels[0];
    for (const name of ['x', 'y']) {
      const [from, to] = view.scale(name).domain();
      const middle = (from + to) / 2, half = (to - from) / 2 * factor;
      view.signal(`zoom_${name}0`, [middle - half, middle + half]);
    }
    view.run();
  }
}

for (const place of document.querySelectorAll('figure.chart')) {
  new Figure(place).draw().catch(error => {
    console.error(error);
    place.querySelector('.plot').replaceChildren('This chart could not be drawn.');
  });
}
