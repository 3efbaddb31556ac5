// Open a page in Chromium as a reader does, and print as JSON what was seen. Arguments: browser, page, width, scheme.
"use strict";
const fs = require("node:fs");
const { pathToFileURL } = require("node:url");
const { chromium } = require("playwright-core");

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const [, , browserPath, pagePath, width, scheme] = process.argv;

const column = (table, index) => table.locator(`tbody tr > :nth-child(${index + 1})`).allTextContents();

// Press the heading of a column three times: up, down, back; the first time by keyboard.
const sorting = async (table) => {
  const headings = await table.locator("thead th").count();
  const seen = [];
  for (let index = 0; index < headings; index += 1) {
    const heading = table.locator("thead th").nth(index);
    const orders = [{ sort: await heading.getAttribute("aria-sort"), cells: await column(table, index) }];
    for (const press of ["keyboard", "pointer", "pointer"]) {
      if (press === "keyboard") await heading.locator("button").press("Enter");
      else await heading.locator("button").click();
      orders.push({ sort: await heading.getAttribute("aria-sort"), cells: await column(table, index) });
    }
    seen.push(orders);
  }
  return seen;
};

const reading = async (plot) => {
  const cross = plot.getByRole("slider");
  await cross.focus();
  await cross.press("Home");
  const first = await cross.getAttribute("aria-valuetext");
  await cross.press("ArrowRight");
  await cross.press("End");
  const last = await cross.getAttribute("aria-valuetext");
  const shown = await plot.locator(".reading").innerText();
  await cross.press("Escape");
  const hidden = await plot.locator(".reading").isHidden();
  await cross.hover();
  const hovered = await plot.locator(".reading").innerText();
  return { first, last, shown, hidden, hovered };
};

const look = async (page) => {
  const drawings = page.locator(".plot > :is(.wide, .narrow) > svg");
  const boxes = await drawings.evaluateAll((all) => all.map((svg) => svg.getBoundingClientRect()).map((box) => [box.width, box.height]));
  const lines = await drawings.evaluateAll((all) => all.filter((svg) => svg.getBoundingClientRect().width > 0)
    .map((svg) => new Set([...svg.querySelectorAll("[stroke^='var(--s'], [fill^='var(--s']")]
      .map((path) => `${getComputedStyle(path).stroke} ${getComputedStyle(path).fill}`)).size));
  const sizes = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  return { figures: boxes.filter((box) => box[0] > 100 && box[1] > 100).length, lines, sizes };
};

const themes = async (page) => {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const found = [await ground()];
  for (let press = 0; press < 3; press += 1) {
    await page.locator("#theme").click();
    found.push(await ground());
  }
  return found;
};

const printed = async (page) => {
  await page.emulateMedia({ media: "print" });
  const found = await page.evaluate(() => [getComputedStyle(document.querySelector("nav")).display, getComputedStyle(document.body).backgroundColor]);
  await page.emulateMedia({ media: "screen" });
  return found;
};

(async () => {
  const browser = await chromium.launch({ executablePath: browserPath, args: FLAGS });
  try {
    const page = await browser.newPage({ viewport: { width: Number(width), height: 800 }, colorScheme: scheme });
    const address = pathToFileURL(pagePath).href;
    const [messages, requests] = [[], []];
    page.on("console", (message) => messages.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => messages.push(`error: ${error.message}`));
    page.on("request", (request) => { if (request.url() !== address && request.url() !== "data:,") requests.push(request.url()); });
    await page.goto(address, { waitUntil: "load" });
    await page.keyboard.press("Tab");
    const seen = { skip: await page.evaluate(() => document.activeElement.textContent), ...await look(page) };
    seen.readings = [];
    for (const plot of await page.locator(".plot").all()) seen.readings.push(await reading(plot));
    const tables = page.locator("table[data-sortable]");
    seen.sorting = [];
    for (const table of (await tables.all()).slice(0, 2)) seen.sorting.push(await sorting(table));
    seen.themes = await themes(page);
    seen.printed = await printed(page);
    await page.evaluate(fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8"));
    const { violations, passes } = await page.evaluate(() => globalThis.axe.run());
    seen.violations = violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`);
    seen.passes = passes.length;
    console.log(JSON.stringify({ ...seen, messages, requests }));
  } finally {
    await browser.close();
  }
})().catch((error) => { console.error(error.message); process.exit(1); });
