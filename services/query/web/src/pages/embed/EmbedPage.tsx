import { QueryClientProvider } from "@tanstack/react-query";
import { useLayoutEffect, useState } from "react";
import { useParams } from "react-router";

import { setBearer } from "@/api/client";
import { makeQueryClient } from "@/api/query-client";
import { EmptyState } from "@/components/EmptyState";
import { ErrorBoundary } from "@/components/ErrorBoundary";
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
import { useRefusal } from "./useRefusal";

const REFETCH_MS = 10_000;

/** One widget for a customer's own site, read with a portal token. */
export default function EmbedPage() {
  const { widget } = useParams();
  const [settings] = useState(() => begin(readEmbed(widget, new URLSearchParams(location.search), location.hash)));
  const [queryClient] = useState(() => makeQueryClient(REFETCH_MS));
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
      <Widget settings={settings} />
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

function Widget({ settings }: { settings: EmbedSettings }) {
  const { refusal, forget } = useRefusal(REFETCH_MS);
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
      <ErrorBoundary>{refusal === null ? <Content settings={settings} /> : <EmbedRefused refusal={refusal} />}</ErrorBoundary>
    </main>
  );
}

function Content({ settings }: { settings: EmbedSettings }) {
  const { accountId, eventId, widget } = settings;
  if (widget === "donut" && eventId !== null) return <EmbedEvent accountId={accountId} eventId={eventId} />;
  return (
    <AccountProvider accountId={accountId}>
      <OfAccount widget={widget} eventId={eventId} />
    </AccountProvider>
  );
}

function OfAccount({ widget, eventId }: Pick<EmbedSettings, "widget" | "eventId">) {
  switch (widget) {
    case "balance":
      return <EmbedBalance />;
    case "timeline":
      return <EmbedTimeline eventId={eventId} />;
    case "donut":
      return <EmbedDonut />;
    case "activity":
      return <EmbedActivity eventId={eventId} />;
  }
}
