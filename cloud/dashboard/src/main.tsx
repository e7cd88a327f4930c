// The page: which view the address names, who is signed in, and whether what is shown is old.
import './style.css';
import 'uplot/dist/uPlot.min.css';
import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { get, Refusal, token, type WhoAmI } from './api';
import { CompletenessPage } from './completeness';
import { Findings } from './findings';
import { span } from './format';
import { kStaleMs, live, type State } from './live';
import { ModelPage, Models } from './models';
import { Overview } from './overview';
import { RecallPage, Recalls } from './recall';
import { calledOf } from './parts';
import { SitePage } from './site';
import { Fleet, Sites } from './sites';
import { Incidents, Quarantine } from './trouble';
import { language, speak, t, type Word } from './words';

const kViews: [string, Word][] = [
  ['', 'overview'],
  ['completeness', 'completeness'],
  ['findings', 'findings'],
  ['models', 'models'],
  ['quarantine', 'refused'],
  ['incidents', 'incidents'],
  ['fleet', 'fleet'],
];
// Views that others lead to.
const kOtherViews: Record<string, Word> = { model: 'models', recalls: 'recalls', recall: 'recall' };
const kTheme = 'egret.theme';

// Of an address that somebody has mistyped: as it is.
function readable(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function View({ path, told, who }: { path: string[]; told: State; who: WhoAmI | null }) {
  switch (path[0] ?? '') {
    case '': return <Overview told={told} />;
    case 'site': return <SitePage key={path[1]} told={told} name={path[1] ?? ''} part={path[2] ?? ''} role={who?.role} />;
    case 'sites': return <Sites told={told} which={path[1] ?? ''} district={path[2] ?? ''} />;
    case 'completeness': return <CompletenessPage told={told} />;
    case 'findings': return <Findings role={who?.role} now={told.now} />;
    case 'models': return <Models role={who?.role} />;
    case 'model': return <ModelPage key={path[1]} model={path[1] ?? ''} role={who?.role} />;
    case 'recalls': return <Recalls role={who?.role} />;
    case 'recall': return <RecallPage key={path[1]} model={path[1] ?? ''} now={told.now} role={who?.role} />;
    case 'quarantine': return <Quarantine told={told} role={who?.role} />;
    case 'incidents': return <Incidents told={told} role={who?.role} />;
    case 'fleet': return <Fleet key={path[1]} told={told} version={path[1] ?? ''} />;
    default: return <p>{t('none')}</p>;
  }
}

function SignIn({ who, changed }: { who: WhoAmI | null; changed: () => void }) {
  const [text, setText] = useState('');
  const [wrong, setWrong] = useState(false);
  const enter = async () => {
    token.set(text.trim());
    try {
      await get<WhoAmI>('api/whoami');
      setWrong(false);
      setText('');
      changed();
    } catch {
      token.set('');
      setWrong(true);
    }
  };
  if (token.get()) {
    return (
      <p class="who">
        {who && t('signedInAs', who.name, who.role)}{' '}
        <button
          type="button"
          onClick={() => {
            token.set('');
            changed();
          }}
        >
          {t('signOut')}
        </button>
      </p>
    );
  }
  return (
    <details class="who">
      <summary>{t('signIn')}</summary>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          void enter();
        }}
      >
        <label>
          {t('tokenAsk')} <input type="password" autocomplete="off" value={text} onInput={(e) => setText(e.currentTarget.value)} required />
        </label>
        <button type="submit">{t('signIn')}</button>
        {wrong && (
          <p class="trouble" role="alert">
            {t('tokenWrong')}
          </p>
        )}
      </form>
    </details>
  );
}

// It alone is drawn each second, whatever comes.
function Stale({ told }: { told: State }) {
  const [at, setAt] = useState(performance.now());
  useEffect(() => {
    const timer = setInterval(() => setAt(performance.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const age = at - told.heard;
  if (told.heard > 0 && age < kStaleMs) return null;
  if (told.heard === 0 && told.trouble === null) return null;
  const why = told.trouble instanceof Refusal && told.trouble.status === 401 ? t('needToken') : (told.trouble?.message ?? '');
  return (
    <p class="stale" role="alert">
      {told.heard === 0 ? t('noData', why) : t('stale', span(age / 1000), why)}
    </p>
  );
}

function App() {
  const [told, setTold] = useState(live.state);
  const [address, setAddress] = useState(location.hash);
  const [, redraw] = useState(0);
  const [who, setWho] = useState<WhoAmI | null>(null);
  const [session, setSession] = useState(0);
  useEffect(() => live.subscribe(setTold), []);
  useEffect(() => {
    live.begin();
    get<WhoAmI>('api/whoami').then(setWho, () => setWho(null));
    return () => live.end();
  }, [session]);
  useEffect(() => {
    const moved = () => setAddress(location.hash);
    addEventListener('hashchange', moved);
    return () => removeEventListener('hashchange', moved);
  }, []);
  const path = address.replace(/^#\/?/, '').split('/').map(readable);
  useEffect(() => {
    const view = kViews.find(([name]) => name === path[0]);
    document.title = `${path[0] === 'site' ? calledOf(path[1] ?? '') : t(view?.[1] ?? kOtherViews[path[0] ?? ''] ?? 'sites')} · Egret`;
  }, [address, language()]);
  const dark = document.documentElement.dataset['theme'] ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
  const paint = (theme: string) => {
    document.documentElement.dataset['theme'] = theme;
    localStorage.setItem(kTheme, theme);
    redraw((n) => n + 1);
  };
  return (
    <>
      <header>
        <strong>{t('title')}</strong>
        <nav aria-label={t('page')}>
          {kViews.map(([name, word]) => (
            <a key={name} href={`#/${name}`} aria-current={(path[0] ?? '') === name ? 'page' : undefined}>
              {t(word)}
            </a>
          ))}
        </nav>
        <button
          type="button"
          onClick={() => {
            speak(language() === 'en' ? 'zh' : 'en');
            redraw((n) => n + 1);
          }}
        >
          {t('language')}
        </button>
        <button type="button" onClick={() => paint(dark === 'dark' ? 'light' : 'dark')}>
          {t(dark === 'dark' ? 'light' : 'dark')}
        </button>
        <SignIn who={who} changed={() => setSession((n) => n + 1)} />
      </header>
      <Stale told={told} />
      <main>
        <View path={path} told={told} who={who} />
      </main>
      <footer>
        <a href="plain">{t('plain')}</a>
      </footer>
    </>
  );
}

const theme = localStorage.getItem(kTheme);
if (theme !== null) document.documentElement.dataset['theme'] = theme;
const place = document.getElementById('app');
if (place !== null) render(<App />, place);
