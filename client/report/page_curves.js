// Charts of curves over layers: profiles, densities, and profiles of several models on relative depth.

// Told apart by all kinds of colour vision (Okabe and Ito).
const COLORS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'];
const CURVE_HEIGHT = 280;

// A y axis has its title above the plot, as text of the page: titles from the data are long.
const VALUE_AXIS = {title: null, grid: true};

// Without the layers that have data of their own and nothing in them: they would say nothing about the scales.
function withData(layers) {
  return layers.filter(layer => layer.data?.values.length !== 0);
}

function layerX(field, nLayers) {
  const axis = {title: 'layer', values: range(nLayers), labelOverlap: 'parity', format: 'd', grid: false};
  return {field, type: 'quantitative', scale: cellScale(nLayers), axis};
}

function valueY(field) {
  return {field, type: 'quantitative', axis: VALUE_AXIS};
}

// An area, which a single layer has none of: there it is a broad line.
function bandLayer(x, color, nLayers) {
  return {
    mark: nLayers > 1 ? {type: 'area', color, opacity: 0.2} : {type: 'rule', color, opacity: 0.2, strokeWidth: 24},
    encoding: {x, y: valueY('low'), y2: {field: 'high'}},
  };
}

function verticalRule(x, place, color, dash) {
  return {
    data: {values: [{place}]},
    mark: {type: 'rule', color, strokeWidth: 1.5, strokeDash: dash},
    encoding: {x: {...x, field: 'place'}},
  };
}

// Unseen, one over each layer from top to bottom: the pointer finds a layer without hitting its point.
function hoverStrips(x) {
  return {
    name: 'strips',
    mark: {type: 'rect', opacity: 0, tooltip: TOOLTIP},
    encoding: {x: {...x, field: 'x0'}, x2: {field: 'x1'}, y: {value: 0}, y2: {value: CURVE_HEIGHT}},
  };
}

function plotSize(width) {
  return {width, height: CURVE_HEIGHT, autosize: {type: 'fit', contains: 'padding'}};
}

function curveRows(data) {
  return data.per_layer.map((value, layer) =>
    ({layer, value, low: data.ci_low?.[layer], high: data.ci_high?.[layer], x0: layer - 0.5, x1: layer + 0.5}));
}

function curveChart(data, {width}) {
  const nLayers = data.per_layer.length;
  const x = layerX('layer', nLayers);
  const layer = [], legend = [{shape: 'line', color: COLORS[0], text: 'score'}];
  if (data.ci_low) {
    layer.push(bandLayer(x, COLORS[0], nLayers));
    legend.push({shape: 'band', color: COLORS[0], text: 'pointwise 95 % band'});
  }
  if (data.peak_layer !== undefined) {
    layer.push(verticalRule(x, data.peak_layer, COLORS[1], [1, 0]));
    legend.push({shape: 'line', color: COLORS[1], text: `peak: layer ${data.peak_layer}`});
  }
  if (data.centroid_rel !== undefined) {
    layer.push(verticalRule(x, data.centroid_rel * nLayers - 0.5, COLORS[2], [5, 4]));
    legend.push({shape: 'dashes', color: COLORS[2], text: `centroid: relative depth ${numberText(data.centroid_rel)}`});
  }
  layer.push({mark: {type: 'line', color: COLORS[0], point: {color: COLORS[0], filled: true, size: 30}}, encoding: {x, y: valueY('value')}});
  layer.push(hoverStrips(x));
  const tip = row => [
    ['layer', String(row.layer)],
    ['score', numberText(row.value)],
    ...intervalLine('95 % interval', data.ci_low, data.ci_high, row.layer),
  ];
  return {
    title: `${data.label}: ${data.score} profile`, legend,
    panels: [{yTitle: data.value_label ?? 'score', spec: {...plotSize(width), data: {values: curveRows(data)}, layer}, tip}],
  };
}

function densityRows(data) {
  return data.observed.map((value, layer) => ({
    layer, value, mean: data.null_mean?.[layer], low: data.band_low?.[layer], high: data.band_high?.[layer],
    x0: layer - 0.5, x1: layer + 0.5,
  }));
}

function significantLayers(rows, data, x) {
  return {
    data: {values: rows.filter(row => data.p_adjusted[row.layer] <= SIGNIFICANT)},
    mark: {type: 'point', filled: true, color: COLORS[1], size: 70, opacity: 1},
    encoding: {x, y: valueY('value')},
  };
}

