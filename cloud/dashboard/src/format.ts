// Numbers and times, as a person reads them in the language of the page.
import { language, t } from './words';

const locale = () => (language() === 'zh' ? 'zh-CN' : 'en');

// Made once each: making one takes longer than using it a hundred times.
const made = new Map<string, Intl.NumberFormat>();
function formatOf(unit: string): Intl.NumberFormat {
  const key = locale() + unit;
  const known = made.get(key) ?? new Intl.NumberFormat(locale(), unit === '' ? {} : { style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits: 0 });
  made.set(key, known);
  return known;
}

export const number = (n: number | null | undefined): string => (n === null || n === undefined ? '–' : formatOf('').format(n));

export function span(seconds: number): string {
  const of = (n: number, unit: string) => formatOf(unit).format(n);
  if (seconds < 90) return of(Math.round(seconds), 'second');
  if (seconds < 5400) return of(Math.round(seconds / 60), 'minute');
  if (seconds < 172800) return of(Math.round(seconds / 3600), 'hour');
  return of(Math.round(seconds / 86400), 'day');
}

// By the region's clock, for the browser's may be off.
export function ago(then: string | null, now: string | null): string {
  if (then === null) return t('never');
  return t('ago', span(Math.max(0, (Date.parse(now ?? '') - Date.parse(then)) / 1000) || 0));
}

// How long it still is until then.
export function until(then: string | null, now: string | null): string {
  if (then === null) return '–';
  const s = (Date.parse(then) - Date.parse(now ?? '')) / 1000;
  return s < 0 ? t('ended') : span(s || 0);
}

export const percent = (permille: number): string => `${(permille / 10).toFixed(0)} %`;
export const moment = (at: string | null): string => (at === null ? '–' : new Date(at).toLocaleString(locale(), { dateStyle: 'short', timeStyle: 'medium' }));
export const hash = (text: string): string => text.slice(0, 12);
