// What somebody has to look at: incidents, and records that could not be taken.
import { useState } from 'preact/hooks';
import { type Incident, post, type Refused, type Role } from './api';
import { hash, moment, number } from './format';
import type { State as Told } from './live';
import { Asked, mayChange, SiteLink, Table, useAnswer } from './parts';
import { t } from './words';

export function IncidentList({ incidents, role, closed }: { incidents: Incident[]; role: Role | undefined; closed: () => void }) {
  const [asking, ask] = useState<Incident | null>(null);
  const [note, setNote] = useState('');
  const [error, setError] = useState('');
  const close = async (incident: Incident) => {
    try {
      await post(`api/incidents/${encodeURIComponent(incident.facility)}/${incident.id}/close`, { note });
      ask(null);
      setNote('');
      setError('');
      closed();
    } catch (e) {
      setError((e as Error).message);
    }
  };
  const action = (i: Incident) => {
    if (i.closed !== null) return moment(i.closed);
    if (!mayChange(role)) return t('open');
    if (asking?.id !== i.id) {
      return (
        <button type="button" onClick={() => ask(i)}>
          {t('close')}
        </button>
      );
    }
    return (
      <form
        onSubmit={(e) => {
          e.preventDefault();
          void close(i);
        }}
      >
        <label>
          {t('closeAsk')} <input value={note} maxLength={300} onInput={(e) => setNote(e.currentTarget.value)} required />
        </label>
        <button type="submit">{t('close')}</button>
      </form>
    );
  };
  return (
    <>
      {error && (
        <p class="trouble" role="alert">
          {t('error', error)}
        </p>
      )}
      <Table
        label={t('incidents')}
        rows={incidents}
        id={(i) => `${i.facility}/${i.id}`}
        empty="none"
        columns={[
          { word: 'site', text: (i) => <SiteLink name={i.facility} /> },
          { word: 'kind', text: (i) => i.kind },
          { word: 'stream', text: (i) => i.stream },
          { word: 'from', text: (i) => number(i.first), number: true },
          { word: 'to', text: (i) => number(i.last), number: true },
          { word: 'opened', text: (i) => moment(i.opened) },
          { word: 'note', text: (i) => i.note },
          { word: 'closed', text: action },
        ]}
      />
    </>
  );
}

export function Incidents({ told, role }: { told: Told; role: Role | undefined }) {
  const [changed, change] = useState(0);
  const answer = useAnswer<{ incidents: Incident[]; more: boolean }>('api/incidents', `${told.region?.incidents} ${changed}`);
  return (
    <Asked answer={answer}>
      {(a) => (
        <>
          <IncidentList incidents={a.incidents} role={role} closed={() => change(changed + 1)} />
          {a.more && <p class="muted">{t('more')}</p>}
        </>
      )}
    </Asked>
  );
}

export function RefusedList({ facility, role }: { facility: string; role: Role | undefined }) {
  const [said, say] = useState('');
  const [changed, change] = useState(0);
  const answer = useAnswer<{ records: Refused[]; more: boolean }>(`api/quarantine/${encodeURIComponent(facility)}`, changed);
  const retry = async (r: Refused) => {
    try {
      const done = await post<{ looked_at: number; applied: number; duplicates: number }>(`api/quarantine/${encodeURIComponent(facility)}/${r.id}/retry`, {});
      say(t('retried', done.applied + done.duplicates, done.looked_at));
      change(changed + 1);
    } catch (e) {
      say(t('error', (e as Error).message));
    }
  };
  return (
    <>
      <p aria-live="polite">{said}</p>
      <Asked answer={answer}>
        {(a) => (
          <>
            <Table
              label={t('refused')}
              rows={a.records}
              id={(r) => r.id}
              empty="none"
              columns={[
                { word: 'at', text: (r) => moment(r.at) },
                { word: 'reason', text: (r) => r.reason },
                { word: 'detail', text: (r) => r.detail },
                { word: 'nowReads', text: (r) => (r.becomes === 'refused' ? r.now : r.becomes) },
                { word: 'stream', text: (r) => `${r.stream} ${r.seq}` },
                { word: 'bytes', text: (r) => number(r.bytes), number: true },
                { word: 'name', text: (r) => <code title={r.id}>{hash(r.id)}</code> },
                {
                  word: 'retry',
                  text: (r) =>
                    mayChange(role) ? (
                      <button type="button" onClick={() => void retry(r)}>
                        {t('retry')}
                      </button>
                    ) : (
                      '–'
                    ),
                },
              ]}
            />
            {a.more && <p class="muted">{t('more')}</p>}
          </>
        )}
      </Asked>
    </>
  );
}

export function Quarantine({ told, role }: { told: Told; role: Role | undefined }) {
  const sites = [...told.sites.values()].filter((s) => s.quarantined > 0).sort((a, b) => b.quarantined - a.quarantined);
  if (sites.length === 0) return <p class="muted">{t('none')}</p>;
  return (
    <>
      {sites.map((s) => (
        <details key={s.facility} open={sites.length === 1}>
          <summary>
            {s.facility}: {number(s.quarantined)}
          </summary>
          <RefusedList facility={s.facility} role={role} />
        </details>
      ))}
    </>
  );
}
