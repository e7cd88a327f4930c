// How long each lane of a site will take: what waits in it, at the rate of the last half minute, shared as agents share a line (edge/lanes):
// critical first, at most four fifths of it while others wait; the others by weight. An estimate, for records are not equally large.
import type { Stream } from './api';

const kWeights: Record<string, number> = { result: 8, telemetry: 2, bulk: 1 };
const kCriticalShare = 0.8;
export const kLanes = ['critical', 'result', 'telemetry', 'bulk'];

export interface Lane {
  lane: string;
  missing: number;
  eta_s: number | null; // null: nothing moves
}

// Parts of the rate, of lanes that still wait.
function shares(waiting: string[]): Map<string, number> {
  const others = waiting.filter((lane) => lane !== 'critical');
  const critical = waiting.includes('critical') ? (others.length > 0 ? kCriticalShare : 1) : 0;
  const sum = others.reduce((all, lane) => all + (kWeights[lane] ?? 1), 0);
  return new Map(waiting.map((lane) => [lane, lane === 'critical' ? critical : ((1 - critical) * (kWeights[lane] ?? 1)) / sum]));
}

export function lanesOf(streams: Stream[], perSecond: number | null): Lane[] {
  const left = new Map(kLanes.map((lane) => [lane, streams.filter((s) => s.stream === lane).reduce((all, s) => all + s.missing, 0)]));
  const out: Lane[] = kLanes.map((lane) => ({ lane, missing: left.get(lane) ?? 0, eta_s: null }));
  for (const lane of out) if (lane.missing === 0) lane.eta_s = 0;
  if (!perSecond) return out;
  for (let passed = 0; ; ) {
    const waiting = kLanes.filter((lane) => (left.get(lane) ?? 0) > 0);
    if (waiting.length === 0) return out;
    const share = shares(waiting);
    const step = Math.min(...waiting.map((lane) => (left.get(lane) ?? 0) / (perSecond * (share.get(lane) ?? 1))));
    passed += step;
    for (const lane of waiting) {
      const rest = (left.get(lane) ?? 0) - step * perSecond * (share.get(lane) ?? 1);
      left.set(lane, rest < 0.5 ? 0 : rest);
      const told = out.find((one) => one.lane === lane);
      if (rest < 0.5 && told) told.eta_s = passed;
    }
  }
}
