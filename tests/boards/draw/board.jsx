// Draws one dashboard by the components that Grafana draws panels with. window.BOARD: {dashboard, instance, theme, note, prometheus, start, end}; when all
// panels are there, window.DRAWN is {empty, cut, errors}: titles of panels that show nothing, and of those whose legend has no room; and what went wrong.
import 'uplot/dist/uPlot.min.css';
import React from 'react';
import { createRoot } from 'react-dom/client';
import { applyFieldOverrides, createTheme, dateTime, EventBusSrv, FieldConfigOptionsRegistry, FieldType, getFieldDisplayValues, ThemeContext,
  toDataFrame } from '@grafana/data';
import { BarGauge, BigValue, GlobalStyles, PanelChrome, PanelContextProvider, TimeSeries, VizRepeater } from '@grafana/ui';

const { dashboard, instance, theme: mode, note, prometheus, start, end } = window.BOARD;
const WIDTH = 1600, ROW = 38, GAP = 8, CELL = (WIDTH - GAP) / 24, SCRAPE = 15;
const theme = createTheme({ colors: { mode } });
const range = { from: dateTime(start * 1000), to: dateTime(end * 1000), raw: { from: dateTime(start * 1000), to: dateTime(end * 1000) } };

// Where defaults and overrides of a field go: what dashboards set, applied by Grafana's own code.
const registry = new FieldConfigOptionsRegistry();
const option = (id, path, isCustom) => registry.register({ id, path, isCustom, name: id, override: () => null, editor: () => null, process: value => value,
  shouldApply: () => true, settings: {} });
for (const id of ['unit', 'min', 'max', 'decimals', 'noValue', 'thresholds', 'mappings', 'color']) option(id, id, false);
for (const id of ['drawStyle', 'lineWidth', 'fillOpacity', 'showPoints', 'stacking', 'lineInterpolation', 'lineStyle', 'axisPlacement', 'gradientMode', 'spanNulls',
  'pointSize', 'thresholdsStyle', 'axisSoftMax', 'barAlignment', 'barWidthFactor']) option('custom.' + id, id, true);

// Grafana's rule: not more points than the panel has pixels, not closer than its interval or the scrapes.
function stepOf(panel) {
  const least = panel.interval ? 60 : SCRAPE;
  return Math.max(least, Math.ceil((end - start) / (panel.gridPos.w * CELL) / SCRAPE) * SCRAPE);
}

async function ask(panel, target) {
  const step = stepOf(panel);
  const query = target.expr.replaceAll('$__rate_interval', `${Math.max(step + SCRAPE, 4 * SCRAPE)}s`).replaceAll('$instance', instance);
  const when = target.instant ? `query?time=${end}` : `query_range?start=${Math.ceil(start / step) * step}&end=${Math.floor(end / step) * step}&step=${step}`;
  const [path, rest] = when.split('?');
  const answer = await (await fetch(`${prometheus}/api/v1/${path}?${rest}&query=${encodeURIComponent(query)}`)).json();
  if (answer.status !== 'success') throw new Error(answer.error);
  return answer.data.result.map(({ metric, value, values = [value] }) => toDataFrame({ refId: target.refId, fields: [
    { name: 'Time', type: FieldType.time, values: values.map(([time]) => time * 1000) },
    { name: 'Value', type: FieldType.number, labels: metric, values: values.map(([, text]) => (text === 'NaN' ? null : Number(text))),
      config: { displayNameFromDS: target.legendFormat.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => metric[label] ?? '') } }] }));
}

// A range without a value stays a gap.
function withGaps(frame, step) {
  const [times, numbers] = frame.fields, at = new Map(times.values.map((time, i) => [time, numbers.values[i]])), every = [];
  for (let time = Math.ceil(start / step) * step; time <= end; time += step) every.push(time * 1000);
  times.values = every;
  numbers.values = every.map(time => at.get(time) ?? null);
  return Object.assign(frame, { length: every.length });
}

