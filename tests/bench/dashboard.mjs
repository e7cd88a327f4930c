// The overview in Chromium, for dashboard.py: so many cold starts, each in a browser of its own that has settled on an empty page and
// holds nothing of ours; then one that is watched until stdin ends. Prints {"first_view_ms":[…]}, "watching", {"seconds_seen":N}.
import { chromium } from 'playwright-core';

const { EGRET_PAGE: address, EGRET_CHROMIUM: executablePath } = process.env;
const sites = Number(process.env.EGRET_SITES);
const launch = () => chromium.launch({
  executablePath,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});

// From the navigation to the frame that shows every site, by the page's own clock.
async function open(browser) {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage();
  await page.addInitScript((all) => {
    window.seconds = 0;
    const look = () => {
      if (document.querySelectorAll('.tile').length < all) return requestAnimationFrame(look);
      setTimeout(() => { window.shownMs = performance.now(); });
      const told = document.querySelector('.counters');
      new MutationObserver(() => { window.seconds++; }).observe(told, { attributes: true, attributeFilter: ['data-now'] });
    };
    if (location.protocol.startsWith('http')) requestAnimationFrame(look);
  }, sites);
  await page.evaluate(() => new Promise((done) => requestIdleCallback(done)));
  await page.goto(address);
  const shown = await page.waitForFunction(() => window.shownMs, undefined, { timeout: 60000 });
  return { page, ms: await shown.jsonValue() };
}

const cold = [];
for (let i = 0; i < Number(process.env.EGRET_COLD); i++) {
  const browser = await launch();
  cold.push((await open(browser)).ms);
  await browser.close();
}
console.log(JSON.stringify({ first_view_ms: cold }));
const browser = await launch();
const { page } = await open(browser);
await page.waitForTimeout(3000); // its start is not what is measured
await page.evaluate(() => { window.seconds = 0; });
console.log('watching');
await new Promise((done) => process.stdin.on('end', done).resume());
console.log(JSON.stringify({ seconds_seen: await page.evaluate(() => window.seconds) }));
await browser.close();
