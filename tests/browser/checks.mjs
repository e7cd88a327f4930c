// What a person does with the dashboard, and sees. Each check waits for a condition, never for a time.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const { EGRET_PAGE: page0, EGRET_DEEDS: deeds, EGRET_SHOTS: shots, EGRET_CHROMIUM: executablePath } = process.env;
const tokens = JSON.parse(process.env.EGRET_TOKENS);
const sites = JSON.parse(process.env.EGRET_SITES);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const kPatienceMs = 15000;

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
async function until(what, test) {
  for (const end = Date.now() + kPatienceMs; ; ) {
    if (await test()) return;
    if (Date.now() > end) throw new Error(`${what}: not within ${kPatienceMs} ms`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
function expect(what, seen, wanted) {
  if (JSON.stringify(seen) !== JSON.stringify(wanted)) throw new Error(`${what}: ${JSON.stringify(seen)}, expected ${JSON.stringify(wanted)}`);
}

const checks = [];
const check = (name, run) => checks.push([name, run]);
const views = { '': ['Overview', '总览'], completeness: ['Completeness', '完整性'], findings: ['Findings', '危急值'], models: ['Models', '模型'], quarantine: ['Quarantine', '隔离区'], incidents: ['Incidents', '事件'], fleet: ['Fleet', '代理'] };

const page = await opened();
await at(page, '');
await page.locator('.counters').waitFor();

check('the first view shows every site and the sums', async () => {
  expect('tiles', await page.locator('.tile').count(), sites.length);
  expect('sites', await page.locator('.counter b').first().innerText(), String(sites.length));
  expect('districts', await page.locator('.district h3').allInnerTexts(), ['haicang', 'siming']);
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
  await page.locator('.tile').nth(1).click();
  await until('the site', async () => (await page.locator('main h1').innerText()).startsWith(sites[1]));
  await page.goBack();
  await page.locator('.tiles').first().waitFor();
});
check('what comes is shown without a reload', async () => {
  await at(page, `site/${sites[2]}`);
  const records = () => page.locator('.facts div', { has: page.locator('dt', { hasText: /^Records$/ }) }).locator('dd').innerText();
  const before = Number((await records()).replace(/\D/g, ''));
  await deed('post', [sites[2], 2500, 40]);
  await until('40 more', async () => Number((await records()).replace(/\D/g, '')) >= before + 40);
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
});
check('what a clinic sends is text and never runs', async () => {
  await at(page, 'models');
  await until('its name', async () => (await text(page)).includes('<img src=x onerror=window.planted=1>'));
  expect('planted', await page.evaluate(() => window.planted), undefined);
});
check('a model shows what a recall of it would touch, as the API counts it', async () => {
  await page.locator('main table a').first().click();
  await until('its results', async () => /\d+ results of \d+ sites/.test(await text(page)));
  const ref = (await page.evaluate(() => location.hash)).split('/')[2];
  const counted = await (await fetch(`${page0}api/recalls/preview?model=${ref}`)).json();
  await until('the same', async () => (await text(page)).includes(`${counted.results} results of ${counted.facilities.length} sites`));
});
check('who may only look sees no button that changes something, and the API refuses', async () => {
  await at(page, 'findings');
  await until('findings', async () => (await page.locator('main tbody tr').count()) > 0);
  expect('buttons', await page.locator('main tbody button').count(), 0);
  const name = (await page.locator('main tbody tr').first().innerText()).split('\t');
  const refused = await fetch(`${page0}api/alerts/${name[0].trim()}/${name[1].trim()}/acknowledge`, { method: 'POST', headers: { Authorization: `Bearer ${tokens.viewer}` } });
  expect('the API', refused.status, 403);
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
    const one = await opened();
    await at(one, 'findings');
    await one.locator('summary').click();
    await one.getByLabel(/Token/).fill(tokens.operator);
    await one.locator('form button').click();
    await one.getByText('Signed in as t-operator').waitFor();
    await one.locator('main tbody button').first().waitFor();
    both.push(one);
  }
  await both[0].screenshot({ path: `${shots}/findings-operator.png` });
  const rows = await both[0].locator('main tbody tr').count();
  await Promise.all(both.map((one) => one.locator('main tbody tr').first().locator('button').click()));
  for (const one of both) await until('it is gone', async () => (await one.locator('main tbody tr').count()) < rows);
  wrong.length = 0; // the browser tells of the 409
  for (const one of both) await one.context().close();
});
check('when the service is gone the page says how old it is, and recovers', async () => {
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
check('the keyboard alone leads everywhere', async () => {
  await at(page, '');
  await page.locator('.tiles').first().waitFor();
  const seen = new Set();
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press('Tab');
    seen.add(await page.evaluate(() => document.activeElement?.className + ' ' + document.activeElement?.textContent));
  }
  for (const want of ['Fleet', 'counter', 'tile']) {
    if (![...seen].some((s) => s.includes(want))) throw new Error(`${want}: not reached`);
  }
});
for (const theme of ['light', 'dark']) {
  check(`axe finds nothing serious in any view, ${theme}`, async () => {
    const one = await opened({ colorScheme: theme });
    for (const hash of [...Object.keys(views), `site/${sites[0]}`]) {
      await at(one, hash);
      await until('it has loaded', async () => !(await text(one)).includes('Loading'));
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
  for (const hash of ['', 'fleet', `site/${sites[0]}`]) {
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
