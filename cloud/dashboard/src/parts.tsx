// What several views are made of.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { type Attention, get, Refusal, type Role } from './api';
import { live } from './live';
import { t, type Word } from './words';

// From the most harmful to the least.
export const kByHarm: Attention[] = ['incident', 'silent', 'never seen', 'gap', 'quarantine', 'behind', 'revoked', 'ok'];
export const stateClass = (attention: Attention): string => 'state-' + attention.replace(' ', '-');
export const stateWord = (attention: Attention): string => t(`s_${attention}` as Word);

export function State({ of }: { of: Attention }) {
  return <span class={`state ${stateClass(of)}`}>{stateWord(of)}</span>;
}

// What people call it, where somebody has said; it is known by `name` alone.
export const calledOf = (name: string): string => live.state.sites.get(name)?.name || name;
export function SiteLink({ name }: { name: string }) {
  return (
    <a href={`#/site/${encodeURIComponent(name)}`} title={name}>
      {calledOf(name)}
    </a>
  );
}
// Does a person's text name this site: by what it is known, called, or where it is?
export function matches(name: string, text: string): boolean {
  const site = live.state.sites.get(name);
  const wanted = text.trim().toLowerCase();
  return [name, site?.name ?? '', site?.district ?? ''].some((of) => of.toLowerCase().includes(wanted));
}

export function Trouble({ error }: { error: Error }) {
  return (
    <p class="trouble" role="alert">
      {error instanceof Refusal && error.status === 401 ? t('needToken') : t('error', error.message)}
    </p>
  );
}

// Asks once, and again when the address changes or `again` does.
export function useAnswer<T>(path: string, again: unknown = 0): { value: T | null; error: Error | null } {
  const [state, set] = useState<{ path: string; value: T | null; error: Error | null }>({ path, value: null, error: null });
  useEffect(() => {
    const stop = new AbortController();
    get<T>(path, stop.signal)
      .then((value) => set({ path, value, error: null }))
      .catch((error: Error) => {
        if (!stop.signal.aborted) set({ path, value: null, error });
      });
    return () => stop.abort();
  }, [path, again]);
  return state.path === path ? state : { value: null, error: null };
}

export function Asked<T>({ answer, children }: { answer: { value: T | null; error: Error | null }; children: (value: T) => ComponentChildren }) {
  if (answer.error) return <Trouble error={answer.error} />;
  if (answer.value === null) return <p class="muted">{t('loading')}</p>;
  return <>{children(answer.value)}</>;
}

export interface Column<Row> {
  word: Word;
  text: (row: Row) => ComponentChildren;
  number?: boolean;
}
export function Table<Row>({ rows, columns, empty, id, label }: { rows: Row[]; columns: Column<Row>[]; empty: Word; id: (row: Row) => string; label: string }) {
  if (rows.length === 0) return <p class="muted">{t(empty)}</p>;
  return (
    <div class="wide" role="region" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {columns.map((c) => (
              <th key={c.word} scope="col" class={c.number ? 'number' : ''}>
                {t(c.word)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={id(row)}>
              {columns.map((c) => (
                <td key={c.word} class={c.number ? 'number' : ''} data-name={t(c.word)}>
                  {c.text(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Fact({ word, value, href }: { word: Word; value: ComponentChildren; href?: string }) {
  return (
    <div>
      <dt>{t(word)}</dt>
      <dd>{href === undefined ? value : <a href={href}>{value}</a>}</dd>
    </div>
  );
}

export const mayChange = (role: Role | undefined): boolean => role === 'operator';
export const mayLookInto = (role: Role | undefined): boolean => role === 'operator' || role === 'auditor';
export const maySeeBytes = (role: Role | undefined): boolean => role === 'auditor';
