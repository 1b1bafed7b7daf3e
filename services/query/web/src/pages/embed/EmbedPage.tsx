import { QueryClientProvider } from "@tanstack/react-query";
import { useLayoutEffect, useState } from "react";
import { useParams } from "react-router";

import { setBearer } from "@/api/client";
import { makeQueryClient } from "@/api/query-client";
import { EmptyState } from "@/components/EmptyState";
import { ErrorBoundary } from "@/components/ErrorBoundary";
import { LiveProvider } from "@/live/LiveProvider";
import { AccountProvider } from "@/session/AccountProvider";
import { text } from "@/text";

import "./embed.css";
import { EmbedActivity } from "./EmbedActivity";
import { EmbedBalance } from "./EmbedBalance";
import { EmbedDonut } from "./EmbedDonut";
import { EmbedEvent } from "./EmbedEvent";
import { EmbedRefused } from "./EmbedRefused";
import { readEmbed, tokenOf, type EmbedSettings } from "./embed-settings";
import { EmbedTimeline } from "./EmbedTimeline";
import { KeepPace } from "./KeepPace";
import { Pace } from "./pace";
import { useRefusal } from "./useRefusal";

/** How soon what is not there yet is looked for again. */
const AGAIN_MS = 10_000;

/** One widget for a customer's own site, read with a portal token. */
export default function EmbedPage() {
  const { widget } = useParams();
  const [settings] = useState(() => begin(readEmbed(widget, new URLSearchParams(location.search), location.hash)));
  const [pace] = useState(() => new Pace());
  const [queryClient] = useState(() => makeQueryClient(pace.refetchMs));
  if ("problem" in settings) {
    return (
      <main className="embed">
        <EmptyState icon="alert" title={text.embed.wrongTitle}>
          {text.embed.wrong[settings.problem]}
        </EmptyState>
      </main>
    );
  }
  return (
    <QueryClientProvider client={queryClient}>
      <Widget settings={settings} pace={pace} />
    </QueryClientProvider>
  );
}

// Before anything is asked for: every request carries the token.
function begin(settings: ReturnType<typeof readEmbed>): ReturnType<typeof readEmbed> {
  if (!("problem" in settings)) setBearer(settings.token);
  return settings;
}

// The token stays out of the history and of what is copied from the address bar.
function hideToken(): void {
  history.replaceState(history.state, "", location.pathname + location.search);
}

function Widget({ settings, pace }: { settings: EmbedSettings; pace: Pace }) {
  const { refusal, forget } = useRefusal(AGAIN_MS);
  useLayoutEffect(() => {
    hideToken();
    const root = document.documentElement;
    if (settings.theme !== null) root.dataset.theme = settings.theme;
    for (const [property, colour] of Object.entries(settings.colours)) root.style.setProperty(property, colour);
  }, [settings]);
  useLayoutEffect(() => {
    // A site gives its frame a new token in the fragment before the old one ends: nothing is loaded anew for it.
    const renew = (): void => {
      const token = tokenOf(location.hash);
      if (token === null) return;
      setBearer(token);
      hideToken();
      forget();
    };
    window.addEventListener("hashchange", renew);
    return () => window.removeEventListener("hashchange", renew);
  }, [forget]);
  return (
    <main className={`embed embed-${settings.widget}`} aria-label={text.embed.widgets[settings.widget]}>
      <ErrorBoundary>
        {refusal === null ? <Content settings={settings} pace={pace} /> : <EmbedRefused refusal={refusal} />}
      </ErrorBoundary>
    </main>
  );
}

function Content({ settings, pace }: { settings: EmbedSettings; pace: Pace }) {
  const { accountId, eventId, widget } = settings;
  // A token of one event reads no stream of the account: this widget asks again.
  if (widget === "donut" && eventId !== null) return <EmbedEvent accountId={accountId} eventId={eventId} />;
  return (
    <AccountProvider accountId={accountId}>
      <LiveProvider accountId={accountId}>
        <KeepPace pace={pace} />
        <OfAccount settings={settings} />
      </LiveProvider>
    </AccountProvider>
  );
}

function OfAccount({ settings: { widget, eventId, measure } }: { settings: EmbedSettings }) {
  switch (widget) {
    case "balance":
      return <EmbedBalance />;
    case "timeline":
      return <EmbedTimeline eventId={eventId} measure={measure} />;
    case "donut":
      return <EmbedDonut />;
    case "activity":
      return <EmbedActivity eventId={eventId} />;
  }
}
