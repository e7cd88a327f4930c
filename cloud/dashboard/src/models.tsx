// Models, how each does by site, and what a recall of one would touch.
import { useState } from 'preact/hooks';
import { number } from './format';
import { Asked, SiteLink, Table, useAnswer } from './parts';
import { t } from './words';

interface Model {
  ref: string;
  model_id: string;
  vendor: string;
  name: string;
  version: string;
}
interface Touches {
  results: number;
  facilities: { facility: string; results: number; critical: number; retracted: number }[];
}
interface Quality {
  models: { sites: { facility: string; results: number; ungradable_rate: number | null; critical: number; retracted: number; agreement: number | null; drift: { psi: number; jensen_shannon: number } | null }[] }[];
}

const share = (x: number | null): string => (x === null ? '–' : `${(100 * x).toFixed(1)} %`);

export function Models() {
  const models = useAnswer<{ models: Model[] }>('api/models');
  return (
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
  );
}

export function ModelPage({ model }: { model: string }) {
  const [range, setRange] = useState({ from: '', to: '' });
  const query = `model=${model}` + (range.from ? `&from=${range.from}` : '') + (range.to ? `&to=${range.to}` : '');
  const touches = useAnswer<Touches>(`api/recalls/preview?${query}`);
  const quality = useAnswer<Quality>(`api/quality?${query}`);
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
      <h2>{t('preview')}</h2>
      <Asked answer={touches}>
        {(x) => (
          <>
            <p>{t('touches', number(x.results), number(x.facilities.length))}</p>
            <Table
              label={t('preview')}
              rows={x.facilities}
              id={(f) => f.facility}
              empty="none"
              columns={[
                { word: 'site', text: (f) => <SiteLink name={f.facility} /> },
                { word: 'results', text: (f) => number(f.results), number: true },
                { word: 'critical', text: (f) => number(f.critical), number: true },
                { word: 'retracted', text: (f) => number(f.retracted), number: true },
              ]}
            />
          </>
        )}
      </Asked>
      <h2>{t('models')}</h2>
      <Asked answer={quality}>
        {(x) => (
          <Table
            label={t('models')}
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
            ]}
          />
        )}
      </Asked>
    </>
  );
}
