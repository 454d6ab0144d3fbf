// Opens pages in headless Chromium, at three widths, light and dark, and says what is wrong with them: messages, requests, text that
// is cut, lies on other text or leaves its picture. Writes a screenshot of each, and what is printed of it.
//
//   node look.mjs FOLDER PAGE.html..      CHROMIUM names the browser
import { mkdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const WIDTHS = [360, 900, 1600];
const SCHEMES = ["light", "dark"];
// Screenshots are a little smaller than pages, as they are kept.
const SCALE = 0.75;
// No connection of the browser's own, and letters that are the same wherever they stand, which makes small files.
const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--disable-font-subpixel-positioning",
  "--font-render-hinting=full"];

// Runs in the page: what is wrong with what is seen.
function faults() {
  const found = [];
  const about = text => JSON.stringify(text.trim().replace(/\s+/g, " ").slice(0, 60));
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth} wide in a window of ${root.clientWidth}`);
  for (const element of document.body.querySelectorAll("*")) {
    if (element.closest("svg, script, [hidden]")) continue;
    const { overflowX } = getComputedStyle(element);
    const cut = element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0;
    // What is moved sideways can be reached by the keyboard.
    if (cut && overflowX === "auto" && element.tabIndex < 0) found.push(`not reached by keys: ${about(element.textContent)}`);
    if (cut && overflowX !== "auto" && overflowX !== "visible") found.push(`cut: ${about(element.textContent)}`);
    if (cut && overflowX === "visible" && !["SPAN", "A"].includes(element.tagName)) found.push(`overflows: ${about(element.textContent)}`);
  }
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!node.data.trim() || parent.closest("script, title, [hidden]")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const { left, right, top, bottom } of range.getClientRects()) {
      // Letters are lower than their lines.
      const air = (bottom - top) * 0.2;
      texts.push({ left, right, top: top + air, bottom: bottom - air, text: node.data, svg: parent.closest("svg") });
    }
  }
  for (const { svg, text, left, right, top, bottom } of texts) {
    if (!svg) continue;
    const all = svg.getBoundingClientRect();
    const beyond = Math.max(all.left - left, right - all.right, all.top - top, bottom - all.bottom);
    if (beyond > 0.5) found.push(`${beyond.toFixed(1)} px beyond its picture: ${about(text)}`);
  }
  texts.forEach((one, at) => texts.slice(at + 1).forEach(other => {
    const across = Math.min(one.right, other.right) - Math.max(one.left, other.left);
    const down = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
    if (across > 0.5 && down > 0.5) found.push(`${about(one.text)} lies on ${about(other.text)}`);
  }));
  return [...new Set(found)];
}

const [folder, ...pages] = process.argv.slice(2);
if (!pages.length) {
  console.error("usage: node look.mjs FOLDER PAGE.html..");
  process.exit(2);
}
mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: QUIET });
let wrong = 0;
const tell = (where, what) => { wrong += 1; console.log(`${where}: ${what}`); };
for (const path of pages) {
  const name = basename(path, ".html"), url = pathToFileURL(resolve(path)).href;
  for (const width of WIDTHS) {
    for (const colorScheme of SCHEMES) {
      const where = `${name} ${width} ${colorScheme}`;
      const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme, deviceScaleFactor: SCALE });
      page.on("console", message => tell(where, `console: ${message.text()}`));
      page.on("pageerror", error => tell(where, `error: ${error.message}`));
      page.on("request", request => {
        if (request.url() !== url && !request.url().startsWith("data:")) tell(where, `request: ${request.url()}`);
      });
      await page.goto(url);
      for (const fault of await page.evaluate(faults)) tell(where, fault);
      await page.screenshot({ path: join(folder, `${name}-${width}-${colorScheme}.png`), fullPage: true });
      if (width === WIDTHS[1] && colorScheme === "dark") {
        await page.pdf({ path: join(folder, `${name}.pdf`), format: "A4", printBackground: true, preferCSSPageSize: true });
      }
      await page.close();
    }
  }
}
await browser.close();
console.log(wrong ? `${wrong} faults` : `${pages.length} pages, nothing wrong`);
process.exit(wrong ? 1 : 0);
