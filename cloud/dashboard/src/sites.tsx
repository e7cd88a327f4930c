// Lists of sites: those behind a number, and the fleet: versions, disks, clocks, certificates, and what is otherwise than at the others.
import { useState } from 'preact/hooks';
import type { Site } from './api';
import { ago, number, percent, span, until } from './format';
import type { State as Told } from './live';
import { byHarm, why } from './overview';
import { matches, SiteLink, State, Table } from './parts';
import { t, type Word } from './words';

interface Chosen {
  word: Word;
  is: (site: Site) => boolean;
  order?: (a: Site, b: Site) => number;
}
// One list a number of the overview; a number is the sum or the count over exactly these.
const kChosen: Record<string, Chosen> = {
  all: { word: 'sites', is: () => true },
  complete: { word: 'complete', is: (s) => s.behind === 0 && s.gap_records === 0 && s.incidents === 0 },
  behind: { word: 'behind', is: (s) => s.behind > 0 },
  silent: { word: 'silent', is: (s) => s.attention === 'silent' || s.attention === 'never seen' },
  gap: { word: 'gaps', is: (s) => s.gap_records > 0 },
  shed: { word: 'shed', is: (s) => s.shed > 0 },
  quarantine: { word: 'quarantined', is: (s) => s.quarantined > 0 },
  oldest: { word: 'oldest', is: (s) => s.oldest_unsynced_s > 0, order: (a, b) => b.oldest_unsynced_s - a.oldest_unsynced_s },
  moving: { word: 'committed', is: (s) => (s.records_per_s ?? 0) > 0, order: (a, b) => (b.records_per_s ?? 0) - (a.records_per_s ?? 0) },
};

export function Sites({ told, which, district }: { told: Told; which: string; district: string }) {
  const chosen: Chosen = which === 'district' ? { word: 'district', is: (s) => s.district === district } : (kChosen[which] ?? kChosen['all']!);
  const rows = [...told.sites.values()].filter(chosen.is).sort(chosen.order ?? byHarm);
  return (
    <>
      <h1>
        {t('sites')}: {which === 'district' ? district || t('noDistrict') : t(chosen.word)}
      </h1>
      <p class="muted">{t('sitesCount', number(rows.length))}</p>
      <Table
        label={t('sites')}
        rows={rows}
        id={(s) => s.facility}
        empty="none"
        columns={[
          { word: 'site', text: (s) => <SiteLink name={s.facility} /> },
          { word: 'district', text: (s) => s.district || '–' },
          { word: 'state', text: (s) => <State of={s.attention} /> },
          { word: 'why', text: why },
          { word: 'lastSeen', text: (s) => ago(s.last_seen, told.now) },
          { word: 'missing', text: (s) => number(s.behind), number: true },
          { word: 'eta', text: (s) => (s.behind === 0 ? '–' : s.eta_s === null ? t('unknown') : span(s.eta_s)), number: true },
          { word: 'perSecond', text: (s) => number(s.records_per_s), number: true },
          { word: 'oldest', text: (s) => span(s.oldest_unsynced_s), number: true },
          { word: 'gaps', text: (s) => number(s.gap_records), number: true },
          { word: 'shed', text: (s) => number(s.shed), number: true },
          { word: 'quarantined', text: (s) => number(s.quarantined), number: true },
        ]}
      />
    </>
  );
}

const kClockOffMs = 60_000;
const kCertificateSoonS = 14 * 86_400;

// What most sites run; of two the later name.
function usual(sites: Site[]): string {
  const counts = new Map<string, number>();
  for (const s of sites) if (s.version) counts.set(s.version, (counts.get(s.version) ?? 0) + 1);
  return [...counts.entries()].sort(([a, n], [b, m]) => m - n || (a < b ? 1 : -1))[0]?.[0] ?? '';
}
// In what a site differs from what it should be, as far as its greetings and its registration say.
function drift(site: Site, version: string, now: string | null): Word[] {
  const left = site.certificate_ends ? (Date.parse(site.certificate_ends) - Date.parse(now ?? '')) / 1000 : Infinity;
  return [
    ...(site.version && site.version !== version ? (['driftVersion'] as const) : []),
    ...(Math.abs(site.clock_offset_ms) > kClockOffMs ? (['driftClock'] as const) : []),
    ...(left < kCertificateSoonS ? (['driftCertificate'] as const) : []),
    ...(site.keys > 1 ? (['driftKeys'] as const) : []),
    ...(site.blocked ? (['driftBlocked'] as const) : []),
  ];
}

export function Fleet({ told, version }: { told: Told; version: string }) {
  const [filter, setFilter] = useState('');
  const sites = [...told.sites.values()];
  const most = usual(sites);
  const versions = new Map<string, number>();
  for (const s of sites) versions.set(s.version, (versions.get(s.version) ?? 0) + 1);
  const rows = sites
    .filter((s) => (version === '' || s.version === version) && (matches(s.facility, filter) || s.version.includes(filter)))
    .sort((a, b) => drift(b, most, told.now).length - drift(a, most, told.now).length || b.disk_used_permille - a.disk_used_permille || byHarm(a, b));
  return (
    <>
      <h1>{t('fleet')}</h1>
      <h2>{t('agents')}</h2>
      <p>
        {[...versions.entries()]
          .sort(([, a], [, b]) => b - a)
          .map(([name, n]) => (
            <a class="chip" key={name} href={`#/fleet/${encodeURIComponent(name)}`} aria-current={version !== '' && name === version ? 'true' : undefined}>
              {name || t('unknown')}: {number(n)}
            </a>
          ))}
        {version !== '' && <a href="#/fleet">{t('showAll')}</a>}
      </p>
      <p class="muted">{t('driftNote')}</p>
      <label>
        {t('filter')} <input type="search" value={filter} onInput={(e) => setFilter(e.currentTarget.value)} />
      </label>
      <Table
        label={t('fleet')}
        rows={rows}
        id={(s) => s.facility}
        empty="none"
        columns={[
          { word: 'site', text: (s) => <SiteLink name={s.facility} /> },
          { word: 'district', text: (s) => s.district || '–' },
          { word: 'version', text: (s) => s.version || t('unknown') },
          { word: 'drift', text: (s) => drift(s, most, told.now).map((w) => t(w)).join(', ') || '–' },
          { word: 'state', text: (s) => <State of={s.attention} /> },
          { word: 'lastSeen', text: (s) => ago(s.last_seen, told.now) },
          { word: 'certificate', text: (s) => until(s.certificate_ends ?? null, told.now), number: true },
          { word: 'disk', text: (s) => percent(s.disk_used_permille), number: true },
          { word: 'diskDays', text: (s) => (s.disk_days_left === null || s.disk_days_left === undefined ? '–' : span(s.disk_days_left * 86_400)), number: true },
          { word: 'clock', text: (s) => `${number(s.clock_offset_ms)} ms`, number: true },
          { word: 'line', text: (s) => `${number(Math.round(s.link_bytes_per_s / 1024))} KiB/s`, number: true },
          { word: 'keys', text: (s) => number(s.keys), number: true },
          { word: 'doorRefused', text: (s) => number(s.refused), number: true },
          { word: 'parked', text: (s) => number(s.parked), number: true },
        ]}
      />
    </>
  );
}
