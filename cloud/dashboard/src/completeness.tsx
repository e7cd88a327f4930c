// Site by day: what came, and what usually does.
import { useState } from 'preact/hooks';
import { save } from './api';
import { number } from './format';
import type { State as Told } from './live';
import { Asked, matches, SiteLink, useAnswer } from './parts';
import { t } from './words';

interface Volumes {
  days: string[];
  sites: { facility: string; missing: number; gap_records: number; received: number[]; expected: (number | null)[] }[];
}

const kHalf = 0.5;

// Less than half of what is expected is low; the last day goes on.
function judge(received: number, expected: number | null, last: boolean): string {
  if (expected === null || last) return received > 0 ? 'came' : 'nothing';
  if (received >= expected) return 'full';
  return received < expected * kHalf ? 'low' : 'came';
}

function csvOf(v: Volumes): string {
  const head = ['facility', 'missing', 'gap_records', ...v.days.flatMap((d) => [`${d} received`, `${d} expected`])];
  const rows = v.sites.map((s) => [s.facility, s.missing, s.gap_records, ...s.received.flatMap((r, i) => [r, s.expected[i] ?? ''])]);
  return [head, ...rows].map((row) => row.join(',')).join('\r\n') + '\r\n';
}

export function CompletenessPage({ told }: { told: Told }) {
  const [filter, setFilter] = useState('');
  const answer = useAnswer<Volumes>('api/volumes?days=14', told.now?.slice(0, 15)); // every ten minutes
  return (
    <Asked answer={answer}>
      {(v) => (
        <>
          <p>
            <label>
              {t('filter')} <input type="search" value={filter} onInput={(e) => setFilter(e.currentTarget.value)} />
            </label>{' '}
            <button type="button" onClick={() => save(new Blob([csvOf(v)], { type: 'text/csv' }), `completeness-${v.days.at(-1) ?? ''}.csv`)}>
              {t('exportCsv')}
            </button>
          </p>
          <div class="wide" role="region" aria-label={t('completeness')} tabIndex={0}>
            <table class="matrix">
              <thead>
                <tr>
                  <th scope="col">{t('site')}</th>
                  <th scope="col" class="number">
                    {t('missing')}
                  </th>
                  <th scope="col" class="number">
                    {t('gaps')}
                  </th>
                  {v.days.map((d) => (
                    <th key={d} scope="col" class="number">
                      {d.slice(5)}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {v.sites
                  .filter((s) => matches(s.facility, filter))
                  .map((s) => (
                    <tr key={s.facility}>
                      <th scope="row">
                        <SiteLink name={s.facility} />
                      </th>
                      <td class="number">
                        <a href={`#/site/${s.facility}/streams`}>{number(s.missing)}</a>
                      </td>
                      <td class="number">
                        <a href={`#/site/${s.facility}/gaps`}>{number(s.gap_records)}</a>
                      </td>
                      {s.received.map((r, i) => (
                        <td key={v.days[i]} class={`number day-${judge(r, s.expected[i] ?? null, i === v.days.length - 1)}`} title={`${v.days[i]}: ${t('received')} ${number(r)}, ${t('expected')} ${number(s.expected[i])}`}>
                          {number(r)}
                        </td>
                      ))}
                    </tr>
                  ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </Asked>
  );
}
