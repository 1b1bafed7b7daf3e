import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";

import { env } from "./env";

const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export type Theme = "light" | "dark";
export const DESK = { width: 1280, height: 900 };
export const PHONE = { width: 390, height: 844 };
/** The ends of what the pages are made for. */
export const NARROW = { width: 360, height: 780 };
export const TABLET = { width: 768, height: 1024 };
export const WIDE = { width: 2560, height: 1440 };

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: env.chromium, args: ARGS });
}

export interface View {
  readonly theme?: Theme;
  readonly size?: { readonly width: number; readonly height: number };
  readonly touch?: boolean;
  /** Whether the visitor has nothing against things that move; by default somebody who has. */
  readonly motion?: boolean;
}

/** A page and everything wrong that it said: what the console complains about is a defect. */
export interface Visit {
  readonly page: Page;
  readonly context: BrowserContext;
  readonly complaints: string[];
}

export async function visit(
  browser: Browser,
  { theme = "light", size = DESK, touch = false, motion = false }: View = {},
): Promise<Visit> {
  const context = await browser.newContext({
    baseURL: env.webUrl,
    viewport: size,
    colorScheme: theme,
    hasTouch: touch,
    isMobile: touch,
    locale: "en-US",
    // Far from every account's zone: what depends on the browser's own clock shows.
    timezoneId: "Pacific/Auckland",
    reducedMotion: motion ? "no-preference" : "reduce",
    acceptDownloads: true,
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.on("console", (message) => {
    // A refused request is part of some tests; they look at what the page makes of it.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
      complaints.push(`console: ${message.text()}`);
    }
  });
  return { page, context, complaints };
}

/** Signs in by the link that `make up` prints: it fills the field. The key must not stay in the address. */
export async function signIn(page: Page, key: string, path = "/"): Promise<void> {
  await page.goto(`/sign-in#key=${key}`);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => url.pathname === "/" && url.hash === "");
  if (path !== "/") await page.goto(path);
}

/** An account's page, signed in and drawn. */
export async function open(browser: Browser, key: string, path = "/", view: View = {}): Promise<Visit> {
  const visited = await visit(browser, view);
  await signIn(visited.page, key, path);
  await visited.page.locator("h1").first().waitFor();
  return visited;
}
