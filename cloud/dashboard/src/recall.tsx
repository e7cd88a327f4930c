// Recalls: what one would touch, before it is made; making it; and taking it back.
import { useState } from 'preact/hooks';
import { get, post, Refusal, type Role } from './api';
import { moment, number } from './format';
import type { Model } from './models';
import { Asked, mayChange, SiteLink, Table, useAnswer } from './parts';
import { t } from './words';

export interface Touches {
  results: number;
  digest: string;
  facilities: { facility: string; results: number; critical: number; retracted: number }[];
  views_behind: number | null;
}
interface Order {
  id: number;
  order: 'recall' | 'undo';
  at: string;
  by: string;
  reason: string;
  undone?: boolean;
  undoes?: number;
  model?: string;
  version?: string;
  from?: string | null;
  to?: string | null;
  facility?: string | null;
}

export function Touched({ touches }: { touches: Touches }) {
  return (
    <>
      <p>{t('touches', number(touches.results), number(touches.facilities.length))}</p>
      {touches.views_behind !== 0 && <p class="bad">{t('viewsBehind')}</p>}
      <Table
        label={t('preview')}
        rows={touches.facilities}
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
  );
}

// Asks for a reason, then takes a recall back.
function Undo({ id, undone }: { id: number; undone: () => void }) {
  const [asking, ask] = useState(false);
  const [reason, setReason] = useState('');
  const [error, setError] = useState('');
  const undo = () =>
    post(`api/recalls/${id}/undo`, { reason })
      .then(undone)
      .catch((e: Error) => setError(e.message));
  if (!asking) {
    return (
      <button type="button" onClick={() => ask(true)}>
        {t('undo')}
      </button>
    );
  }
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        void undo();
      }}
    >
      <label>
        {t('undoAsk')} <input value={reason} maxLength={300} required onInput={(e) => setReason(e.currentTarget.value)} />
      </label>
      <button type="submit">{t('undo')}</button>
      {error && (
        <p class="trouble" role="alert">
          {t('error', error)}
        </p>
      )}
    </form>
  );
}

export function Recalls({ role }: { role: Role | undefined }) {
  const [changed, change] = useState(0);
  const answer = useAnswer<Order[]>('api/recalls', changed);
  const action = (o: Order) => {
    if (o.order === 'undo') return t('undoes', o.undoes ?? 0);
    if (o.undone) return t('undone');
    return mayChange(role) ? <Undo id={o.id} undone={() => change(changed + 1)} /> : t('stands');
  };
  return (
    <>
      <h1>{t('recalls')}</h1>
      {mayChange(role) && (
        <p>
          <a href="#/recall">{t('recallNew')}</a>
        </p>
      )}
      <Asked answer={answer}>
        {(orders) => (
          <Table
            label={t('recalls')}
            rows={[...orders].reverse()}
            id={(o) => String(o.id)}
            empty="none"
            columns={[
              { word: 'number', text: (o) => number(o.id), number: true },
              { word: 'at', text: (o) => moment(o.at) },
              { word: 'by', text: (o) => o.by },
              { word: 'models', text: (o) => (o.order === 'recall' ? `${o.model ?? ''} ${o.version ?? ''}` : '–') },
              { word: 'reason', text: (o) => o.reason },
              { word: 'state', text: action },
            ]}
          />
        )}
      </Asked>
    </>
  );
}

interface Wish {
  model: string;
  version: string;
  from: string;
  to: string;
  facility: string;
}
const given = (wish: Wish): [string, string][] => Object.entries(wish).filter(([, v]) => v !== '');
const queryOf = (wish: Wish): string => given(wish).map(([k, v]) => `${k}=${encodeURIComponent(v)}`).join('&');

interface Questions {
  models: Model[];
  asked: Wish;
  open: boolean;
  change: (part: Partial<Wish>) => void;
  leaveOpen: (open: boolean) => void;
  look: () => void;
}
function Question({ models, asked, open, change, leaveOpen, look }: Questions) {
  const ids = [...new Set(models.map((m) => m.model_id))];
  const versions = [...new Set(models.filter((m) => m.model_id === asked.model).map((m) => m.version))];
  const date = (which: 'from' | 'to') => (
    <label>
      {t(which)} <input type="date" value={asked[which]} onInput={(e) => change({ [which]: e.currentTarget.value })} />
    </label>
  );
  return (
    <form
      class="wizard"
      onSubmit={(e) => {
        e.preventDefault();
        look();
      }}
    >
      <h2>{t('recallStep1')}</h2>
      <label>
        {t('model')}{' '}
        <select name="model" value={asked.model} required onInput={(e) => change({ model: e.currentTarget.value, version: '' })}>
          <option value="">–</option>
          {ids.map((id) => (
            <option key={id} value={id}>
              {models.find((m) => m.model_id === id)?.name || id}
            </option>
          ))}
        </select>
      </label>
      <label>
        {t('version')}{' '}
        <select name="version" value={asked.version} onInput={(e) => change({ version: e.currentTarget.value })}>
          <option value="">{t('everyVersion')}</option>
          {versions.map((v) => (
            <option key={v} value={v}>
              {v}
            </option>
          ))}
        </select>
      </label>
      {date('from')}
      {date('to')}
      <label>
        {t('site')} <input value={asked.facility} maxLength={32} placeholder={t('everySite')} onInput={(e) => change({ facility: e.currentTarget.value })} />
      </label>
      <label>
        <input type="checkbox" checked={open} onInput={(e) => leaveOpen(e.currentTarget.checked)} /> {t('openEnd')}
      </label>
      <p class="muted">{t('recallRange')}</p>
      <button type="submit">{t('preview')}</button>
    </form>
  );
}

