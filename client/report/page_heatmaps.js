// Charts of square cells: the heads of a model, and the attention of one head. Cells stand on number scales, one unit wide,
// since only those can be zoomed.

const TOOLTIP = {content: 'data'};  // hands the cell itself to the page's tooltip
const SIGNIFICANT = 0.05;

function range(count) {
  return Array.from({length: count}, (_, i) => i);
}

function cellAt(x, y) {
  return {x, y, x0: x - 0.5, x1: x + 0.5, y0: y - 0.5, y1: y + 0.5};
}

// Cells are square where that gives neither a sliver nor a tower.
function heatmapSize(nColumns, nRows, width) {
  const column = Math.min(width / nColumns, 40);
  const row = Math.min(column, Math.max(680 / nRows, 8));
  return {width: Math.max(column * nColumns, 40), height: Math.max(row * nRows, 40)};
}

function cellScale(count, reverse) {
  return {domain: [-0.5, count - 0.5], nice: false, zero: false, reverse: reverse === true};
}

function cellAxis(title, count) {
  return {title, values: range(count), labelOverlap: 'parity', format: 'd', grid: false, ticks: false, domain: false};
}

// `columns` and `rows` are {count, axis, reverse}. `marks` are drawn upon the cells, as layers without encoding: in the middle
// of their cells if `centered`, over the whole of them if not.
function heatmapSpec({cells, columns, rows, color, size, marks = []}) {
  const x = {field: 'x0', type: 'quantitative', scale: cellScale(columns.count), axis: columns.axis};
  const y = {field: 'y0', type: 'quantitative', scale: cellScale(rows.count, rows.reverse), axis: rows.axis};
  const corners = {x, x2: {field: 'x1'}, y, y2: {field: 'y1'}};
  const centers = {x: {...x, field: 'x'}, y: {...y, field: 'y'}};
  return {
    ...size,
    layer: [
      {
        name: 'cells',
        data: {values: cells},
        params: [{name: 'zoom', bind: 'scales', select: {type: 'interval', zoom: 'wheel![event.ctrlKey]'}}],
        mark: {type: 'rect', clip: true, tooltip: TOOLTIP, stroke: '#fff', strokeWidth: size.width / columns.count > 8 ? 0.5 : 0},
        encoding: {...corners, color},
      },
      ...marks.map(({centered, ...mark}) => ({...mark, encoding: centered ? centers : corners})),
    ],
  };
}

function headCells(data) {
  return range(data.n_layers * data.n_heads).map(i => {
    const layer = Math.floor(i / data.n_heads), head = i % data.n_heads;
    return {i, layer, head, ...cellAt(head, layer)};
  });
}

// The same cells with each layer's heads from the highest score on.
function sortedCells(cells, scores, nHeads) {
  const place = [];
  for (let start = 0; start < cells.length; start += nHeads) {
    const order = range(nHeads).sort((a, b) => scores[start + b] - scores[start + a] || a - b);
    order.forEach((head, rank) => { place[start + head] = rank; });
  }
  return cells.map(cell => ({...cell, ...cellAt(place[cell.i], cell.layer)}));
}

function headAxes(data, sorted) {
  return {
    columns: {count: data.n_heads, axis: cellAxis(sorted ? 'rank of the head within its layer, by score' : 'head', data.n_heads)},
    rows: {count: data.n_layers, axis: cellAxis('layer', data.n_layers)},
  };
}

function colorLegend(title, height) {
  return {title, gradientLength: Math.min(Math.max(height, 60), 220), tickCount: 5};
}

function headsChart(data, {width, sorted}) {
  const size = heatmapSize(data.n_heads, data.n_layers, width - 130);
  const cells = headCells(data).map(cell => ({...cell, value: data.scores[cell.i]}));
  const top = Math.max(...data.scores, 0), bottom = Math.min(...data.scores, 0);
  const color = {
    field: 'value', type: 'quantitative', legend: colorLegend('score', size.height),
    scale: {scheme: 'viridis', domain: [bottom, top > bottom ? top : bottom + 1]},
  };
  const tip = ({i, layer, head}) => [
    ['layer', String(layer)],
    ['head', String(head)],
    ['score', numberText(data.scores[i])],
    ...intervalLine('95 % interval', data.ci_low, data.ci_high, i),
    ...(data.effect ? [[`beyond the ${data.null} null`, numberText(data.effect[i])]] : []),
    ...(data.p ? [['p (adjusted)', numberText(data.p[i])]] : []),
  ];
  const shown = sorted ? sortedCells(cells, data.scores, data.n_heads) : cells;
  return {
    title: `${data.label}: ${data.score} score`, sortable: true, zoomable: true,
    panels: [{spec: heatmapSpec({cells: shown, ...headAxes(data, sorted), color, size}), tip, nCells: cells.length}],
  };
}

