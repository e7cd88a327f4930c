// Critical results from arrival to acknowledgement: those that wait, with the time that is left; and those that somebody took up, and how long it took.
import { useEffect, useState } from 'preact/hooks';
import { post, type Role } from './api';
import { moment, number, span } from './format';
import { Asked, mayChange, SiteLink, Table, useAnswer } from './parts';
import { t } from './words';

interface Alert {
  facility: string;
  result: string;
  state: string;
  opened: string | null;
  ack_deadline_s: number;
  acknowledged: string | null;
  by: string | null;
  escalations: number;
  escalates: string | null;
}

const kLookEveryMs = 5000;

function left(alert: Alert, now: number): { text: string; over: boolean } {
  const s = (Date.parse(alert.opened ?? '') + alert.ack_deadline_s * 1000 - now) / 1000;
  return s < 0 ? { text: t('overdue', span(-s)), over: true } : { text: t('left', span(s)), over: false };
}

const between = (from: string | null, to: string | null): number => (Date.parse(to ?? '') - Date.parse(from ?? '')) / 1000;

function Answered({ again }: { again: unknown }) {
  const answer = useAnswer<{ alerts: Alert[] }>('api/alerts/answered', again);
  const late = (a: Alert) => between(a.opened, a.acknowledged) > a.ack_deadline_s;
  return (
    <Asked answer={answer}>
      {(a) => (
        <Table
          label={t('answered')}
          rows={a.alerts}
          id={(one) => `${one.facility}/${one.result}`}
          empty="none"
          columns={[
            { word: 'site', text: (one) => <SiteLink name={one.facility} /> },
            { word: 'result', text: (one) => <code>{one.result}</code> },
            { word: 'arrived', text: (one) => moment(one.opened) },
            { word: 'acknowledged', text: (one) => moment(one.acknowledged) },
            { word: 'took', text: (one) => <span class={late(one) ? 'bad' : ''}>{span(Math.max(0, between(one.opened, one.acknowledged)))}</span>, number: true },
            { word: 'by', text: (one) => one.by ?? '–' },
            { word: 'escalations', text: (one) => number(one.escalations), number: true },
          ]}
        />
      )}
    </Asked>
  );
}

export function Findings({ role, now }: { role: Role | undefined; now: string | null }) {
  const [turn, next] = useState(0);
  const [error, setError] = useState('');
  useEffect(() => {
    const timer = setInterval(() => next((n) => n + 1), kLookEveryMs);
    return () => clearInterval(timer);
  }, []);
  const answer = useAnswer<{ alerts: Alert[] }>('api/alerts/waiting', turn);
  const [kept, keep] = useState<Alert[] | null>(null);
  useEffect(() => {
    if (answer.value !== null) keep(answer.value.alerts);
  }, [answer.value]);
  const at = Date.parse(now ?? '') || Date.now();
  const acknowledge = async (alert: Alert) => {
    try {
      await post(`api/alerts/${encodeURIComponent(alert.facility)}/${alert.result}/acknowledge`, { note: '' });
      setError('');
    } catch (e) {
      setError((e as Error).message);
    }
    next((n) => n + 1);
  };
  return (
    <>
      <h1>{t('findings')}</h1>
      {error && (
        <p class="trouble" role="alert">
          {t('error', error)}
        </p>
      )}
      <Asked answer={{ value: kept, error: kept === null ? answer.error : null }}>
        {(alerts) => (
          <Table
            label={t('findings')}
            rows={alerts}
            id={(a) => `${a.facility}/${a.result}`}
            empty="noFindings"
            columns={[
              { word: 'site', text: (a) => <SiteLink name={a.facility} /> },
              { word: 'result', text: (a) => <code>{a.result}</code> },
              { word: 'arrived', text: (a) => moment(a.opened) },
              { word: 'waits', text: (a) => span(Math.max(0, (at - Date.parse(a.opened ?? '')) / 1000)), number: true },
              { word: 'due', text: (a) => <span class={left(a, at).over ? 'bad' : ''}>{left(a, at).text}</span> },
              { word: 'escalations', text: (a) => number(a.escalations), number: true },
              {
                word: 'acknowledge',
                text: (a) =>
                  mayChange(role) ? (
                    <button type="button" onClick={() => void acknowledge(a)}>
                      {t('acknowledge')}
                    </button>
                  ) : (
                    '–'
                  ),
              },
            ]}
          />
        )}
      </Asked>
      <h2>{t('answered')}</h2>
      <Answered again={turn} />
    </>
  );
}
