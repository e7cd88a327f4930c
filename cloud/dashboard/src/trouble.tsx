// What somebody has to look at: incidents, and records that could not be taken.
import { useState } from 'preact/hooks';
import { blob, type Incident, type Outline, post, type Refused, type Role, save } from './api';
import { hash, moment, number } from './format';
import type { State as Told } from './live';
import { Asked, calledOf, mayChange, mayLookInto, maySeeBytes, SiteLink, Table, Trouble, useAnswer } from './parts';
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
          <h1>{t('incidents')}</h1>
          <IncidentList incidents={a.incidents} role={role} closed={() => change(changed + 1)} />
          {a.more && <p class="muted">{t('more')}</p>}
        </>
      )}
    </Asked>
  );
}

const kDumpBytes = 4096; // shown of a record; all of it can be saved
const kDumpLine = 16;

// As people read bytes: where, in hex, and what is text of it.
function dump(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += kDumpLine) {
    const line = [...bytes.subarray(at, at + kDumpLine)];
    const hexed = line.map((b) => b.toString(16).padStart(2, '0')).join(' ');
    lines.push(`${at.toString(16).padStart(6, '0')}  ${hexed.padEnd(3 * kDumpLine)} ${line.map((b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : '.')).join('')}`);
  }
  return lines.join('\n');
}

// For the auditor, and each look is written down.
function RecordBytes({ path, id }: { path: string; id: string }) {
  const [bytes, setBytes] = useState<Uint8Array<ArrayBuffer> | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const look = () =>
    blob(`${path}/bytes`)
      .then(async (b) => setBytes(new Uint8Array(await b.arrayBuffer())))
      .catch(setError);
  if (error) return <Trouble error={error} />;
  if (bytes === null) {
    return (
      <p>
        <button type="button" onClick={() => void look()}>
          {t('showBytes')}
        </button>{' '}
        <span class="muted">{t('bytesLogged')}</span>
      </p>
    );
  }
  return (
    <>
      <pre class="dump" role="region" tabIndex={0} aria-label={t('bytes')}>
        {dump(bytes.subarray(0, kDumpBytes))}
      </pre>
      {bytes.length > kDumpBytes && <p class="muted">{t('more')}</p>}
      <button type="button" onClick={() => save(new Blob([bytes]), `${hash(id)}.record`)}>
        {t('saveBytes')}
      </button>
    </>
  );
}

function OutlineTable({ of, label }: { of: Outline; label: string }) {
  return (
    <>
      <Table
        label={label}
        rows={of.fields.map((f, at) => ({ ...f, at }))}
        id={(f) => String(f.at)}
        empty="none"
        columns={[
          { word: 'field', text: (f) => <code class={`depth-${Math.min(f.depth, 6)}`}>{f.name ?? `#${f.number}`}</code> },
          { word: 'kind', text: (f) => f.type },
          { word: 'bytes', text: (f) => number(f.bytes), number: true },
        ]}
      />
      {of.broken_at !== null && <p class="bad">{t('brokenAt', number(of.broken_at))}</p>}
      {of.more && <p class="muted">{t('more')}</p>}
    </>
  );
}

// What a record is made of, without what it says; its bytes for who may.
function LookInto({ facility, id, role }: { facility: string; id: string; role: Role | undefined }) {
  const path = `api/quarantine/${encodeURIComponent(facility)}/${id}`;
  const answer = useAnswer<{ outline: { split: boolean; body: Outline; arrival: Outline | null } }>(path);
  return (
    <section class="look" aria-label={t('madeOf')}>
      <h3>
        {t('madeOf')} <code>{hash(id)}</code>
      </h3>
      <p class="muted">{t('noValues')}</p>
      <Asked answer={answer}>
        {({ outline }) => (
          <>
            {!outline.split && <p class="bad">{t('notSplit')}</p>}
            <OutlineTable of={outline.body} label={t('madeOf')} />
            {outline.arrival && <OutlineTable of={outline.arrival} label={t('arrival')} />}
          </>
        )}
      </Asked>
      {maySeeBytes(role) && <RecordBytes path={path} id={id} />}
    </section>
  );
}

export function RefusedList({ facility, role }: { facility: string; role: Role | undefined }) {
  const [said, say] = useState('');
  const [changed, change] = useState(0);
  const [looking, look] = useState('');
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
                  word: 'madeOf',
                  text: (r) =>
                    mayLookInto(role) ? (
                      <button type="button" aria-expanded={looking === r.id} onClick={() => look(looking === r.id ? '' : r.id)}>
                        {t('show')}
                      </button>
                    ) : (
                      '–'
                    ),
                },
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
            {a.records.some((r) => r.id === looking) && <LookInto key={looking} facility={facility} id={looking} role={role} />}
          </>
        )}
      </Asked>
    </>
  );
}

export function Quarantine({ told, role }: { told: Told; role: Role | undefined }) {
  const sites = [...told.sites.values()].filter((s) => s.quarantined > 0).sort((a, b) => b.quarantined - a.quarantined);
  return (
    <>
      <h1>{t('refused')}</h1>
      {sites.length === 0 && <p class="muted">{t('none')}</p>}
      {sites.map((s) => (
        <details key={s.facility} open={sites.length === 1}>
          <summary>
            {calledOf(s.facility)}: {number(s.quarantined)}
          </summary>
          <RefusedList facility={s.facility} role={role} />
        </details>
      ))}
    </>
  );
}
