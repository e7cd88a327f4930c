// Which of the sites needs somebody, why, since when, and what happens if it waits; and all of them as one picture.
import { Component } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import type { Minute, RegionSums, Site } from './api';
import { ago, moment, number, percent, span } from './format';
import type { State as Told } from './live';
import { kByHarm, SiteLink, State, stateClass, stateWord } from './parts';
import { language, t, type Word } from './words';

const kNeedyShown = 12;
const kStripS = 24 * 3600;
const kMinuteMs = 60_000;
const kLookedMinutes = 3; // between two looks
const kByName = new Intl.Collator('en', { numeric: true });

export function why(site: Site): string {
  const n: Record<string, number> = { behind: site.behind, quarantine: site.quarantined, gap: site.gap_records, incident: site.incidents };
  return t(`w_${site.attention}` as Word, number(n[site.attention] ?? 0));
}
const ifItWaits = (site: Site): string => t(`h_${site.attention}` as Word, percent(site.disk_used_permille));

// The most harmful state first; of one state who has most that waits.
export function byHarm(a: Site, b: Site): number {
  return kByHarm.indexOf(a.attention) - kByHarm.indexOf(b.attention) || b.behind + b.waiting - a.behind - a.waiting || (a.facility < b.facility ? -1 : 1);
}

function Counters({ region, now }: { region: RegionSums; now: string | null }) {
  const one = (word: Word, value: string, href: string, bad = false) => (
    <a class={bad ? 'counter bad' : 'counter'} href={href} key={word}>
      <b>{value}</b>
      <span>{t(word)}</span>
    </a>
  );
  return (
    <nav class="counters" aria-label={t('state')} data-now={now ?? ''}>
      {one('sites', number(region.sites), '#/sites/all')}
      {one('complete', number(region.complete), '#/sites/complete')}
      {one('behind', number(region.behind), '#/sites/behind')}
      {one('silent', number(region.silent), '#/sites/silent', region.silent > 0)}
      {one('gaps', number(region.gap_records), '#/sites/gap', region.gap_records > 0)}
      {one('shed', number(region.shed), '#/sites/shed', region.shed > 0)}
      {one('quarantined', number(region.quarantined), '#/quarantine', region.quarantined > 0)}
      {one('openIncidents', number(region.incidents), '#/incidents', region.incidents > 0)}
      {one('oldest', span(region.oldest_unsynced_s), '#/sites/oldest')}
      {one('committed', number(Math.round(region.records_per_s)), '#/sites/moving')}
    </nav>
  );
}

function Needy({ sites, now }: { sites: Site[]; now: string | null }) {
  const [all, showAll] = useState(false);
  const needy = sites.filter((s) => s.attention !== 'ok' && s.attention !== 'revoked').sort(byHarm);
  const shown = all ? needy : needy.slice(0, kNeedyShown);
  return (
    <section aria-labelledby="needs">
      <h2 id="needs">{t('needsYou')}</h2>
      {needy.length === 0 && <p class="good">{t('allWell')}</p>}
      <ol class="needy">
        {shown.map((site) => (
          <li key={site.facility}>
            <State of={site.attention} /> <SiteLink name={site.facility} /> <span>{why(site)}</span>
            {site.since !== null && (
              <span class="muted">
                {' '}
                {t('since')} {ago(site.since, now)}
              </span>
            )}
            {ifItWaits(site) && (
              <div class="muted">
                {t('ifWait')}: {ifItWaits(site)}
              </div>
            )}
          </li>
        ))}
      </ol>
      {shown.length < needy.length && (
        <button type="button" onClick={() => showAll(true)}>
          {t('others', number(needy.length - shown.length))}
        </button>
      )}
    </section>
  );
}

