// The stream of /api/live, kept: what it says is the state that every view shows. By fetch and not EventSource, for a token goes with it.
import { headers, type Minute, Refusal, type RegionSums, type Site } from './api';

export interface State {
  sites: Map<string, Site>;
  region: RegionSums | null;
  history: Minute[];
  now: string | null;
  heard: number; // performance.now() when something came last; 0: nothing yet
  trouble: Refusal | Error | null;
}

const kAgainFirstMs = 1000;
const kAgainMostMs = 15000;
export const kStaleMs = 5000;
const kMinutes = 24 * 60;

interface Told {
  now: string;
  region: RegionSums;
  sites: Site[];
  gone?: string[];
  history?: Minute[];
}

class Live {
  state: State = { sites: new Map(), region: null, history: [], now: null, heard: 0, trouble: null };
  private told = new Set<(state: State) => void>();
  private last = '';
  private stop: AbortController | null = null;

  subscribe(each: (state: State) => void): () => void {
    this.told.add(each);
    return () => this.told.delete(each);
  }

  begin(): void {
    this.end();
    const stop = new AbortController();
    this.stop = stop;
    void this.run(stop.signal);
  }
  end(): void {
    this.stop?.abort();
    this.stop = null;
  }

  private tell(change: Partial<State>): void {
    this.state = { ...this.state, ...change };
    for (const each of this.told) each(this.state);
  }

  private async run(signal: AbortSignal): Promise<void> {
    for (let wait = kAgainFirstMs; !signal.aborted; ) {
      try {
        const response = await fetch('api/live', { headers: headers(this.last ? { 'Last-Event-ID': this.last } : {}), signal, cache: 'no-store' });
        if (!response.ok || !response.body) throw new Refusal(response.status, response.statusText);
        wait = kAgainFirstMs;
        await this.read(response.body);
        throw new Error('the stream has ended');
      } catch (error) {
        if (signal.aborted) return;
        this.tell({ trouble: error as Error });
      }
      await new Promise((done) => setTimeout(done, wait));
      wait = Math.min(wait * 2, kAgainMostMs);
    }
  }

  private async read(body: ReadableStream<Uint8Array>): Promise<void> {
    const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
    for (let rest = ''; ; ) {
      const { value, done } = await reader.read();
      if (done) return;
      const events = (rest + value).split('\n\n');
      rest = events.pop() ?? '';
      for (const event of events) this.take(event);
    }
  }

  private take(event: string): void {
    const field = (name: string) => event.split('\n').find((line) => line.startsWith(name + ': '))?.slice(name.length + 2) ?? '';
    const told = JSON.parse(field('data')) as Told;
    const whole = field('event') === 'all';
    const sites = whole ? new Map<string, Site>() : new Map(this.state.sites);
    for (const site of told.sites) sites.set(site.facility, site);
    for (const name of told.gone ?? []) sites.delete(name);
    this.last = field('id');
    this.tell({ sites, region: told.region, now: told.now, heard: performance.now(), trouble: null, history: whole ? (told.history ?? []) : grown(this.state.history, told) });
  }
}

// The minute that goes on is seen from here.
function grown(history: Minute[], told: Told): Minute[] {
  const at = told.now.slice(0, 16) + ':00Z';
  const minute = { at, records: told.region.records, behind: told.region.missing, wanting: told.region.wanting, silent: told.region.silent };
  const before = history.at(-1)?.at.slice(0, 16) === at.slice(0, 16) ? history.slice(0, -1) : history;
  return [...before, minute].slice(-kMinutes);
}

export const live = new Live();