function densityChart(data, {width}) {
  const rows = densityRows(data);
  const x = layerX('layer', rows.length);
  const layer = [
    bandLayer(x, '#777777', rows.length),
    {mark: {type: 'line', color: '#555555', strokeDash: [5, 4], point: rows.length === 1 && {color: "#555555"}}, encoding: {x, y: valueY('mean')}},
    {mark: {type: 'rule', color: COLORS[4], strokeWidth: 1.5, strokeDash: [1, 0]}, data: {values: [{most: data.max_quantile}]}, encoding: {y: valueY('most')}},
    {mark: {type: 'line', color: COLORS[0], point: {color: COLORS[0], filled: true, size: 30}}, encoding: {x, y: valueY('value')}},
    significantLayers(rows, data, x),
    hoverStrips(x),
  ];
  const tip = row => [
    ['layer', String(row.layer)],
    ['observed share', numberText(row.value)],
    ['mean when permuted', numberText(row.mean)],
    ['5 % to 95 % of permutations', intervalText(row.low, row.high)],
    ['p (adjusted)', numberText(data.p_adjusted[row.layer])],
  ];
  const legend = [
    {shape: 'line', color: COLORS[0], text: 'observed'},
    {shape: 'dot', color: COLORS[1], text: `p \u2264 ${SIGNIFICANT}, adjusted`},
    {shape: 'dashes', color: '#555555', text: 'mean when permuted'},
    {shape: 'band', color: '#777777', text: '5 % to 95 % of permutations'},
    {shape: 'line', color: COLORS[4], text: `95 % quantile of the highest layer when permuted: ${numberText(data.max_quantile)}`},
  ];
  return {
    title: `${data.label}: density of high heads`, legend,
    panels: [{yTitle: 'share of the layer\u2019s heads that score high', spec: {...plotSize(width), data: {values: rows}, layer: withData(layer)}, tip}],
  };
}

// Colours and dashes repeat each at its own pace, so that many curves stay apart.
function curveColor(c) {
  return COLORS[c % COLORS.length];
}

function curveDash(c) {
  return [[1, 0], [6, 3], [2, 3]][Math.floor(c / COLORS.length) % 3];
}

function overlayRows(curve) {
  const nLayers = curve.values.length;
  return curve.values.map((value, layer) =>
    ({layer, depth: (layer + 0.5) / nLayers, value, low: curve.ci_low?.[layer], high: curve.ci_high?.[layer]}));
}

const DEPTH_X = {
  field: 'depth', type: 'quantitative', scale: {domain: [0, 1], nice: false},
  axis: {title: 'relative depth, (layer + 0.5) / number of layers', grid: false, tickCount: 10, format: '.1f'},
};

// The marks of one curve. Rows carry the number of their curve, for the tooltip.
function overlayLayers(curve, c) {
  const color = curveColor(c);
  const rows = overlayRows(curve).map(row => ({...row, c}));
  const line = {encoding: {x: DEPTH_X, y: valueY('value')}, mark: {type: 'line', color, strokeDash: curveDash(c)}};
  const points = {encoding: line.encoding, mark: {type: 'point', filled: true, color, size: 25, opacity: 1, tooltip: TOOLTIP}};
  const layer = [line, points];
  if (curve.ci_low) layer.unshift(bandLayer(DEPTH_X, color, rows.length));
  if (curve.centroid_rel !== undefined) layer.push(verticalRule(DEPTH_X, curve.centroid_rel, color, [3, 3]));
  if (curve.peak_layer !== undefined) {
    const mark = {type: 'point', filled: true, shape: 'diamond', color, stroke: '#000', strokeWidth: 1, size: 130, opacity: 1, tooltip: TOOLTIP};
    layer.push({data: {values: [rows[curve.peak_layer]]}, mark, encoding: line.encoding});
  }
  return {data: {values: rows}, layer};
}

function overlayLegend(curves) {
  const legend = curves.map((curve, c) =>
    ({shape: c < COLORS.length ? 'line' : 'dashes', color: curveColor(c), text: curve.label}));
  if (curves.some(curve => curve.ci_low)) legend.push({shape: 'band', color: '#777777', text: 'pointwise 95 % bands'});
  if (curves.some(curve => curve.peak_layer !== undefined)) legend.push({shape: 'diamond', color: '#777777', text: 'peaks'});
  if (curves.some(curve => curve.centroid_rel !== undefined)) legend.push({shape: 'dashes', color: '#777777', text: 'centroids'});
  return legend;
}

function overlayChart(data, {width}) {
  const tip = ({c, layer, depth, value}) => [
    ['curve', data.curves[c].label],
    ['layer', `${layer} of ${data.curves[c].values.length}`],
    ['relative depth', numberText(depth)],
    ['score', numberText(value)],
    ...intervalLine('95 % interval', data.curves[c].ci_low, data.curves[c].ci_high, layer),
  ];
  return {
    legend: overlayLegend(data.curves),
    panels: [{yTitle: data.value_label ?? 'score', spec: {...plotSize(width), layer: data.curves.map(overlayLayers)}, tip}],
  };
}
