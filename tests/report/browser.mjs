// usage: node browser.mjs [DIRECTORY]   reads report.html and report.json here; with a directory, leaves pictures and a PDF there.
import { chromium } from 'playwright-core';
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const keep = process.argv[2];
const axe = fs.readFileSync('node_modules/axe-core/axe.min.js', 'utf8');
let failures = 0;
const check = (good, what) => { if (!good) { failures++; console.log(`FAILED: ${what}`); } };
const browser = await chromium.launch({ timeout: 240000, executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage'] });

async function open(name) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  page.setDefaultTimeout(240000);  // a machine under load
  page.on('console', (message) => check(message.type() !== 'error', `${name}: console: ${message.text()}`));
  page.on('pageerror', (error) => check(false, `${name}: ${error}`));
  page.on('request', (request) => check(/^(file|data):/.test(request.url()), `${name} asks for ${request.url()}`));
  await page.goto(pathToFileURL(path.resolve(name)).href);
  return page;
}

// Of what all devices have in common a few are enough.
const shorten = (page) => page.evaluate(() => document.querySelectorAll('article.device:nth-of-type(n+6), ul.ids li:nth-child(n+4)').forEach((each) => each.remove()));

for (const name of ['report', 'unverified']) {
  const json = JSON.parse(fs.readFileSync(`${name}.json`, 'utf8'));
  const page = await open(`${name}.html`);
  for (const width of [1280, 390]) {
    for (const colorScheme of ['light', 'dark']) {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme });
      const where = `${name} at ${width}, ${colorScheme}`;
      const seen = await page.evaluate(() => ({
        width: document.documentElement.scrollWidth,
        first: document.body.innerText.trim().split('\n')[0],
        answer: document.querySelector('.answer').innerText,
        numbers: [...document.querySelectorAll('[data-number]')].map((each) => [each.dataset.number, each.textContent, each.getAttribute('href')]),
        dead: [...document.querySelectorAll('a[href^="#"]')].map((each) => each.getAttribute('href')).filter((href) => !document.getElementById(href.slice(1))),
        elsewhere: [...document.querySelectorAll('a[href]')].map((each) => each.getAttribute('href')).filter((href) => !href.startsWith('#')),
        doubled: (() => { const ids = [...document.querySelectorAll('[id]')].map((each) => each.id); return ids.filter((id, i) => ids.indexOf(id) !== i); })(),
        entries: Object.fromEntries([...document.querySelectorAll('section[id] > ul.ids')].map((each) => [each.parentElement.id, each.children.length])),
        records: document.querySelectorAll('details tr[id^="r"]').length,
      }));
      check(seen.width <= width, `${where}: it is ${seen.width} wide`);
      check(seen.first.startsWith(json.verification.verdict + ':'), `${where}: the first line is '${seen.first}'`);
      check(seen.answer.startsWith(json.answer.headline), `${where}: the answer is '${seen.answer}'`);
      check(seen.numbers.length > 60, `${where}: ${seen.numbers.length} numbers`);
      for (const [slug, text, href] of seen.numbers) {
        check(Number(text) === json.numbers[slug], `${where}: ${slug} is ${text} on the page and ${json.numbers[slug]} in the JSON`);
        check(text === '0' || href === `#${slug}`, `${where}: ${slug} has no link`);
        check(text === '0' || seen.entries[slug] === Number(text), `${where}: ${slug} is ${text}, and ${seen.entries[slug]} devices stand behind it`);
      }
      check(seen.dead.length === 0, `${where}: links that go nowhere: ${seen.dead.slice(0, 5)}`);
      check(seen.elsewhere.length === 0, `${where}: links to elsewhere: ${seen.elsewhere.slice(0, 5)}`);
      check(seen.doubled.length === 0, `${where}: ids that are there twice: ${seen.doubled.slice(0, 5)}`);
      const devices = fs.readFileSync(`${name}-devices.jsonl`, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
      check(seen.records === devices.reduce((sum, device) => sum + device.records.length, 0), `${where}: ${seen.records} records of devices`);
      if (keep) {
        await page.screenshot({ path: `${keep}/${name}-${width}-${colorScheme}.png` });
        await page.screenshot({ path: `${keep}/${name}-${width}-${colorScheme}-all.png`, clip: { x: 0, y: 0, width, height: Math.min(14000, await page.evaluate(() => document.documentElement.scrollHeight)) }, fullPage: true });
      }
    }
  }
  await shorten(page);
  await page.evaluate(axe);
  for (const [width, colorScheme] of [[1280, 'light'], [1280, 'dark'], [390, 'dark'], [390, 'light']]) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme });
    const where = `${name} at ${width}, ${colorScheme}`;
    const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    check(found.passes.length > 10, `${where}: axe looked at ${found.passes.length} rules`);
    for (const violation of found.violations)
      check(!['serious', 'critical'].includes(violation.impact), `${where}: axe: ${violation.id}, ${violation.help}: ${violation.nodes[0].html.slice(0, 200)}`);
    if (keep) for (const violation of found.violations) console.log(`${where}: axe, ${violation.impact}: ${violation.id}: ${violation.nodes[0].html.slice(0, 150)}`);
  }
  await page.close();
}

// A record behind a link is opened by going there.
const page = await open('report.html');
await page.click('#sec-breaches a[href^="#r"]');
check(await page.evaluate(() => document.querySelector(':target').closest('details').open), 'the link to a record does not open it');
// On paper: every record is there without a click.
if (!keep) await shorten(page);
const pdf = await page.pdf({ format: 'A4', preferCSSPageSize: true });
check(pdf.length > 20000, `the PDF has ${pdf.length} bytes`);
await page.emulateMedia({ media: 'print' });
check(await page.evaluate(() => document.querySelector('details:not([open]) tr[id^="r"]').getBoundingClientRect().height > 5), 'records are hidden on paper');
if (keep) fs.writeFileSync(`${keep}/report.pdf`, pdf);
await browser.close();
console.log(failures === 0 ? 'the report is as it should be in a browser' : `${failures} failures`);
process.exit(failures === 0 ? 0 : 1);
