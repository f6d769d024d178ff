// Charts that compare few values with their intervals: models of several sizes, and ablations with their controls.

const CONTROL_COLOR = '#c4c4c4';
const INTERVAL_RULE = {type: 'rule', strokeWidth: 2};

function withInterval(rows) {
  return rows.filter(row => row.low !== undefined && row.high !== undefined);
}

function sizePoints(data, names) {
  return data.points.map((point, i) => ({
    i, parameters: point.n_parameters, label: point.label,
    value: point[names.value], low: point[names.low], high: point[names.high],
  }));
}

// Peaks and centroids of a model stand side by side.
function sizeLayer(data, names, x, mark) {
  const rows = sizePoints(data, names);
  const y = {field: 'value', type: 'quantitative', scale: {domain: [0, 1]}, axis: {title: null, grid: true, tickCount: 6}};
  const intervals = {
    data: {values: withInterval(rows)},
    mark: {...INTERVAL_RULE, color: mark.color, xOffset: mark.xOffset},
    encoding: {x, y: {...y, field: 'low'}, y2: {field: 'high'}},
  };
  const points = {mark: {type: 'point', filled: true, size: 90, opacity: 1, tooltip: TOOLTIP, ...mark}, encoding: {x, y}};
  return {data: {values: rows}, layer: withData([intervals, points])};
}

const PEAK = {value: 'peak_depth', low: 'peak_low', high: 'peak_high'};
const CENTROID = {value: 'centroid', low: 'centroid_low', high: 'centroid_high'};

function sizeNames(data, x) {
  return {
    data: {values: sizePoints(data, PEAK)},
    mark: {type: 'text', align: 'left', angle: 0, dx: 10, dy: -8, fontSize: 11, limit: 180, color: '#444'},
    encoding: {x, y: {field: 'value', type: 'quantitative'}, text: {field: 'label'}},
  };
}

// 1, 2 and 5 of every power of ten between the two.
function logTicks(low, high) {
  const powers = range(Math.ceil(Math.log10(high)) + 1).map(power => 10 ** power);
  return powers.flatMap(power => [power, 2 * power, 5 * power]).filter(tick => tick >= low && tick <= high);
}

const MOST_NAMES = 12;  // more names than that hide the points

function sizesChart(data, {width}) {
  const sizes = data.points.map(point => point.n_parameters);
  const domain = [Math.min(...sizes) / 2, Math.max(...sizes) * 2.5];
  const x = {
    field: 'parameters', type: 'quantitative', scale: {type: 'log', nice: false, domain},
    axis: {
      title: 'parameters (log scale)', grid: false, values: logTicks(...domain), labelOverlap: 'parity',
      labelExpr: 'replace(format(datum.value, "~s"), "G", "B")',
    },
  };
  const line = (name, value, low, high) =>
    [[name, low === undefined ? numberText(value) : `${numberText(value)} ${intervalText(low, high)}`]];
  const tip = ({i}) => {
    const point = data.points[i];
    return [
      ['model', point.label],
      ['parameters', point.n_parameters.toLocaleString('en-US')],
      ...line('peak depth', point.peak_depth, point.peak_low, point.peak_high),
      ...line('centroid', point.centroid, point.centroid_low, point.centroid_high),
    ];
  };
  const layer = [
    sizeLayer(data, PEAK, x, {color: COLORS[0], shape: 'circle', xOffset: -5}),
    sizeLayer(data, CENTROID, x, {color: COLORS[1], shape: 'diamond', xOffset: 5}),
    ...(data.points.length <= MOST_NAMES ? [sizeNames(data, x)] : []),
  ];
  const legend = [
    {shape: 'dot', color: COLORS[0], text: 'peak'},
    {shape: 'diamond', color: COLORS[1], text: 'centroid'},
  ];
  return {legend, panels: [{yTitle: 'relative depth', spec: {...plotSize(width), layer}, tip}]};
}

// Rows of one metric: what became of it without the ablated heads, then without each draw of each control.
function ablationRows(metric) {
  const bars = [{row: 0, value: metric.top.value, low: metric.top.ci_low, high: metric.top.ci_high}];
  const draws = [];
  metric.controls.forEach((control, c) => {
    if (control.mean !== undefined) bars.push({row: c + 1, value: control.mean});
    control.draws.forEach((value, draw) => draws.push({row: c + 1, value, draw}));
  });
  return {bars, draws};
}

// The names of the rows are looked up in a list of texts; none of them stands in an expression.
function ablationSpec(metric, ablated, width) {
  const {bars, draws} = ablationRows(metric);
  const nRows = metric.controls.length + 1;
  const x = {field: 'value', type: 'quantitative', axis: {title: 'change against the baseline', grid: true, tickCount: 5}};
  const y = {
    field: 'row', type: 'ordinal', scale: {domain: range(nRows)},
    axis: {title: null, labelExpr: 'names[datum.value]', labelLimit: 130, labelPadding: 8, ticks: false, domain: false},
  };
  const layer = [
    {
      name: 'bars',
      data: {values: bars},
      mark: {type: 'bar', tooltip: TOOLTIP, height: {band: 0.6}},
      encoding: {x, y, color: {field: 'row', type: 'ordinal', legend: null, scale: {domain: range(nRows), range: [COLORS[0], ...Array(nRows - 1).fill(CONTROL_COLOR)]}}},
    },
    {
      name: 'draws',
      data: {values: draws},
      mark: {type: 'point', filled: true, color: '#333', opacity: 0.6, size: 28, tooltip: TOOLTIP},
      encoding: {x, y},
    },
    {
      data: {values: withInterval(bars)},
      mark: {...INTERVAL_RULE, color: '#000'},
      encoding: {x: {...x, field: 'low'}, x2: {field: 'high'}, y},
    },
    {data: {values: [{value: 0}]}, mark: {type: 'rule', color: '#000'}, encoding: {x}},
  ];
  const names = [ablated, ...metric.controls.map(control => control.name)];
  return {...plotSize(width), height: 70 + nRows * 36, params: [{name: 'names', value: names}], layer: withData(layer)};
}

function ablationTip(metric, ablated) {
  return ({row, value, low, high, draw}) => {
    const control = metric.controls[row - 1];
    if (!control) {
      const interval = low === undefined || high === undefined ? [] : [['95 % interval', intervalText(low, high)]];
      return [['without', ablated], ['change', numberText(value)], ...interval, ['baseline', numberText(metric.baseline)]];
    }
    return [
      ['without', control.name],
      [draw === undefined ? 'mean change' : `change, draw ${draw + 1} of ${control.draws.length}`, numberText(value)],
      ...(control.p === undefined ? [] : [[`p of the ${ablated}`, numberText(control.p)]]),
    ];
  };
}

function ablationChart(data, {width}) {
  const panelWidth = width >= 640 ? Math.floor((width - 24) / 2) : width;
  const panels = data.metrics.map(metric => ({
    yTitle: `${metric.name} (${metric.unit}); baseline ${numberText(metric.baseline)}`,
    spec: ablationSpec(metric, data.ablated, panelWidth), tip: ablationTip(metric, data.ablated),
  }));
  const legend = [
    {shape: 'bar', color: COLORS[0], text: data.ablated},
    {shape: 'bar', color: CONTROL_COLOR, text: 'mean of controls'},
    {shape: 'dot', color: '#555555', text: 'one draw of heads'},
    {shape: 'line', color: '#000000', text: '95 % interval'},
  ];
  return {title: `${data.label}: change when heads are ablated`, legend, panels};
}
