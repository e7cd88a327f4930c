// The last 24 hours of one site on one axis: what was committed, whether it was linked, gaps, incidents; and how it stood at any moment of it.
import { useRef, useState } from 'preact/hooks';
import type { Attention, Completeness, Incident, Site, Timeline } from './api';
import { moment, number, span } from './format';
import { Fact, State, Table } from './parts';
import { t } from './words';

const kMinutes = 24 * 60;
const kMinuteMs = 60_000;
const kHeight = 100; // of the picture, in its own units: a minute is one across
const kBarsEnd = 70; // bars above, then the line of the link, then gaps and incidents
const kLinkEnd = 82;

// What is known of one minute. null: nobody looked.
export interface Moment {
  state: Attention;
  linked: boolean;
  committed: number | null; // null: what was before is not known
  behind: number;
  gapRecords: number;
  lastSeen: string | null;
}
export interface Day {
  begins: number; // ms since 1970
  moments: (Moment | null)[];
}
export interface LinkChange {
  linked: boolean | null; // null: nobody looked
  from: number; // ms
  to: number | null; // null: it goes on
}

const minuteOf = (at: string): number => Math.floor(Date.parse(at) / kMinuteMs);

export function dayOf(of: Timeline): Day {
  const now = minuteOf(of.now);
  const watched = minuteOf(of.watched.at(-1)?.to ?? of.now);
  const last = watched === now - 1 ? watched : now; // of a minute that has just begun nobody knows anything yet
  const first = last - kMinutes + 1;
  const moments: (Moment | null)[] = new Array<Moment | null>(kMinutes).fill(null);
  const looked = new Set<number>();
  for (const run of of.watched) for (let m = Math.max(first, minuteOf(run.from)); m <= Math.min(last, minuteOf(run.to)); m++) looked.add(m);
  let next = 0;
  let known: Timeline['minutes'][number] | null = null;
  for (let m = first; m <= last; m++) {
    const before = known;
    while (next < of.minutes.length && minuteOf(of.minutes[next]!.at) <= m) known = of.minutes[next++]!;
    if (known === null || !looked.has(m)) continue;
    const sure = before !== null && looked.has(m - 1);
    moments[m - first] = { state: known.state, linked: known.linked, behind: known.behind, gapRecords: known.gap_records, lastSeen: known.last_seen, committed: sure ? Math.max(0, known.records - before.records) : null };
  }
  return { begins: first * kMinuteMs, moments };
}

// The newest first. One that was lost was lost when it was last heard.
export function linkChanges(day: Day): LinkChange[] {
  const out: LinkChange[] = [];
  day.moments.forEach((m, i) => {
    const linked = m === null ? null : m.linked;
    const last = out.at(-1);
    if (last?.linked === linked) return;
    const at = day.begins + i * kMinuteMs;
    const from = last?.linked === true && m?.linked === false && m.lastSeen !== null ? Math.max(last.from, Date.parse(m.lastSeen)) : at;
    if (last) last.to = from;
    out.push({ linked, from, to: null });
  });
  return (out[0]?.linked === null ? out.slice(1) : out).reverse();
}

// The path of a bar a minute that has something.
function bars(moments: (Moment | null)[]): string {
  const most = Math.max(1, ...moments.map((m) => m?.committed ?? 0));
  return moments.map((m, i) => (m?.committed ? `M${i} ${kBarsEnd}v${-Math.max(1, (m.committed / most) * (kBarsEnd - 4)).toFixed(1)}h1V${kBarsEnd}z` : '')).join('');
}
// Runs of minutes for which `is` holds, as one band.
function band(moments: (Moment | null)[], top: number, end: number, is: (m: Moment | null) => boolean): string {
  let out = '';
  for (let i = 0; i < moments.length; ) {
    let to = i;
    while (to < moments.length && is(moments[to] ?? null)) to++;
    if (to > i) out += `M${i} ${top}h${to - i}V${end}H${i}z`;
    i = Math.max(to, i + 1);
  }
  return out;
}

function marks(day: Day, gaps: Gap[], incidents: Incident[]): { gaps: string; incidents: string } {
  const x = (at: number) => Math.max(0, Math.min(kMinutes, (at - day.begins) / kMinuteMs));
  const inDay = (at: number) => at >= day.begins;
  return {
    gaps: gaps.map((g) => Date.parse(g.at ?? '')).filter(inDay).map((at) => `M${x(at).toFixed(1)} ${kLinkEnd + 2}h4v7h-4z`).join(''),
    incidents: incidents
      .filter((i) => i.opened !== null && (i.closed === null || inDay(Date.parse(i.closed))))
      .map((i) => `M${x(Date.parse(i.opened ?? '')).toFixed(1)} ${kLinkEnd + 10}H${(i.closed === null ? kMinutes : Math.max(x(Date.parse(i.closed)), x(Date.parse(i.opened ?? '')) + 2)).toFixed(1)}V${kHeight}H${x(Date.parse(i.opened ?? '')).toFixed(1)}z`)
      .join(''),
  };
}

interface Gap {
  first: number;
  last: number;
  reason: string;
  at: string | null;
}
const gapsOf = (whole: Completeness | null): Gap[] => (whole?.streams ?? []).flatMap((s) => s.gaps);

