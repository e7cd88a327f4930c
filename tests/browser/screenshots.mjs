// Pictures of pages, for screenshots.py: each of EGRET_PICTURES ({name, url, wait, dark, locale}) as EGRET_SHOTS/NAME.png.
import { chromium } from 'playwright-core';

const [width, height] = process.env.EGRET_SIZE.split('x').map(Number);
const browser = await chromium.launch({
  executablePath: process.env.EGRET_CHROMIUM,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
for (const { name, url, wait, dark, locale } of JSON.parse(process.env.EGRET_PICTURES)) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? 'dark' : 'light', locale: locale ?? 'en-GB' });
  const page = await context.newPage();
  await page.goto(url);
  await page.locator(wait).first().waitFor({ timeout: 60000 });
  await page.waitForFunction(() => !document.body.innerText.includes('Loading'), undefined, { timeout: 60000 });
  await page.screenshot({ path: `${process.env.EGRET_SHOTS}/${name}.png` });
  await context.close();
}
await browser.close();