function Tiles({ sites }: { sites: Site[] }) {
  const districts = new Map<string, Site[]>();
  for (const site of sites) {
    const own = districts.get(site.district);
    if (own) own.push(site);
    else districts.set(site.district, [site]);
  }
  const largest = Math.max(1, ...sites.map((s) => s.behind));
  const present = kByHarm.filter((a) => sites.some((s) => s.attention === a));
  return (
    <section aria-labelledby="all">
      <h2 id="all">{t('sites')}</h2>
      <p class="legend muted">
        {t('legend')}{' '}
        {present.map((a) => (
          <State key={a} of={a} />
        ))}
      </p>
      {[...districts.entries()]
        .sort(([a], [b]) => Number(a === '') - Number(b === '') || a.localeCompare(b))
        .map(([district, own]) => (
          <div class="district" key={district}>
            <h3>
              <a href={`#/sites/district/${encodeURIComponent(district)}`}>{district || t('noDistrict')}</a> ({number(own.length)})
            </h3>
            <div class="tiles">
              {own
                .sort((a, b) => kByName.compare(a.facility, b.facility))
                .map((site) => (
                  <Tile key={site.facility} language={language()} name={site.facility} called={site.name} state={site.attention} size={site.behind === 0 ? 0 : 1 + Math.round((4 * Math.log1p(site.behind)) / Math.log1p(largest))} behind={site.behind} />
                ))}
            </div>
          </div>
        ))}
    </section>
  );
}

interface TileProps {
  language: string;
  name: string;
  called: string;
  state: Site['attention'];
  size: number;
  behind: number;
}
// Drawn anew only when what it shows has changed: hundreds of them are told of each second.
class Tile extends Component<TileProps> {
  override shouldComponentUpdate(next: TileProps): boolean {
    return (Object.keys(next) as (keyof TileProps)[]).some((key) => next[key] !== this.props[key]);
  }
  override render({ name, called, state, size, behind }: TileProps) {
    const label = `${called ? `${called} (${name})` : name}: ${stateWord(state)}${behind > 0 ? `, ${number(behind)}` : ''}`;
    return <a class={`tile ${stateClass(state)} size-${size}`} href={`#/site/${encodeURIComponent(name)}`} title={label} aria-label={label} />;
  }
}

// Where nobody looked for a while nothing is drawn: what came then came in no minute that is known.
function rateOf(before: Minute | undefined, m: Minute): number | null {
  const passed = before === undefined ? 0 : (Date.parse(m.at) - Date.parse(before.at)) / kMinuteMs;
  return before === undefined || passed <= 0 || passed > kLookedMinutes ? null : Math.max(0, m.records - before.records) / passed;
}

function Strip({ told }: { told: Told }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const minutes = told.history;
  const at = minutes.slice(1).map((m) => Date.parse(m.at) / 1000);
  const rates = minutes.slice(1).map((m, i) => rateOf(minutes[i], m));
  useEffect(() => {
    if (place.current === null) return;
    const ink = getComputedStyle(document.documentElement).getPropertyValue('--ink');
    const axis = { stroke: ink, grid: { stroke: 'rgba(128,128,128,.2)' } };
    plot.current = new uPlot(
      { width: place.current.clientWidth, height: 120, legend: { show: false }, cursor: { show: false }, scales: { x: { range: (_, __, end) => [end - kStripS, end] }, y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] } }, axes: [axis, axis], series: [{}, { stroke: '#2a7', fill: 'rgba(40,170,110,.15)', width: 1.5 }] },
      [at, rates],
      place.current,
    );
    const fit = () => plot.current?.setSize({ width: place.current?.clientWidth ?? 300, height: 120 });
    addEventListener('resize', fit);
    return () => {
      removeEventListener('resize', fit);
      plot.current?.destroy();
    };
  }, []);
  useEffect(() => plot.current?.setData([at, rates]), [minutes.length, minutes.at(-1)?.records]);
  return (
    <section aria-labelledby="strip">
      <h2 id="strip">{t('last24')}</h2>
      {minutes[0] && <p class="muted">{t('knownSince', moment(minutes[0].at))}</p>}
      <div ref={place} class="plot" role="img" aria-label={t('last24')} />
    </section>
  );
}

export function Overview({ told }: { told: Told }) {
  if (told.region === null) return <p class="muted">{t('loading')}</p>;
  const sites = [...told.sites.values()];
  return (
    <>
      <Counters region={told.region} now={told.now} />
      {sites.length === 0 && <p>{t('noSites')}</p>}
      <div class="columns">
        <Needy sites={sites} now={told.now} />
        <Tiles sites={sites} />
      </div>
      <Strip told={told} />
    </>
  );
}