// Dots on heads whose effect is significant. They answer to the pointer as their cells do.
function significanceDots(cells, data, size) {
  const side = Math.min(size.width / data.n_heads, size.height / data.n_layers);
  return {
    name: 'significant',
    data: {values: cells.filter(cell => data.p[cell.i] <= SIGNIFICANT)},
    mark: {type: 'point', clip: true, tooltip: TOOLTIP, filled: true, color: '#000', stroke: '#fff', strokeWidth: 0.75, opacity: 1,
      size: Math.min(Math.max(side * side * 0.12, 6), 50)},
    centered: true,
  };
}

function effectsChart(data, {width}) {
  const size = heatmapSize(data.n_heads, data.n_layers, width - 130);
  const cells = headCells(data).map(cell => ({...cell, value: data.effect[cell.i]}));
  const most = Math.max(...data.effect.map(Math.abs), 0) || 1;
  const color = {
    field: 'value', type: 'quantitative', legend: colorLegend('effect', size.height),
    scale: {scheme: 'blueorange', domain: [-most, most], domainMid: 0},
  };
  const tip = ({i, layer, head}) => [
    ['layer', String(layer)],
    ['head', String(head)],
    ['effect', numberText(data.effect[i])],
    ...intervalLine('95 % interval', data.ci_low, data.ci_high, i),
    [data.observed_label, numberText(data.observed[i])],
    [data.null_label, numberText(data.null_mean[i])],
    ...(data.p ? [['p (adjusted)', numberText(data.p[i])]] : []),
  ];
  const marks = data.p ? [significanceDots(cells, data, size)] : [];
  return {
    title: data.title, zoomable: true,
    legend: data.p ? [{shape: 'dot', color: '#000', text: `p \u2264 ${SIGNIFICANT}, adjusted`}] : [],
    panels: [{spec: heatmapSpec({cells, ...headAxes(data, false), color, size, marks}), tip, nCells: cells.length}],
  };
}

// Axis labels are looked up in a list of texts; none of them stands in an expression.
function tokenAxis(title, count) {
  return {...cellAxis(title, count), labelExpr: 'tokens[datum.value]', labelFont: 'ui-monospace, monospace', labelLimit: 90};
}

// Keys after their query have no probability: the model does not see them.
function patternCells(data) {
  const n = data.tokens.length;
  return range(n).flatMap(query => range(query + 1).map(key =>
    ({query, key, value: data.probabilities[query * n + key], ...cellAt(key, query)})));
}

function targetFrames(data) {
  return {
    name: 'targets',
    data: {values: data.targets.map(([query, key]) => ({query, key, ...cellAt(key, query)}))},
    mark: {type: 'rect', clip: true, tooltip: TOOLTIP, filled: false, fill: 'transparent', stroke: '#d55e00', strokeWidth: 2},
  };
}

function patternChart(data, {width}) {
  const n = data.tokens.length;
  const size = heatmapSize(n, n, Math.min(width - 230, 620));
  const cells = patternCells(data);
  const color = {
    field: 'value', type: 'quantitative', legend: colorLegend('probability', size.height),
    scale: {scheme: 'viridis', domain: [0, Math.max(cells.reduce((most, cell) => Math.max(most, cell.value), 0), 1e-9)]},
  };
  const token = place => `${data.tokens[place]} (position ${place})`;
  const tip = ({query, key}) => [
    ['query', token(query)],
    ['key', token(key)],
    ['probability', numberText(data.probabilities[query * n + key])],
  ];
  const spec = heatmapSpec({
    cells, color, size,
    columns: {count: n, axis: {...tokenAxis('key token', n), labelAngle: -90, labelAlign: 'right', labelBaseline: 'middle'}},
    rows: {count: n, axis: tokenAxis('query token', n), reverse: true},
    marks: data.targets.length > 0 ? [targetFrames(data)] : [],
  });
  return {
    title: `${data.label}: attention of layer ${data.layer}, head ${data.head}`, zoomable: true,
    legend: data.targets.length > 0 ? [{shape: 'frame', color: '#d55e00', text: 'targets: what the score reads'}] : [],
    panels: [{spec: {...spec, params: [{name: 'tokens', value: data.tokens}]}, tip, nCells: cells.length}],
  };
}