function Picture({ day, at, gaps, incidents, choose }: { day: Day; at: number; gaps: Gap[]; incidents: Incident[]; choose: (minute: number) => void }) {
  const place = useRef<SVGSVGElement>(null);
  const seek = (event: PointerEvent) => {
    const box = place.current?.getBoundingClientRect();
    if (box) choose(Math.max(0, Math.min(kMinutes - 1, Math.floor(((event.clientX - box.left) / box.width) * kMinutes))));
  };
  const drawn = marks(day, gaps, incidents);
  return (
    <svg
      ref={place}
      class="timeline"
      viewBox={`0 0 ${kMinutes} ${kHeight}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={t('timelineShows')}
      onPointerDown={(e) => {
        e.currentTarget.setPointerCapture(e.pointerId);
        seek(e);
      }}
      onPointerMove={(e) => e.buttons > 0 && seek(e)}
    >
      <path class="t-unknown" d={band(day.moments, 0, kLinkEnd, (m) => m === null)} />
      <path class="t-bars" d={bars(day.moments)} />
      <path class="t-linked" d={band(day.moments, kBarsEnd + 3, kLinkEnd, (m) => m?.linked === true)} />
      <path class="t-lost" d={band(day.moments, kBarsEnd + 3, kLinkEnd, (m) => m?.linked === false)} />
      <path class="t-gaps" d={drawn.gaps} />
      <path class="t-incidents" d={drawn.incidents} />
      <path class="t-now" d={`M${at + 0.5} 0V${kHeight}`} />
    </svg>
  );
}

// How it stood then.
function Then({ day, at, gaps, incidents }: { day: Day; at: number; gaps: Gap[]; incidents: Incident[] }) {
  const m = day.moments[at] ?? null;
  const from = day.begins + at * kMinuteMs;
  const to = from + kMinuteMs;
  const open = incidents.filter((i) => i.opened !== null && Date.parse(i.opened) < to && (i.closed === null || Date.parse(i.closed) >= from));
  const began = gaps.filter((g) => g.at !== null && Date.parse(g.at) >= from && Date.parse(g.at) < to);
  return (
    <dl class="facts then">
      <Fact word="at" value={moment(new Date(from).toISOString())} />
      {m === null ? (
        <Fact word="state" value={t('nobodyLooked')} />
      ) : (
        <>
          <Fact word="state" value={<State of={m.state} />} />
          <Fact word="link" value={t(m.linked ? 'linked' : 'notLinked')} />
          <Fact word="committedThen" value={number(m.committed)} />
          <Fact word="missing" value={number(m.behind)} />
          <Fact word="gaps" value={number(m.gapRecords)} />
        </>
      )}
      <Fact word="openIncidents" value={open.length === 0 ? '0' : open.map((i) => i.kind).join(', ')} />
      <Fact word="gapsBegan" value={began.length === 0 ? '0' : began.map((g) => `${number(g.first)}–${number(g.last)} ${g.reason}`).join(', ')} />
    </dl>
  );
}

export function TimelineView({ of, site, whole, incidents }: { of: Timeline; site: Site | undefined; whole: Completeness | null; incidents: Incident[] }) {
  const [chosen, choose] = useState<number | null>(null); // ms since 1970, so that it stays while time goes on; null: now
  const day = dayOf(of);
  const end = day.moments[kMinutes - 1];
  // What the stream says is newer.
  if (end && site) day.moments[kMinutes - 1] = { ...end, state: site.attention, behind: site.behind, gapRecords: site.gap_records };
  const at = chosen === null ? kMinutes - 1 : Math.max(0, Math.min(kMinutes - 1, Math.round((chosen - day.begins) / kMinuteMs)));
  const pick = (minute: number) => choose(minute >= kMinutes - 1 ? null : day.begins + minute * kMinuteMs);
  const gaps = gapsOf(whole);
  const when = moment(new Date(day.begins + at * kMinuteMs).toISOString());
  const links = linkChanges(day);
  const first = day.moments.findIndex((m) => m !== null);
  return (
    <>
      <p class="muted">{t('knownSince', first < 0 ? '–' : moment(new Date(day.begins + first * kMinuteMs).toISOString()))}</p>
      <Picture day={day} at={at} gaps={gaps} incidents={incidents} choose={pick} />
      <label class="scrub">
        {t('moment')} <input type="range" min={0} max={kMinutes - 1} step={1} value={at} aria-valuetext={when} onInput={(e) => pick(Number(e.currentTarget.value))} />
      </label>
      <p class="legend muted">
        <span class="key t-bars" /> {t('committedThen')} <span class="key t-linked" /> {t('linked')} <span class="key t-lost" /> {t('notLinked')} <span class="key t-gaps" /> {t('gaps')}{' '}
        <span class="key t-incidents" /> {t('incidents')} <span class="key t-unknown" /> {t('nobodyLooked')}
      </p>
      <Then day={day} at={at} gaps={gaps} incidents={incidents} />
      <h3>{t('linkHistory')}</h3>
      <Table
        label={t('linkHistory')}
        rows={links}
        id={(l) => `${l.from} ${l.linked}`}
        empty="none"
        columns={[
          { word: 'link', text: (l) => (l.linked === null ? t('nobodyLooked') : <span class={l.linked ? 'good' : 'bad'}>{t(l.linked ? 'linked' : 'notLinked')}</span>) },
          { word: 'from', text: (l) => moment(new Date(l.from).toISOString()) },
          { word: 'lasted', text: (l) => span(Math.max(0, ((l.to ?? Date.parse(of.now)) - l.from) / 1000)) },
        ]}
      />
    </>
  );
}
