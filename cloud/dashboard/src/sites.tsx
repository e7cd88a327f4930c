// Lists of sites: those of one state, and the fleet: versions, disks, clocks.
import { useState } from 'preact/hooks';
import type { Site } from './api';
import { ago, number, percent, span } from './format';
import type { State as Told } from './live';
import { byHarm, why } from './overview';
import { SiteLink, State, Table } from './parts';
import { t } from './words';

const kChosen: Record<string, (site: Site) => boolean> = {
  behind: (s) => s.behind > 0,
  silent: (s) => s.attention === 'silent' || s.attention === 'never seen',
  gap: (s) => s.gap_records > 0,
  shed: (s) => s.shed > 0,
  quarantine: (s) => s.quarantined > 0,
};

export function Sites({ told, which }: { told: Told; which: string }) {
  const rows = [...told.sites.values()].filter(kChosen[which] ?? (() => true)).sort(byHarm);
  return (
    <Table
      label={t('sites')}
      rows={rows}
      id={(s) => s.facility}
      empty="none"
      columns={[
        { word: 'site', text: (s) => <SiteLink name={s.facility} /> },
        { word: 'state', text: (s) => <State of={s.attention} /> },
        { word: 'why', text: why },
        { word: 'lastSeen', text: (s) => ago(s.last_seen, told.now) },
        { word: 'missing', text: (s) => number(s.behind), number: true },
        { word: 'eta', text: (s) => (s.behind === 0 ? '–' : s.eta_s === null ? t('unknown') : span(s.eta_s)), number: true },
        { word: 'oldest', text: (s) => span(s.oldest_unsynced_s), number: true },
        { word: 'gaps', text: (s) => number(s.gap_records), number: true },
        { word: 'shed', text: (s) => number(s.shed), number: true },
        { word: 'quarantined', text: (s) => number(s.quarantined), number: true },
      ]}
    />
  );
}

export function Fleet({ told }: { told: Told }) {
  const [filter, setFilter] = useState('');
  const sites = [...told.sites.values()];
  const versions = new Map<string, number>();
  for (const s of sites) versions.set(s.version || t('unknown'), (versions.get(s.version || t('unknown')) ?? 0) + 1);
  const rows = sites.filter((s) => s.facility.includes(filter) || s.version.includes(filter)).sort((a, b) => b.disk_used_permille - a.disk_used_permille || byHarm(a, b));
  return (
    <>
      <h2>{t('agents')}</h2>
      <p>
        {[...versions.entries()]
          .sort(([, a], [, b]) => b - a)
          .map(([version, n]) => (
            <span class="chip" key={version}>
              {version}: {number(n)}
            </span>
          ))}
      </p>
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
          { word: 'version', text: (s) => s.version || t('unknown') },
          { word: 'state', text: (s) => <State of={s.attention} /> },
          { word: 'lastSeen', text: (s) => ago(s.last_seen, told.now) },
          { word: 'disk', text: (s) => percent(s.disk_used_permille), number: true },
          { word: 'clock', text: (s) => `${number(s.clock_offset_ms)} ms`, number: true },
          { word: 'line', text: (s) => `${number(Math.round(s.link_bytes_per_s / 1024))} KiB/s`, number: true },
          { word: 'doorRefused', text: (s) => number(s.refused), number: true },
          { word: 'parked', text: (s) => number(s.parked), number: true },
        ]}
      />
    </>
  );
}