function Confirm({ touches, reason, setReason, commit }: { touches: Touches; reason: string; setReason: (text: string) => void; commit: () => void }) {
  const [sure, setSure] = useState(false);
  return (
    <form
      class="wizard"
      onSubmit={(e) => {
        e.preventDefault();
        if (sure) commit();
      }}
    >
      <h2>{t('recallStep3')}</h2>
      <label>
        {t('recallReason')} <input value={reason} maxLength={300} required onInput={(e) => setReason(e.currentTarget.value)} />
      </label>
      <label>
        <input type="checkbox" checked={sure} required onInput={(e) => setSure(e.currentTarget.checked)} /> {t('recallSure', number(touches.results), number(touches.facilities.length))}
      </label>
      <button type="submit" disabled={!sure || reason.trim() === ''}>
        {t('recallCommit')}
      </button>
    </form>
  );
}

export function RecallPage({ model, now, role }: { model: string; now: string | null; role: Role | undefined }) {
  const models = useAnswer<{ models: Model[] }>('api/models');
  const named = models.value?.models.find((m) => m.ref === model);
  const [reason, setReason] = useState('');
  const [open, leaveOpen] = useState(false);
  const [said, say] = useState<Partial<Wish>>({});
  const [shown, show] = useState<{ asked: Wish; touches: Touches } | null>(null);
  const [made, make] = useState<{ order: Order; touches: Touches } | null>(null);
  const [undone, undo] = useState(false);
  const [error, setError] = useState('');
  const asked: Wish = { model: named?.model_id ?? '', version: named?.version ?? '', from: '', to: '', facility: '', ...said };
  // Without an end it ends now, so that what is shown and what is marked are the same while results go on coming.
  const look = async (wish: Wish) => {
    const of = { ...wish, to: open ? '' : wish.to || (now ?? '') };
    try {
      show({ asked: of, touches: await get<Touches>(`api/recalls/preview?${queryOf(of)}`) });
    } catch (e) {
      show(null);
      setError((e as Error).message);
    }
  };
  const commit = async () => {
    if (shown === null) return;
    setError('');
    try {
      make(await post<{ order: Order; touches: Touches }>('api/recalls', { ...Object.fromEntries(given(shown.asked)), digest: shown.touches.digest, reason }));
    } catch (e) {
      setError((e as Error).message);
      // Something has come since: what it would touch now is shown, and must be confirmed again.
      if (e instanceof Refusal && e.status === 409) void look(shown.asked);
    }
  };
  if (!mayChange(role)) return <p class="muted">{t('operatorsOnly')}</p>;
  return (
    <>
      <h1>{t('recall')}</h1>
      {made === null && (
        <Asked answer={models}>
          {(m) => (
            <Question
              models={m.models}
              asked={asked}
              open={open}
              leaveOpen={(is) => {
                leaveOpen(is);
                show(null);
              }}
              change={(part) => {
                say({ ...said, ...part });
                show(null);
              }}
              look={() => {
                setError('');
                void look(asked);
              }}
            />
          )}
        </Asked>
      )}
      {error && (
        <p class="trouble" role="alert">
          {t('error', error)}
        </p>
      )}
      {made === null && shown !== null && (
        <>
          <h2>{t('recallStep2')}</h2>
          <Touched touches={shown.touches} />
          <Confirm key={shown.touches.digest} touches={shown.touches} reason={reason} setReason={setReason} commit={() => void commit()} />
        </>
      )}
      {made !== null && (
        <>
          <p class="good" role="status">
            {t(undone ? 'recallUndone' : 'recallMade', made.order.id)}
          </p>
          <Touched touches={made.touches} />
          {!undone && <Undo id={made.order.id} undone={() => undo(true)} />}
          <p>
            <a href="#/recalls">{t('recalls')}</a>
          </p>
        </>
      )}
    </>
  );
}
