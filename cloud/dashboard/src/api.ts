// What the region's API says (cloud/api/README.md), and asking for it.

export type Attention = 'ok' | 'revoked' | 'behind' | 'quarantine' | 'gap' | 'never seen' | 'silent' | 'incident';
export type Role = 'viewer' | 'operator' | 'auditor' | 'admin' | 'fhir';

export interface Site {
  facility: string;
  name: string; // as an operator has said, or empty
  district: string;
  keys: number;
  blocked: boolean;
  attention: Attention;
  since: string | null;
  last_seen: string | null;
  last_progress: string | null;
  behind: number;
  eta_s: number | null;
  records_per_s: number | null;
  records: number;
  quarantined: number;
  gap_records: number;
  incidents: number;
  version: string;
  waiting: number;
  oldest_unsynced_s: number;
  shed: number;
  refused: number;
  parked: number;
  disk_used_permille: number;
  disk_days_left?: number | null;
  certificate_ends?: string | null;
  link_bytes_per_s: number;
  clock_offset_ms: number;
}
export interface RegionSums {
  sites: number;
  complete: number;
  behind: number;
  silent: number;
  wanting: number;
  gap_records: number;
  shed: number;
  quarantined: number;
  incidents: number;
  records: number;
  missing: number;
  oldest_unsynced_s: number;
  records_per_s: number;
}
export interface Minute {
  at: string;
  records: number;
  behind: number;
  wanting: number;
  silent: number;
}
export interface Gap {
  first: number;
  last: number;
  kind: string;
  reason: string;
  unverified: boolean;
  at: string | null;
}
export interface Stream {
  epoch: string;
  stream: string;
  complete_to: number;
  claimed_to: number;
  purged_to: number;
  missing: number;
  final: boolean;
  moved: boolean;
  finished: boolean;
  unverified: boolean;
  gaps: Gap[];
  more_gaps: number;
}
export interface Day {
  day: string;
  partial: boolean;
  received: number;
  expected: number | null;
  streams: Record<string, number>;
}
export interface Completeness {
  facility: string;
  streams: Stream[];
  days: Day[];
}
export interface Incident {
  facility: string;
  id: number;
  kind: string;
  epoch: string;
  stream: string;
  first: number;
  last: number;
  opened: string | null;
  closed: string | null;
  note: string;
}
export interface Refused {
  id: string;
  reason: string;
  detail: string;
  now: string;
  becomes: string;
  epoch: string;
  stream: string;
  seq: number;
  at: string | null;
  bytes: number;
}
export interface Timeline {
  facility: string;
  now: string;
  minutes: { at: string; state: Attention; linked: boolean; records: number; behind: number; gap_records: number; last_seen: string | null }[];
  watched: { from: string; to: string }[];
}
export interface Outline {
  bytes: number;
  fields: { depth: number; number: number; name: string | null; type: string; bytes: number }[];
  more: boolean;
  broken_at: number | null;
}
export interface WhoAmI {
  name: string;
  role: Role;
}

export class Refusal extends Error {
  constructor(
    readonly status: number,
    text: string,
  ) {
    super(text);
  }
}

const kToken = 'egret.token';
export const token = {
  get: () => sessionStorage.getItem(kToken) ?? '',
  set: (value: string) => (value ? sessionStorage.setItem(kToken, value) : sessionStorage.removeItem(kToken)),
};

export function headers(more: Record<string, string> = {}): Record<string, string> {
  const mine = token.get();
  return mine ? { ...more, Authorization: `Bearer ${mine}` } : more;
}

async function answered(response: Response): Promise<Response> {
  if (response.ok) return response;
  let text = response.statusText;
  try {
    text = ((await response.json()) as { error?: string }).error ?? text;
  } catch {
    // No JSON: the status says it.
  }
  throw new Refusal(response.status, text);
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const init: RequestInit = { headers: headers(), cache: 'no-store' };
  if (signal) init.signal = signal;
  return (await (await answered(await fetch(path, init))).json()) as T;
}

export async function post<T>(path: string, body: unknown): Promise<T> {
  const init = { method: 'POST', headers: headers({ 'Content-Type': 'application/json' }), body: JSON.stringify(body) };
  return (await (await answered(await fetch(path, init))).json()) as T;
}

// As a file, by the browser's own way.
export function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

// With the token, which a link would not carry.
export async function blob(path: string): Promise<Blob> {
  return (await answered(await fetch(path, { headers: headers(), cache: 'no-store' }))).blob();
}
export async function download(path: string, name: string): Promise<void> {
  save(await blob(path), name);
}
