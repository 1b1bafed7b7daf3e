import { usePageTitle } from "@/components/usePageTitle";
import { text } from "@/text";

import { AccountPanel } from "./AccountPanel";
import { BoothsPanel } from "./BoothsPanel";
import { KeysPanel } from "./keys/KeysPanel";
import { PortalPanel } from "./portal/PortalPanel";
import "./settings.css";
import { WebhooksPanel } from "./webhooks/WebhooksPanel";

export default function SettingsPage() {
  usePageTitle(text.settings.title);
  return (
    <div className="page">
      <header className="page-head">
        <h1>{text.settings.title}</h1>
      </header>
      <AccountPanel />
      <BoothsPanel />
      <WebhooksPanel />
      <KeysPanel />
      <PortalPanel />
    </div>
  );
}
