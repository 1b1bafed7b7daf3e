import { QueryClientProvider } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { BrowserRouter, Route, Routes } from "react-router";

import { makeQueryClient } from "@/api/query-client";
import { PageSkeleton } from "@/components/PageSkeleton";
import { SessionProvider } from "@/session/SessionProvider";
import { Shell } from "@/shell/Shell";

import { AccountPages } from "./AccountPages";
import { NotFound } from "./NotFound";

// A page's code is loaded when the page is visited.
const Dashboard = lazy(() => import("@/pages/dashboard/DashboardPage"));
const Events = lazy(() => import("@/pages/events/EventsPage"));
const EventAnalytics = lazy(() => import("@/pages/events/EventAnalyticsPage"));
const Activity = lazy(() => import("@/pages/activity/ActivityPage"));
const Pricing = lazy(() => import("@/pages/pricing/PricingPage"));
const Billing = lazy(() => import("@/pages/billing/BillingPage"));
const Settings = lazy(() => import("@/pages/settings/SettingsPage"));
const Fleet = lazy(() => import("@/pages/fleet/FleetPage"));
const PriceBooks = lazy(() => import("@/pages/price-books/PriceBooksPage"));
const PriceBook = lazy(() => import("@/pages/price-books/BookPage"));
const PriceBookDraft = lazy(() => import("@/pages/price-books/DraftPage"));
const Embed = lazy(() => import("@/pages/embed/EmbedPage"));
const SignIn = lazy(() => import("@/pages/sign-in/SignInPage"));

export function App() {
  return (
    <BrowserRouter>
      <Suspense fallback={<PageSkeleton />}>
        <Routes>
          <Route path="/embed/:widget" element={<Embed />} />
          <Route path="*" element={<Dashboards />} />
        </Routes>
      </Suspense>
    </BrowserRouter>
  );
}

function Dashboards() {
  const [queryClient] = useState(() => makeQueryClient());
  return (
    <QueryClientProvider client={queryClient}>
      <SessionProvider loading={<PageSkeleton />}>
        <Routes>
          <Route path="/sign-in" element={<SignIn />} />
          <Route element={<Shell />}>
            <Route path="/pricing" element={<Pricing />} />
            <Route path="/fleet" element={<Fleet />} />
            <Route path="/price-books" element={<PriceBooks />} />
            <Route path="/price-books/:version" element={<PriceBook />} />
            <Route path="/price-books/:version/draft" element={<PriceBookDraft />} />
            <Route element={<AccountPages />}>
              <Route path="/" element={<Dashboard />} />
              <Route path="/events" element={<Events />} />
              <Route path="/events/:eventId/analytics" element={<EventAnalytics />} />
              <Route path="/activity" element={<Activity />} />
              <Route path="/billing" element={<Billing />} />
              <Route path="/settings" element={<Settings />} />
            </Route>
            <Route path="*" element={<NotFound />} />
          </Route>
        </Routes>
      </SessionProvider>
    </QueryClientProvider>
  );
}
