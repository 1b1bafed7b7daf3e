import { lazy, type ComponentType } from "react";
import { matchPath } from "react-router";

type Load = () => Promise<{ default: ComponentType }>;

const page = (path: string, load: Load) => ({ path, load, Page: lazy(load) });

// A page's code is loaded when the page is visited.
export const EMBED = page("/embed/:widget", () => import("@/pages/embed/EmbedPage"));
export const SIGN_IN = page("/sign-in", () => import("@/pages/sign-in/SignInPage"));

/** Of no account: public, or for administrators. */
export const OPEN_PAGES = [
  page("/pricing", () => import("@/pages/pricing/PricingPage")),
  page("/fleet", () => import("@/pages/fleet/FleetPage")),
  page("/price-books", () => import("@/pages/price-books/PriceBooksPage")),
  page("/price-books/:version", () => import("@/pages/price-books/BookPage")),
  page("/price-books/:version/draft", () => import("@/pages/price-books/DraftPage")),
  page("/repricings", () => import("@/pages/repricings/RepricingsPage")),
  page("/repricings/new", () => import("@/pages/repricings/NewPage")),
  page("/repricings/:repricingId", () => import("@/pages/repricings/RepricingPage")),
];

/** Of the account that is looked at. */
export const ACCOUNT_PAGES = [
  page("/", () => import("@/pages/dashboard/DashboardPage")),
  page("/events", () => import("@/pages/events/EventsPage")),
  page("/events/:eventId/analytics", () => import("@/pages/events/EventAnalyticsPage")),
  page("/activity", () => import("@/pages/activity/ActivityPage")),
  page("/billing", () => import("@/pages/billing/BillingPage")),
  page("/settings", () => import("@/pages/settings/SettingsPage")),
];

const ALL = [EMBED, SIGN_IN, ...OPEN_PAGES, ...ACCOUNT_PAGES];

/** Asks for the code of an address at once: it comes while the session is asked for, not after it. */
export function loadEarly(pathname: string): void {
  const visited = ALL.find(({ path }) => matchPath(path, pathname) !== null);
  // Where it fails, the page itself asks again and says so.
  visited?.load().catch(() => undefined);
}
