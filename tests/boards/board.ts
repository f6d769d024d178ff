// What a dashboard of deploy/grafana may hold: Grafana's own types, and of each kind of panel its options.
import type { Dashboard, GraphFieldConfig, Panel, RowPanel } from '@grafana/schema';
import type { Options as BarGauge } from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type { Options as Stat } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type { Options as TimeSeries } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// As JSON writes it: an enum's values are its texts and numbers.
type Loose<T> = T extends string ? `${T}`
  : T extends number | boolean | null | undefined | bigint ? T
  : T extends (infer U)[] ? Loose<U>[]
  : T extends object ? { [K in keyof T]: Loose<T[K]> }
  : T;
type Query = { refId: string; datasource: { type: 'prometheus'; uid: string }; expr: string; legendFormat: string; instant?: boolean; range?: boolean };
type FieldConfig = NonNullable<Loose<Panel>['fieldConfig']>;
type PanelOf<Kind, Options, Custom> = Omit<Loose<Panel>, 'type' | 'options' | 'targets' | 'fieldConfig'> & {
  type: Kind; options: Loose<Options>; targets: Query[];
  fieldConfig: { defaults: Omit<FieldConfig['defaults'], 'custom'> & { custom?: Loose<Custom> }; overrides: FieldConfig['overrides'] };
};
export type Board = Omit<Loose<Dashboard>, 'panels'> & {
  panels: (Loose<RowPanel> | PanelOf<'stat', Stat, never> | PanelOf<'bargauge', BarGauge, never> | PanelOf<'timeseries', TimeSeries, GraphFieldConfig>)[];
};
