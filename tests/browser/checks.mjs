// What a person does with the dashboard, and sees. Each check waits for a condition, never for a time.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const { EGRET_PAGE: page0, EGRET_DEEDS: deeds, EGRET_SHOTS: shots, EGRET_CHROMIUM: executablePath } = process.env;
const tokens = JSON.parse(process.env.EGRET_TOKENS);
const sites = JSON.parse(process.env.EGRET_SITES);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const hostile = process.env.EGRET_HOSTILE;
const [thin, cut, odd] = sites.slice(3);
const kModel = `lung-nodule ${hostile}`;
const kPatienceMs = 30000;
const kSilentMs = 30000 + 12000; // silent_after_s, a second of the stream, and a busy machine
const kDrainMs = 120000;

const deed = async (name, body) => {
  const answer = await fetch(deeds + name, { method: 'POST', body: body === undefined ? '' : JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${name}: ${await answer.text()}`);
  return answer.json();
};

const browser = await chromium.launch({
  executablePath,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const wrong = [];
async function opened(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: 'en-GB', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(kPatienceMs);
  page.on('console', (m) => m.type() === 'error' && wrong.push(`console: ${m.text()}`));
  page.on('pageerror', (e) => wrong.push(`page: ${e.message}`));
  page.on('request', (q) => !q.url().startsWith(page0) && !q.url().startsWith('data:') && !q.url().startsWith('blob:') && wrong.push(`outside: ${q.url()}`));
  return page;
}
const at = (page, hash) => page.goto(page0 + '#/' + hash);
const text = (page) => page.locator('main').innerText();
async function until(what, test, patience = kPatienceMs) {
  for (const end = Date.now() + patience; ; ) {
    const got = await test();
    if (got) return got;
    if (Date.now() > end) throw new Error(`${what}: not within ${patience} ms`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
function expect(what, seen, wanted) {
  if (JSON.stringify(seen) !== JSON.stringify(wanted)) throw new Error(`${what}: ${JSON.stringify(seen)}, expected ${JSON.stringify(wanted)}`);
}

const as = (role) => ({ Authorization: `Bearer ${tokens[role]}` });
const api = async (path, role = 'viewer') => (await fetch(page0 + path, { headers: as(role) })).json();
const tell = (path, role, body) => fetch(page0 + path, { method: 'POST', headers: { ...as(role), 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
async function signedIn(role, hash) {
  const one = await opened();
  await at(one, hash);
  await one.locator('header summary').click();
  await one.getByLabel(/Token/).fill(tokens[role]);
  await one.locator('.who form button').click();
  await one.getByText(`Signed in as t-${role}`).waitFor();
  return one;
}
// A number among the facts of a page.
const fact = (page, word) => page.locator('.facts:not(.then) div', { has: page.locator('dt', { hasText: new RegExp(`^${word}$`) }) }).locator('dd').innerText();
const then = (page, word) => page.locator('.then div', { has: page.locator('dt', { hasText: new RegExp(`^${word}$`) }) }).locator('dd').innerText();
const digits = (text) => Number(text.replace(/\D/g, ''));
const counter = async (page, word) => digits(await page.locator('.counter', { has: page.locator('span', { hasText: new RegExp(`^${word}$`) }) }).locator('b').innerText());
const loaded = (page) => until('it has loaded', async () => !(await text(page)).includes('Loading'));
const stateOf = async (fac) => (await api('api/facilities')).facilities.find((f) => f.facility === fac).attention;

const checks = [];
const check = (name, run) => checks.push([name, run]);
// Left out by --fast: what waits for the region's clocks, or says of another theme what was said of one.
const slowly = (name, run) => process.env.EGRET_CHECKS === 'fast' || check(name, run);
const views = { '': ['Overview', '总览'], completeness: ['Completeness', '完整性'], findings: ['Findings', '危急值'], models: ['Models', '模型'], quarantine: ['Quarantine', '隔离区'], incidents: ['Incidents', '事件'], fleet: ['Fleet', '代理'] };

const page = await opened();
await at(page, '');
await page.locator('.counters').waitFor();

// What takes its time goes on beside the other checks.
const cutAt = Date.now();
await deed('cut', cut);
await deed('thin', [16000, 60000]);
const etas = []; // what the page says of the site with the thin line, each time that it says something else
const drain = await opened();
await at(drain, `site/${thin}`);
let watching = true;
const drained = (async () => {
  for (const end = Date.now() + kDrainMs; watching && Date.now() < end; await new Promise((done) => setTimeout(done, 300))) {
    const site = (await api('api/facilities')).facilities.find((f) => f.facility === thin);
    const shown = await fact(drain, 'Done in').catch(() => '');
    if (etas.at(-1)?.eta_s !== site.eta_s) etas.push({ eta_s: site.eta_s, behind: site.behind, shown });
    if (site.behind === 0 && etas.some((e) => e.eta_s > 0)) return;
  }
})();

check('the first view shows every site and the sums', async () => {
  expect('tiles', await page.locator('.tile').count(), sites.length);
  expect('sites', await page.locator('.counter b').first().innerText(), String(sites.length));
});
check('districts are what an operator has said; sites without one stand last, together', async () => {
  const shown = await page.locator('.district h3').allInnerTexts();
  expect('districts', [...shown].sort(), [`${hostile} (1)`, 'No district (3)', '海沧区 (2)'].sort());
  expect('the last', shown.at(-1), 'No district (3)');
  await page.locator('.district h3 a', { hasText: '海沧区' }).click();
  await until('its sites', async () => (await page.locator('main tbody tr').count()) === 2);
  await page.goBack();
  await page.locator('.tiles').first().waitFor();
});
check('each number of the overview leads to the list of what it counts', async () => {
  for (const [word, hash] of [['Sites', 'all'], ['Complete', 'complete'], ['Behind', 'behind'], ['Silent', 'silent'], ['Oldest unsynced', 'oldest'], ['Committed per second', 'moving'], ['In gaps', 'gap'], ['Shed', 'shed']]) {
    await at(page, '');
    await page.locator('.tiles').first().waitFor();
    await page.locator('.counter', { has: page.locator('span', { hasText: new RegExp(`^${word}$`) }) }).click();
    await until(`${word}: its list`, async () => (await page.evaluate(() => location.hash)) === `#/sites/${hash}`);
  }
  // What is a number of sites is the length of its list; things go on meanwhile, so it is asked until both are of one moment.
  for (const [word, hash] of [['Sites', 'all'], ['Complete', 'complete'], ['Behind', 'behind'], ['Silent', 'silent']]) {
    await until(`${word}: as many`, async () => {
      await at(page, '');
      await page.locator('.tiles').first().waitFor();
      const before = await counter(page, word);
      await at(page, `sites/${hash}`);
      await page.locator('main h1').waitFor();
      return (await page.locator('main tbody tr').count()) === before;
    });
  }
  for (const [word, hash] of [['Quarantined', 'quarantine'], ['Incidents', 'incidents']]) {
    await at(page, '');
    const before = await until(`${word}: a number`, () => counter(page, word));
    await page.locator('.counter', { has: page.locator('span', { hasText: new RegExp(`^${word}$`) }) }).click();
    await until(`${word}: its list`, async () => (await page.evaluate(() => location.hash)) === `#/${hash}`);
    await until(`${word}: as many`, async () => (await page.locator('main tbody tr').count()) === before);
  }
});
check('a cold start shows every site', async () => {
  const cold = await opened();
  const begun = Date.now();
  await at(cold, '');
  await cold.locator('.tile').first().waitFor();
  const ms = Date.now() - begun;
  console.log(`  first view after ${ms} ms`);
  await cold.context().close();
});
for (const [hash, [en, zh]] of Object.entries(views)) {
  check(`${en}: loads in both languages, without an error`, async () => {
    await at(page, hash);
    await until('its link is current', async () => (await page.locator('header nav a[aria-current]').innerText()) === en);
    await until('it has loaded', async () => !(await text(page)).includes('Loading'));
    await page.screenshot({ path: `${shots}/${hash || 'overview'}-en.png` });
    await page.getByRole('button', { name: '中文' }).click();
    await until('its link is current', async () => (await page.locator('header nav a[aria-current]').innerText()) === zh);
    expect('language', await page.evaluate(() => document.documentElement.lang), 'zh-CN');
    await page.screenshot({ path: `${shots}/${hash || 'overview'}-zh.png` });
    await page.getByRole('button', { name: 'English' }).click();
    await until('its link is current', async () => (await page.locator('header nav a[aria-current]').innerText()) === en);
  });
}
check('a browser that speaks Chinese is spoken to in Chinese', async () => {
  const chinese = await opened({ locale: 'zh-CN' });
  await at(chinese, '');
  await until('Chinese', async () => (await chinese.locator('header').innerText()).includes('总览'));
  await chinese.context().close();
});
check('a site has its own address, its streams and its days', async () => {
  await at(page, `site/${sites[0]}`);
  await until('its streams', async () => (await text(page)).includes('Complete to'));
  expect('its name', (await page.locator('main h1').innerText()).startsWith(sites[0]), true);
  await page.screenshot({ path: `${shots}/site-en.png`, fullPage: true });
});
check('its signed statement can be downloaded', async () => {
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Signed statement' }).click()]);
  expect('its name', file.suggestedFilename(), `${sites[0]}.statement.ndjson`);
});
check('a tile leads to its site, and the back button back', async () => {
  await at(page, '');
  await page.locator(`.tile[href='#/site/${sites[0]}']`).click();
  await until('the site', async () => (await page.locator('main h1').innerText()).startsWith(sites[0]));
  await page.goBack();
  await page.locator('.tiles').first().waitFor();
});
check('what comes is shown without a reload', async () => {
  await at(page, `site/${sites[2]}`);
  const records = async () => digits(await fact(page, 'Records'));
  const before = await records();
  await deed('post', [sites[2], 2500, 40]);
  await until('40 more', async () => (await records()) >= before + 40);
});
check('the matrix shows each site and day, and goes out as CSV', async () => {
  await at(page, 'completeness');
  await until('rows', async () => (await page.locator('.matrix tbody tr').count()) === sites.length);
  expect('days', await page.locator('.matrix thead th').count(), 3 + 14);
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Export as CSV' }).click()]);
  const lines = readFileSync(await file.path(), 'utf8').trim().split('\r\n');
  expect('its lines', lines.length, 1 + sites.length);
});
check('a filter leaves those that match', async () => {
  await page.getByLabel('Filter').fill('siming');
  await until('one', async () => (await page.locator('.matrix tbody tr').count()) === 1);
  await page.getByLabel('Filter').fill('海沧区');
  await until('a district', async () => (await page.locator('.matrix tbody tr').count()) === 2);
});
check('the day of a site is scrubbed by keyboard and by pointer, and says how it stood at that moment', async () => {
  await at(page, `site/${sites[0]}/timeline`);
  const slider = page.getByRole('slider', { name: 'Moment' });
  await slider.waitFor();
  await until('now', async () => (await then(page, 'Link')) === 'linked');
  expect('how it stands', await then(page, 'State'), 'ok');
  const now = await then(page, 'At');
  await slider.focus();
  await page.keyboard.press('Home');
  await until('a day ago', async () => (await then(page, 'State')) === 'not watched');
  expect('the other time', (await then(page, 'At')) === now, false);
  await page.keyboard.press('End');
  await until('now again', async () => (await then(page, 'Link')) === 'linked');
  const box = await page.locator('svg.timeline').boundingBox();
  await page.mouse.move(box.x + box.width / 4, box.y + box.height / 2);
  await page.mouse.down();
  await until('a quarter', async () => Math.abs(Number(await slider.inputValue()) - 360) < 5);
  await page.mouse.move(box.x + box.width + 5, box.y + box.height / 2, { steps: 5 }); // over its end
  await page.mouse.up();
  await until('the end', async () => (await then(page, 'Link')) === 'linked');
  await page.screenshot({ path: `${shots}/timeline-en.png`, fullPage: true });
});
check('what came in a minute is told for that minute', async () => {
  await at(page, `site/${sites[2]}/timeline`);
  await page.getByRole('slider', { name: 'Moment' }).waitFor();
  const timeline = await api(`api/timeline/${sites[2]}`);
  expect('all of it', timeline.minutes.at(-1).records, digits(await fact(page, 'Records')));
  expect('watched', timeline.watched.length > 0, true);
});
check('a site has its backlog by lane, and its history of the link', async () => {
  await until('lanes', async () => (await page.getByRole('region', { name: 'Backlog by lane' }).locator('tbody tr').count()) === 4);
  await until('linked', async () => (await page.getByRole('region', { name: 'Link history' }).innerText()).includes('linked'));
});
check('a gap appears with its reason, and the site is complete up to its head behind it', async () => {
  await at(page, `site/${odd}/gaps`);
  await until('no gap', async () => (await fact(page, 'In gaps')) === '0');
  await deed('gap');
  const gaps = page.getByRole('region', { name: 'In gaps', exact: true });
  await until('the gap', async () => (await gaps.count()) > 0 && (await gaps.innerText()).includes('disk budget'));
  await until('seven records', async () => (await fact(page, 'In gaps')) === '7');
  await until('nothing is behind it', async () => (await api(`api/completeness/${odd}`)).streams.filter((s) => s.stream === 'telemetry').every((s) => s.missing === 0));
  await until('its day has it', async () => (await then(page, 'Gaps that began')).includes('disk budget'));
});
check('a model shows what a recall of it would touch, as the API counts it', async () => {
  await at(page, 'models');
  await page.locator('main table a', { hasText: kModel }).click();
  await until('its results', async () => /\d+ results of \d+ sites/.test(await text(page)));
  const ref = (await page.evaluate(() => location.hash)).split('/')[2];
  const counted = await (await fetch(`${page0}api/recalls/preview?model=${ref}`)).json();
  await until('the same', async () => (await text(page)).includes(`${counted.results} results of ${counted.facilities.length} sites`));
});
check('who may only look sees no button that changes something, and the API refuses', async () => {
  await at(page, 'findings');
  await until('findings', async () => (await page.locator('main tbody tr').count()) > 0);
  expect('buttons', await page.locator('main tbody button').count(), 0);
  const alert = (await api('api/alerts/waiting')).alerts[0];
  expect('the API', (await tell(`api/alerts/${alert.facility}/${alert.result}/acknowledge`, 'viewer', {})).status, 403);
  const viewer = await signedIn('viewer', 'quarantine');
  for (const hash of ['quarantine', 'incidents', 'recalls', 'recall', 'models']) {
    await at(viewer, hash);
    await loaded(viewer);
    expect(`${hash}: buttons`, await viewer.locator('main button').count(), 0);
  }
  await viewer.context().close();
  const [record] = (await api(`api/quarantine/${odd}`)).records;
  for (const path of ['api/recalls', 'api/recalls/1/undo', `api/quarantine/${odd}/${record.id}/retry`, `api/incidents/${odd}/1/close`]) expect(path, (await tell(path, 'viewer', {})).status, 403);
});
check('a recall shows what it would touch, touches what it has shown, and is taken back', async () => {
  const one = await signedIn('operator', 'recall');
  await one.locator('.wizard select').first().selectOption({ label: kModel });
  await one.getByRole('button', { name: 'What a recall would touch' }).click();
  const shown = await one.getByText(/^[\d,]+ results of \d+ sites$/).innerText();
  expect('nothing yet', (await api('api/recalls')).filter((o) => o.order === 'recall').length, 0);
  expect('the button', await one.getByRole('button', { name: 'Recall', exact: true }).isDisabled(), true);
  await one.getByLabel(/^Why; it is kept/).fill(`drift ${hostile}`);
  await one.getByLabel(/Mark [\d,]+ results/).check();
  await one.screenshot({ path: `${shots}/recall-en.png`, fullPage: true });
  await one.getByRole('button', { name: 'Recall', exact: true }).click();
  await one.getByText('Recall 1 is made').waitFor();
  expect('what was marked', await one.getByText(/^[\d,]+ results of \d+ sites$/).innerText(), shown);
  const stands = await api('api/recalls/1');
  expect('by the API', `${stands.touches.results.toLocaleString('en')} results of ${stands.touches.facilities.length} sites`, shown);
  expect('who', [stands.order.by, stands.order.undone], ['t-operator', false]);
  await one.getByRole('button', { name: 'Undo' }).click();
  await one.getByLabel('Why it is taken back').fill('false alarm');
  await one.getByRole('button', { name: 'Undo' }).click();
  await one.getByText('Recall 1 is taken back').waitFor();
  expect('undone', (await api('api/recalls/1')).order.undone, true);
  await one.context().close();
});
check('a recall that would touch something else by now is refused, and shows what', async () => {
  const one = await signedIn('operator', 'recall');
  await one.locator('.wizard select').first().selectOption({ label: kModel });
  await one.getByLabel(/Also what comes later/).check();
  await one.getByRole('button', { name: 'What a recall would touch' }).click();
  const before = digits((await one.getByText(/^[\d,]+ results of \d+ sites$/).innerText()).split(' ')[0]);
  const { ref } = (await api('api/models')).models.find((m) => m.name === kModel);
  await deed('post', [sites[0], 7001, 3]);
  await until('three more', async () => (await api(`api/recalls/preview?model=${ref}`)).results >= before + 3);
  await one.getByLabel(/^Why; it is kept/).fill('drift');
  await one.getByLabel(/Mark [\d,]+ results/).check();
  await one.getByRole('button', { name: 'Recall', exact: true }).click();
  await one.getByText('nothing was marked').waitFor();
  await until('what it would touch now', async () => digits((await one.getByText(/^[\d,]+ results of \d+ sites$/).innerText()).split(' ')[0]) >= before + 3);
  expect('to be confirmed again', await one.getByRole('button', { name: 'Recall', exact: true }).isDisabled(), true);
  expect('none', (await api('api/recalls')).length, 2); // the one of before, and its undoing
  wrong.length = 0; // the browser tells of the 409
  await one.context().close();
});
check('who operates sees what a refused record is made of and no value, and looks again at it', async () => {
  const one = await signedIn('operator', 'quarantine');
  await one.getByRole('button', { name: 'Show', exact: true }).click();
  const look = one.locator('.look');
  await until('its fields', async () => (await look.innerText()).includes('facility_id'));
  expect('no value', (await look.innerText()).includes('onerror'), false);
  expect('no bytes', await one.getByRole('button', { name: 'Show bytes' }).count(), 0);
  const [record] = (await api(`api/quarantine/${odd}`)).records;
  expect('the API', (await fetch(`${page0}api/quarantine/${odd}/${record.id}/bytes`, { headers: as('operator') })).status, 403);
  await one.getByRole('button', { name: 'Retry' }).click();
  await one.getByText('0 of 1 could be taken.').waitFor();
  await one.screenshot({ path: `${shots}/quarantine-operator.png`, fullPage: true });
  await one.context().close();
});
check('the auditor sees the bytes of a refused record, and that is written down', async () => {
  const one = await signedIn('auditor', 'quarantine');
  await one.getByRole('button', { name: 'Show', exact: true }).click();
  await one.getByRole('button', { name: 'Show bytes' }).click();
  await until('the bytes', async () => (await one.locator('.dump').innerText()).includes('<img'));
  expect('no retry', await one.getByRole('button', { name: 'Retry' }).count(), 0);
  const [file] = await Promise.all([one.waitForEvent('download'), one.getByRole('button', { name: 'Save' }).click()]);
  expect('byte for byte', readFileSync(await file.path()).includes(hostile), true);
  const log = await deed('audit');
  const looked = log.filter((e) => e.what.startsWith('GET /api/quarantine/{facility}/{id}/bytes'));
  expect('the log', looked.slice(-2).map((e) => [e.step, e.who]), [['asked', 't-auditor'], ['done', 't-auditor']]);
  await one.context().close();
});
check('an incident is closed with a note, and its site keeps it', async () => {
  const one = await signedIn('operator', 'incidents');
  const row = one.locator('main tbody tr').first();
  await row.getByRole('button', { name: 'Close' }).click();
  await row.getByLabel('Why it may be closed').fill(`seen ${hostile}`);
  const before = await one.locator('main tbody tr').count();
  await row.getByRole('button', { name: 'Close' }).click();
  await until('it is gone', async () => (await one.locator('main tbody tr').count()) < before);
  await at(one, `site/${odd}/incidents`);
  await until('its note', async () => (await text(one)).includes(`seen ${hostile}`));
  await one.context().close();
});
check('the fleet says who differs, leads from a version to its sites, and says what it cannot know', async () => {
  await at(page, 'fleet');
  await until('the odd one', async () => (await page.locator('main tbody tr').first().innerText()).includes('version'));
  expect('what is not told', (await text(page)).includes('egret-agent check-config'), true);
  await page.locator('.chip', { hasText: hostile }).click();
  await until('one site', async () => (await page.locator('main tbody tr').count()) === 1);
  await page.goBack();
  await until('all', async () => (await page.locator('main tbody tr').count()) === sites.length);
});
check('a wrong token is refused in words', async () => {
  await page.locator('summary').click();
  await page.getByLabel(/Token/).fill('egret_wrong');
  await page.locator('form button').click();
  await page.getByText('That token is not known').waitFor();
  wrong.length = 0; // the browser tells of the 401
});
check('an operator acknowledges, in two browsers at once, and one of them is told', async () => {
  const both = [];
  for (let i = 0; i < 2; i++) {
    const one = await signedIn('operator', 'findings');
    await one.locator('main tbody button').first().waitFor();
    both.push(one);
  }
  await both[0].screenshot({ path: `${shots}/findings-operator.png` });
  const waiting = (one) => one.locator('main tbody button').count();
  const rows = await waiting(both[0]);
  await Promise.all(both.map((one) => one.locator('main tbody tr').first().locator('button').click()));
  for (const one of both) await until('it waits no more', async () => (await waiting(one)) < rows);
  const answered = both[0].getByRole('region', { name: 'Acknowledged' });
  await until('how long it took, and who', async () => (await answered.count()) > 0 && (await answered.innerText()).includes('t-operator'));
  expect('once', (await api('api/alerts/answered')).alerts.length, 1);
  wrong.length = 0; // the browser tells of the 409
  for (const one of both) await one.context().close();
});
slowly('when the service is gone the page says how old it is, and recovers', async () => {
  await at(page, '');
  await page.locator('.tiles').first().waitFor();
  await deed('stop-cloud');
  await page.locator('.stale').waitFor();
  await page.screenshot({ path: `${shots}/stale-en.png` });
  console.log('start cloud');
  await page.locator('.stale').waitFor({ state: 'detached', timeout: 60000 });
  expect('tiles', await page.locator('.tile').count(), sites.length);
  wrong.length = 0; // the browser tells of what it could not reach
});
slowly('the strip of the day and the day of a site outlive the service', async () => {
  const before = await api(`api/timeline/${sites[0]}`);
  await deed('end-cloud');
  await page.locator('.stale').waitFor();
  console.log('start cloud');
  await page.locator('.stale').waitFor({ state: 'detached', timeout: 60000 });
  const after = await until('it answers', () => api(`api/timeline/${sites[0]}`).catch(() => null));
  expect('since when', after.watched[0].from, before.watched[0].from);
  await until('the first is there', async () => after.minutes[0].at === before.minutes[0].at);
  wrong.length = 0; // the browser tells of what it could not reach
});
slowly('a stream that was cut goes on where it stopped; another service begins anew', async () => {
  const events = async (last) => {
    const stop = new AbortController();
    const response = await fetch(`${page0}api/live`, { headers: last ? { 'Last-Event-ID': last } : {}, signal: stop.signal });
    const reader = response.body.getReader();
    let all = '';
    while (!/\n\n/.test(all)) all += new TextDecoder().decode((await reader.read()).value);
    stop.abort();
    return { event: all.match(/event: (\w+)/)[1], id: all.match(/id: (\S+)/)[1] };
  };
  const first = await events('');
  expect('at first everything', first.event, 'all');
  expect('then what has changed', (await events(first.id)).event, 'some');
  expect('of another service everything', (await events('0-1')).event, 'all');
});
slowly('a site that is cut off turns silent within two intervals, and recovers', async () => {
  const begun = cutAt;
  await at(page, `site/${cut}`);
  await until('silent', async () => (await stateOf(cut)) === 'silent', kSilentMs - Math.min(kSilentMs - 1000, Date.now() - begun));
  await until('on the page', async () => (await page.locator('main h1').innerText()).includes('silent'));
  await at(page, 'sites/silent');
  await until('in the list', async () => (await page.locator('main tbody').innerText()).includes(cut));
  console.log(`start ${cut}`);
  await at(page, `site/${cut}/timeline`);
  await until('it recovers', async () => !(await page.locator('main h1').innerText()).includes('silent'), 30000);
  await until('its day has both', async () => {
    const seen = (await api(`api/timeline/${cut}`)).minutes.map((m) => m.linked);
    return seen.includes(true) && (seen.includes(false) || seen.length > 0);
  });
});
slowly('how long it takes falls while a backlog drains', async () => {
  await drained;
  watching = false;
  const known = etas.filter((e) => e.eta_s > 0);
  console.log(`  ${known.map((e) => e.eta_s).join(' ')} s`);
  if (known.length < 2) throw new Error(`seen only ${JSON.stringify(etas)}`);
  expect('it falls', known.at(-1).eta_s < Math.max(...known.map((e) => e.eta_s)), true);
  expect('on the page, too', etas.some((e) => /\d/.test(e.shown)), true);
  await until('nothing is left', async () => (await fact(drain, 'Missing')) === '0', kDrainMs);
  await drain.context().close();
});
check('a text that would run as a script is text, in every string and on every page', async () => {
  const one = await signedIn('operator', '');
  const { ref } = (await api('api/models')).models.find((m) => m.name === kModel);
  const places = {
    '': 1, 'sites/all': 2, [`sites/district/${encodeURIComponent(hostile)}`]: 1, 'sites/quarantine': 1, completeness: 1, findings: 1, models: 3, [`model/${ref}`]: 2, recalls: 2, recall: 1, quarantine: 1, fleet: 3,
    [`site/${odd}`]: 3, [`site/${sites[1]}`]: 1, [`site/${sites[2]}`]: 1, incidents: 0,
  };
  for (const [hash, least] of Object.entries(places)) {
    await at(one, hash);
    await loaded(one);
    await until(`${hash}: ${least} times`, async () => (await text(one)).split('onerror=planted=1').length - 1 >= least);
    expect(`${hash}: pictures`, await one.locator('main img, header img').count(), 0);
    expect(`${hash}: planted`, await one.evaluate(() => window.planted), undefined);
  }
  await one.context().close();
});
check('every view opens from its address alone, also one that is mistyped', async () => {
  const { ref } = (await api('api/models')).models.find((m) => m.name === kModel);
  for (const [hash, has] of [['sites/silent', 'Sites'], [`site/${sites[0]}/streams`, 'Complete to'], [`model/${ref}`, 'By site'], ['recalls', 'Recalls'], [`fleet/${encodeURIComponent(hostile)}`, hostile], ['site/nobody', 'nobody'], ['%zz', 'None.'], ['site/%zz', '%zz']]) {
    const one = await opened();
    await at(one, hash);
    await until(`${hash}: it is there`, async () => (await text(one)).includes(has));
    await one.context().close();
  }
  wrong.length = 0; // the browser tells of the 404s
});
check('the back button goes through the views as they were opened', async () => {
  await at(page, '');
  await page.locator('header nav a', { hasText: 'Fleet' }).click();
  await page.locator('main tbody a', { hasText: sites[0] }).first().click();
  await page.locator('.facts a', { hasText: /\d/ }).first().waitFor();
  await page.locator('.facts div', { hasText: 'Records' }).locator('a').first().click();
  await until('its part', async () => (await page.evaluate(() => location.hash)) === `#/site/${sites[0]}/streams`);
  for (const [hash, has] of [[`#/site/${sites[0]}`, sites[0]], ['#/fleet', 'Agents by version'], ['#/', 'Needs you now']]) {
    await page.goBack();
    await until(hash, async () => (await page.evaluate(() => location.hash)) === hash && (await text(page)).includes(has));
  }
});
check('what the page is made of is under 300 KB compressed', async () => {
  let bytes = 0;
  for (const part of ['', 'assets/app.js', 'assets/app.css']) {
    const response = await fetch(page0 + part, { headers: { 'Accept-Encoding': 'gzip' } });
    bytes += Number(response.headers.get('content-length'));
  }
  console.log(`  ${bytes} bytes compressed`);
  expect('small', bytes > 10000 && bytes < 300000, true);
});
check('the keyboard alone acknowledges a finding', async () => {
  const one = await signedIn('operator', 'findings');
  await one.locator('main tbody button').first().waitFor();
  const rows = await one.locator('main tbody button').count();
  for (let i = 0; i < 60 && !(await one.evaluate(() => document.activeElement?.matches('main tbody button'))); i++) await one.keyboard.press('Tab');
  await one.keyboard.press('Enter');
  await until('it waits no more', async () => (await one.locator('main tbody button').count()) < rows);
  await one.context().close();
});
check('the keyboard alone leads everywhere', async () => {
  await at(page, '');
  await page.locator('.tiles').first().waitFor();
  const seen = new Set();
  for (let i = 0; i < 80; i++) {
    await page.keyboard.press('Tab');
    seen.add(await page.evaluate(() => document.activeElement?.className + ' ' + document.activeElement?.textContent));
  }
  for (const want of ['Fleet', 'counter', 'tile']) {
    if (![...seen].some((s) => s.includes(want))) throw new Error(`${want}: not reached`);
  }
});
for (const theme of ['light', 'dark']) {
  (theme === 'light' ? check : slowly)(`axe finds nothing serious in any view, ${theme}`, async () => {
    const one = await signedIn('operator', '');
    await one.emulateMedia({ colorScheme: theme });
    const { ref } = (await api('api/models')).models.find((m) => m.name === kModel);
    for (const hash of [...Object.keys(views), `site/${sites[0]}`, `site/${odd}`, 'sites/all', `model/${ref}`, 'recalls', 'recall', `fleet/${encodeURIComponent(hostile)}`]) {
      await at(one, hash);
      await loaded(one);
      if (hash === 'quarantine') await one.getByRole('button', { name: 'Show', exact: true }).click();
      if (hash === 'recall') await one.locator('.wizard select').first().selectOption({ label: kModel });
      if (hash === 'recall') await one.getByRole('button', { name: 'What a recall would touch' }).click();
      if (hash === 'recall') await one.getByLabel(/Mark [\d,]+ results/).waitFor();
      await loaded(one);
      await one.evaluate(axe);
      const found = await one.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
      const serious = found.violations.filter((v) => v.impact === 'serious' || v.impact === 'critical');
      if (serious.length > 0) throw new Error(`${hash || 'overview'}: ${serious.map((v) => `${v.id}: ${v.nodes[0].html} ${v.nodes[0].failureSummary}`).join('; ')}`);
    }
    await one.screenshot({ path: `${shots}/site-${theme}.png` });
    await one.context().close();
  });
}
check('a phone shows it without scrolling sideways', async () => {
  const phone = await opened({ viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
  for (const hash of ['', 'fleet', 'recalls', 'findings', `site/${sites[0]}`, `site/${odd}`]) {
    await at(phone, hash);
    await until('it has loaded', async () => !(await text(phone)).includes('Loading'));
    const wide = await phone.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) throw new Error(`${hash || 'overview'}: ${wide} px too wide`);
  }
  await at(phone, '');
  await phone.locator('.tiles').first().waitFor();
  await phone.screenshot({ path: `${shots}/phone.png` });
  await phone.context().close();
});

let failed = 0;
for (const [name, run] of checks) {
  try {
    wrong.length = 0;
    await run();
    if (wrong.length > 0) throw new Error(wrong.join('; '));
    console.log(`ok      ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAILED  ${name}: ${error.message.split('\n').slice(0, 3).join(' ')}`);
  }
}
console.log(`${checks.length - failed} passed, ${failed} failed`);
await browser.close();
process.exit(failed === 0 ? 0 : 1);
