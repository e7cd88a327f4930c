// Models, and how each does by site.
import { useState } from 'preact/hooks';
import type { Role } from './api';
import { number } from './format';
import { Asked, mayChange, SiteLink, Table, useAnswer } from './parts';
import { type Touches, Touched } from './recall';
import { t } from './words';

export interface Model {
  ref: string;
  model_id: string;
  vendor: string;
  name: string;
  version: string;
}
interface Quality {
  models: { sites: { facility: string; results: number; ungradable_rate: number | null; critical: number; retracted: number; agreement: number | null; drift: { psi: number; jensen_shannon: number } | null }[] }[];
}

const kDayMs = 86_400_000;
const share = (x: number | null): string => (x === null ? '–' : `${(100 * x).toFixed(1)} %`);

// The time before, as long: what scores are compared with.
function before(from: string, to: string): string {
  if (!from) return '';
  const begins = Date.parse(from);
  const ends = to ? Date.parse(to) + kDayMs : Date.now();
  const day = (ms: number) => new Date(ms).toISOString().slice(0, 10);
  return `&before_from=${day(begins - Math.max(kDayMs, ends - begins))}&before_to=${day(begins - kDayMs)}`;
}

export function Models({ role }: { role: Role | undefined }) {
  const models = useAnswer<{ models: Model[] }>('api/models');
  return (
    <>
    <h1>{t('models')}</h1>
    <p>
      <a href="#/recalls">{t('recalls')}</a> {mayChange(role) && <a href="#/recall">{t('recallNew')}</a>}
    </p>
    <Asked answer={models}>
      {(m) => (
        <Table
          label={t('models')}
          rows={m.models}
          id={(one) => one.ref}
          empty="noModels"
          columns={[
            { word: 'name', text: (one) => <a href={`#/model/${one.ref}`}>{one.name || one.model_id}</a> },
            { word: 'version', text: (one) => one.version },
            { word: 'vendor', text: (one) => one.vendor },
          ]}
        />
      )}
    </Asked>
    </>
  );
}

export function ModelPage({ model, role }: { model: string; role: Role | undefined }) {
  const [range, setRange] = useState({ from: '', to: '' });
  const query = `model=${model}` + (range.from ? `&from=${range.from}` : '') + (range.to ? `&to=${range.to}` : '');
  const touches = useAnswer<Touches>(`api/recalls/preview?${query}`);
  const quality = useAnswer<Quality>(`api/quality?${query}${before(range.from, range.to)}`);
  const models = useAnswer<{ models: Model[] }>('api/models');
  const known = models.value?.models.find((one) => one.ref === model);
  const date = (which: 'from' | 'to') => (
    <label>
      {t(which)} <input type="date" value={range[which]} onInput={(e) => setRange({ ...range, [which]: e.currentTarget.value })} />
    </label>
  );
  return (
    <>
      <h1>{known ? `${known.name || known.model_id} ${known.version}` : model.slice(0, 12)}</h1>
      <p>
        {date('from')} {date('to')}
      </p>
      <p class="muted">{t('driftAsk')}</p>
      {mayChange(role) && (
        <p>
          <a href={`#/recall/${model}`}>{t('recallNew')}</a>
        </p>
      )}
      <h2>{t('preview')}</h2>
      <Asked answer={touches}>{(x) => <Touched touches={x} />}</Asked>
      <h2>{t('bySite')}</h2>
      <Asked answer={quality}>
        {(x) => (
          <Table
            label={t('bySite')}
            rows={x.models.flatMap((one) => one.sites)}
            id={(s) => s.facility}
            empty="none"
            columns={[
              { word: 'site', text: (s) => <SiteLink name={s.facility} /> },
              { word: 'results', text: (s) => number(s.results), number: true },
              { word: 'ungradable', text: (s) => share(s.ungradable_rate), number: true },
              { word: 'critical', text: (s) => number(s.critical), number: true },
              { word: 'retracted', text: (s) => number(s.retracted), number: true },
              { word: 'agreement', text: (s) => share(s.agreement), number: true },
              { word: 'psi', text: (s) => (s.drift ? s.drift.psi.toFixed(3) : '–'), number: true },
            ]}
          />
        )}
      </Asked>
    </>
  );
}
