// One site: how it stands, its day on one axis, what waits in each lane, its streams with gaps and reasons, its days, its incidents.
import { useEffect, useState } from 'preact/hooks';
import { type Completeness, download, type Incident, type Role, type Site, type Stream, type Timeline } from './api';
import { ago, moment, number, percent, span, until } from './format';
import { lanesOf } from './lanes';
import type { State as Told } from './live';
import { why } from './overview';
import { Asked, Fact, State, Table, useAnswer } from './parts';
import { TimelineView } from './timeline';
import { IncidentList, RefusedList } from './trouble';
import { t, type Word } from './words';

function stateOf(stream: Stream): string {
  const words: Word[] = [...(stream.finished ? (['finished'] as const) : []), ...(stream.moved ? (['moved'] as const) : []), ...(stream.final ? (['final'] as const) : [])];
  return words.length === 0 ? t('open') : words.map((w) => t(w)).join(', ');
}
const etaText = (missing: number, eta_s: number | null): string => (missing === 0 ? '–' : eta_s === null ? t('unknown') : span(eta_s));

function Facts({ site, told, path }: { site: Site; told: Told; path: string }) {
  const to = (part: string) => `#/site/${path}/${part}`;
  return (
    <dl class="facts">
      <Fact word="lastSeen" value={ago(site.last_seen, told.now)} href={to('timeline')} />
      <Fact word="missing" value={number(site.behind)} href={to('lanes')} />
      <Fact word="eta" value={etaText(site.behind, site.eta_s)} href={to('lanes')} />
      <Fact word="perSecond" value={site.records_per_s === null ? '–' : number(site.records_per_s)} href={to('timeline')} />
      <Fact word="waiting" value={number(site.waiting)} href={to('lanes')} />
      <Fact word="oldest" value={span(site.oldest_unsynced_s)} href={to('lanes')} />
      <Fact word="records" value={number(site.records)} href={to('streams')} />
      <Fact word="gaps" value={number(site.gap_records)} href={to('gaps')} />
      <Fact word="shed" value={number(site.shed)} href={to('gaps')} />
      <Fact word="parked" value={number(site.parked)} href={to('gaps')} />
      <Fact word="quarantined" value={number(site.quarantined)} href={to('refused')} />
      <Fact word="openIncidents" value={number(site.incidents)} href={to('incidents')} />
      <Fact word="doorRefused" value={number(site.refused)} />
      <Fact word="disk" value={percent(site.disk_used_permille)} />
      <Fact word="diskDays" value={site.disk_days_left === null || site.disk_days_left === undefined ? '–' : span(site.disk_days_left * 86400)} />
      <Fact word="certificate" value={until(site.certificate_ends ?? null, told.now)} />
      <Fact word="clock" value={`${number(site.clock_offset_ms)} ms`} />
      <Fact word="line" value={`${number(Math.round(site.link_bytes_per_s / 1024))} KiB/s`} />
      <Fact word="version" value={site.version || t('unknown')} href={`#/fleet/${encodeURIComponent(site.version)}`} />
      <Fact word="district" value={site.district || t('noDistrict')} href={`#/sites/district/${encodeURIComponent(site.district)}`} />
    </dl>
  );
}

function Lanes({ streams, site }: { streams: Stream[]; site: Site | undefined }) {
  return (
    <>
      <Table
        label={t('lanes')}
        rows={lanesOf(streams, site?.records_per_s ?? null)}
        id={(l) => l.lane}
        empty="none"
        columns={[
          { word: 'lane', text: (l) => l.lane },
          { word: 'missing', text: (l) => number(l.missing), number: true },
          { word: 'eta', text: (l) => etaText(l.missing, l.eta_s), number: true },
        ]}
      />
      <p class="muted">{t('lanesNote')}</p>
    </>
  );
}

function Streams({ streams }: { streams: Stream[] }) {
  return (
    <Table
      label={t('streams')}
      rows={streams}
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
  );
}

function Gaps({ streams }: { streams: Stream[] }) {
  const more = streams.reduce((all, s) => all + s.more_gaps, 0);
  return (
    <>
      <Table
        label={t('gaps')}
        rows={streams.flatMap((s) => s.gaps.map((g) => ({ s, g })))}
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
      {more > 0 && <p class="muted">{t('more')}</p>}
    </>
  );
}

function Days({ days }: { days: Completeness['days'] }) {
  return (
    <Table
      label={t('days')}
      rows={[...days].reverse()}
      id={(d) => d.day}
      empty="none"
      columns={[
        { word: 'day', text: (d) => d.day + (d.partial ? ' …' : '') },
        { word: 'received', text: (d) => number(d.received), number: true },
        { word: 'expected', text: (d) => number(d.expected), number: true },
      ]}
    />
  );
}

export function SitePage({ told, name, part, role }: { told: Told; name: string; part: string; role: Role | undefined }) {
  const [changed, change] = useState(0);
  const [error, setError] = useState('');
  const site = told.sites.get(name);
  const path = encodeURIComponent(name);
  const minute = told.now?.slice(0, 16);
  const whole = useAnswer<Completeness>(`api/completeness/${path}`, `${site?.records} ${site?.gap_records} ${site?.behind}`);
  const incidents = useAnswer<{ incidents: Incident[] }>(`api/incidents?facility=${path}`, `${site?.incidents} ${changed}`);
  const timeline = useAnswer<Timeline>(`api/timeline/${path}`, minute);
  // A part of the page has an address, too: once it is there it is shown.
  const there = whole.value !== null && timeline.value !== null;
  useEffect(() => {
    if (part && there) document.getElementById(`part-${part}`)?.scrollIntoView();
  }, [part, there]);
  return (
    <>
      <h1>
        {site?.name || name} {site && <State of={site.attention} />}
      </h1>
      {site?.name && <p class="muted">{name}</p>}
      {site && (
        <>
          <p>{why(site)}</p>
          <Facts site={site} told={told} path={path} />
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
      <h2 id="part-timeline">{t('timeline')}</h2>
      <Asked answer={timeline}>{(of) => <TimelineView of={of} site={site} whole={whole.value} incidents={incidents.value?.incidents ?? []} />}</Asked>
      <Asked answer={whole}>
        {(c) => (
          <>
            <h2 id="part-lanes">{t('lanes')}</h2>
            <Lanes streams={c.streams} site={site} />
            <h2 id="part-streams">{t('streams')}</h2>
            <Streams streams={c.streams} />
            <h2 id="part-gaps">{t('gaps')}</h2>
            <Gaps streams={c.streams} />
            <h2 id="part-days">{t('days')}</h2>
            <Days days={c.days} />
          </>
        )}
      </Asked>
      <h2 id="part-incidents">{t('incidents')}</h2>
      <Asked answer={incidents}>{(i) => <IncidentList incidents={i.incidents} role={role} closed={() => change(changed + 1)} />}</Asked>
      <h2 id="part-refused">{t('refused')}</h2>
      {site && site.quarantined > 0 ? <RefusedList facility={name} role={role} /> : <p class="muted">{t('none')}</p>}
    </>
  );
}
