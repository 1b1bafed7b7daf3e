import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

import react from "@vitejs/plugin-react";
import { build } from "vite";

const web = fileURLToPath(new URL("..", import.meta.url));
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

/**
 * How long a year of quarters of an hour takes to be drawn, from the click to the painted frame, in ms: the chart of the
 * dashboard as it is built for it, on the page of made-up data (dev/gallery).
 */
export async function gallery(browser, runs) {
  const dir = mkdtempSync(join(tmpdir(), "tollbooth-gallery-"));
  try {
    await build({
      root: web,
      configFile: false,
      logLevel: "error",
      plugins: [react()],
      resolve: { alias: { "@": join(web, "src") } },
      build: { outDir: dir, emptyOutDir: true, target: "es2022", rollupOptions: { input: join(web, "dev/gallery/index.html") } },
    });
    const server = await serve(dir);
    const times = [];
    for (let run = 0; run < runs; run += 1) times.push(await draw(browser, server.address().port));
    server.close();
    return times;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function serve(dir) {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://localhost").pathname);
    try {
      const body = readFileSync(join(dir, path));
      response.writeHead(200, { "Content-Type": TYPES[extname(path)] ?? "application/octet-stream" }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done(server)));
}

async function draw(browser, port) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${String(port)}/dev/gallery/index.html`);
  const button = page.locator("#draw-year");
  await button.scrollIntoViewIfNeeded();
  const time = await button.evaluate(
    (element) =>
      new Promise((done) => {
        const card = element.closest("section");
        const begun = performance.now();
        element.click();
        // The chart measures its box and draws in it: the frame after which its line is on the screen.
        const look = () => {
          const isDrawn = card.querySelector(".tl-line")?.getAttribute("d");
          requestAnimationFrame(isDrawn ? () => setTimeout(() => done(performance.now() - begun)) : look);
        };
        look();
      }),
  );
  await context.close();
  return time;
}
