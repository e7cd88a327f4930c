// One site: how it stands, its streams with gaps and reasons, its days, its incidents.
import { useState } from 'preact/hooks';
import { type Completeness, download, type Incident, type Role, type Stream } from './api';
import { ago, moment, number, percent, span } from './format';
import type { State as Told } from './live';
import { why } from './overview';
import { Asked, State, Table, useAnswer } from './parts';
import { IncidentList, RefusedList } from './trouble';
import { t, type Word } from './words';

function stateOf(stream: Stream): string {
  const words: Word[] = [...(stream.finished ? (['finished'] as const) : []), ...(stream.moved ? (['moved'] as const) : []), ...(stream.final ? (['final'] as const) : [])];
  return words.length === 0 ? t('open') : words.map((w) => t(w)).join(', ');
}

export function SitePage({ told, name, role }: { told: Told; name: string; role: Role | undefined }) {
  const [changed, change] = useState(0);
  const site = told.sites.get(name);
  const path = encodeURIComponent(name);
  const whole = useAnswer<Completeness>(`api/completeness/${path}`, site?.records);
  const incidents = useAnswer<{ incidents: Incident[] }>(`api/incidents?facility=${path}`, `${site?.incidents} ${changed}`);
  const [error, setError] = useState('');
  return (
    <>
      <h1>
        {name} {site && <State of={site.attention} />}
      </h1>
      {site && (
        <>
          <p>{why(site)}</p>
          <dl class="facts">
            <Fact word="lastSeen" value={ago(site.last_seen, told.now)} />
            <Fact word="missing" value={number(site.behind)} />
            <Fact word="eta" value={site.behind === 0 ? '–' : site.eta_s === null ? t('unknown') : span(site.eta_s)} />
            <Fact word="perSecond" value={site.records_per_s === null ? '–' : number(site.records_per_s)} />
            <Fact word="waiting" value={number(site.waiting)} />
            <Fact word="oldest" value={span(site.oldest_unsynced_s)} />
            <Fact word="records" value={number(site.records)} />
            <Fact word="shed" value={number(site.shed)} />
            <Fact word="doorRefused" value={number(site.refused)} />
            <Fact word="parked" value={number(site.parked)} />
            <Fact word="quarantined" value={number(site.quarantined)} />
            <Fact word="disk" value={percent(site.disk_used_permille)} />
            <Fact word="clock" value={`${number(site.clock_offset_ms)} ms`} />
            <Fact word="line" value={`${number(Math.round(site.link_bytes_per_s / 1024))} KiB/s`} />
            <Fact word="version" value={site.version || t('unknown')} />
          </dl>
        </>
      )}
      <p>
        <button type="button" onClick={() => download(`api/completeness/${path}/statement`, `${name}.statement.ndjson`).catch((e: Error) => setError(e.message))}>
          {t('statement')}
        </button>
      </p>
      {error && (
        <p class="trouble" role="alert">
          {t('error', error)}
        </p>
      )}
      <Asked answer={whole}>
        {(c) => (
          <>
            <h2>{t('streams')}</h2>
            <Table
              label={t('streams')}
              rows={c.streams}
              id={(s) => s.epoch + s.stream}
              empty="none"
              columns={[
                { word: 'epoch', text: (s) => <code>{s.epoch}</code> },
                { word: 'stream', text: (s) => s.stream },
                { word: 'completeTo', text: (s) => number(s.complete_to), number: true },
                { word: 'claimedTo', text: (s) => number(s.claimed_to), number: true },
                { word: 'purgedTo', text: (s) => number(s.purged_to), number: true },
                { word: 'missing', text: (s) => number(s.missing), number: true },
                { word: 'state', text: stateOf },
              ]}
            />
            <h2>{t('gaps')}</h2>
            <Table
              label={t('gaps')}
              rows={c.streams.flatMap((s) => s.gaps.map((g) => ({ s, g })))}
              id={({ s, g }) => `${s.epoch}${s.stream}${g.first}`}
              empty="none"
              columns={[
                { word: 'stream', text: ({ s }) => s.stream },
                { word: 'from', text: ({ g }) => number(g.first), number: true },
                { word: 'to', text: ({ g }) => number(g.last), number: true },
                { word: 'gapKind', text: ({ g }) => g.kind },
                { word: 'gapReason', text: ({ g }) => g.reason },
                { word: 'at', text: ({ g }) => moment(g.at) },
              ]}
            />
            <h2>{t('days')}</h2>
            <Table
              label={t('days')}
              rows={[...c.days].reverse()}
              id={(d) => d.day}
              empty="none"
              columns={[
                { word: 'day', text: (d) => d.day + (d.partial ? ' …' : '') },
                { word: 'received', text: (d) => number(d.received), number: true },
                { word: 'expected', text: (d) => number(d.expected), number: true },
              ]}
            />
          </>
        )}
      </Asked>
      <h2>{t('incidents')}</h2>
      <Asked answer={incidents}>{(i) => <IncidentList incidents={i.incidents} role={role} closed={() => change(changed + 1)} />}</Asked>
      {site && site.quarantined > 0 && (
        <>
          <h2>{t('refused')}</h2>
          <RefusedList facility={name} role={role} />
        </>
      )}
    </>
  );
}

function Fact({ word, value }: { word: Word; value: string }) {
  return (
    <div>
      <dt>{t(word)}</dt>
      <dd>{value}</dd>
    </div>
  );
}