function Values({ panel, frames, width, height }) {
  const values = getFieldDisplayValues({ fieldConfig: panel.fieldConfig, reduceOptions: panel.options.reduceOptions, replaceVariables: text => text, theme,
    data: frames, sparkline: panel.options.graphMode === 'area', timeZone: 'utc' });
  const { orientation, colorMode, graphMode, textMode, displayMode, showUnfilled, minVizWidth, minVizHeight, maxVizHeight } = panel.options;
  const draw = ({ value, width, height }) => panel.type === 'stat'
    ? <BigValue width={width} height={height} value={value.display} sparkline={value.sparkline} colorMode={colorMode} graphMode={graphMode}
        textMode={textMode} theme={theme} />
    : <BarGauge width={width} height={height} value={value.display} field={value.field} display={value.view?.getFieldDisplayProcessor(value.colIndex)}
        orientation="horizontal" displayMode={displayMode} showUnfilled={showUnfilled} namePlacement="top" theme={theme} />;
  return <VizRepeater width={width} height={height} source={frames} renderCounter={0} getValues={() => values} renderValue={draw} itemSpacing={GAP}
    orientation={orientation} autoGrid={panel.type === 'stat'} minVizWidth={minVizWidth} minVizHeight={minVizHeight}
    maxVizHeight={maxVizHeight} />;
}

function Body({ panel, frames, width, height }) {
  if (!frames.length && panel.type !== 'stat')
    return <div style={{ height, display: 'flex', alignItems: 'center', justifyContent: 'center', color: theme.colors.text.secondary }}>
      {panel.fieldConfig.defaults.noValue ?? 'No data'}</div>;
  if (panel.type !== 'timeseries') return <Values panel={panel} frames={frames} width={width} height={height} />;
  return <TimeSeries frames={frames.map(frame => withGaps(frame, stepOf(panel)))} structureRev={1} timeRange={range} timeZone="utc" width={width} height={height}
    legend={panel.options.legend} options={panel.options} />;
}

const place = ({ x, y, w, h }) => ({ position: 'absolute', left: GAP + x * CELL, top: y * ROW, width: w * CELL - GAP, height: h * ROW - GAP });

function Board({ frames }) {
  const rows = Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  return <ThemeContext.Provider value={theme}><GlobalStyles /><PanelContextProvider value={{ eventBus: new EventBusSrv(), app: 'dashboard' }}>
    <div id="board" style={{ width: WIDTH, background: theme.colors.background.canvas, color: theme.colors.text.primary, paddingBottom: GAP }}>
      <div style={{ display: 'flex', gap: 24, alignItems: 'baseline', padding: '10px 12px' }}>
        <span style={{ fontSize: 20 }}>{dashboard.title}</span>
        <span style={{ color: theme.colors.text.secondary }}>Server: {instance === '.*' ? 'All' : instance}</span>
        <span style={{ color: theme.colors.text.secondary }}>{dashboard.description}</span>
        {note && <span style={{ color: theme.colors.error.text, fontSize: 20, fontWeight: 500 }}>{note}</span>}
      </div>
      <div style={{ position: 'relative', height: rows * ROW }}>
        {dashboard.panels.map((panel, i) => <div key={panel.id} data-title={panel.title} style={place(panel.gridPos)}>
          {panel.type === 'row' ? <div style={{ padding: '6px 4px', fontSize: 15, fontWeight: 500 }}>{panel.title}</div>
            : <PanelChrome title={panel.title} width={panel.gridPos.w * CELL - GAP} height={panel.gridPos.h * ROW - GAP}>
              {(width, height) => <Body panel={panel} frames={frames[i]} width={width} height={height} />}
            </PanelChrome>}
        </div>)}
      </div>
    </div></PanelContextProvider></ThemeContext.Provider>;
}

async function draw() {
  const empty = [], errors = [];
  const frames = await Promise.all(dashboard.panels.map(async panel => {
    if (panel.type === 'row') return [];
    try {
      const data = (await Promise.all(panel.targets.map(target => ask(panel, target)))).flat();
      if (!data.length) empty.push(panel.title);
      return applyFieldOverrides({ data, fieldConfig: panel.fieldConfig, replaceVariables: text => text, theme, timeZone: 'utc', fieldConfigRegistry: registry });
    } catch (error) {
      errors.push(`${panel.title}: ${error}`);
      return [];
    }
  }));
  document.body.style.margin = 0;
  createRoot(document.getElementById('root')).render(<Board frames={frames} />);
  setTimeout(() => {  // charts lay themselves out in several turns
    const cut = [...document.querySelectorAll('[data-title]')].filter(drawn => [...drawn.querySelectorAll('*')].some(part =>
      part.scrollHeight > part.clientHeight + 2 && /auto|scroll/.test(getComputedStyle(part).overflowY))).map(drawn => drawn.dataset.title);
    window.DRAWN = { empty, cut, errors };
  }, 1500);
}
draw();
