import { useState, type ReactNode } from "react";
import { Link } from "react-router";

import { Button } from "@/components/Button";
import { Instant } from "@/components/Instant";
import { Panel } from "@/components/Panel";
import { formatDate, formatTimeNamed, zoneCity } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { ProfileDialog } from "./ProfileDialog";

const { account: words } = text.settings;

export function AccountPanel() {
  const { account, zone } = useAccount();
  const [editing, setEditing] = useState(false);
  const now = new Date().toISOString();
  const planNote = account.plan.in_force ? null : ` ${words.planFrom(formatDate(account.plan.effective_from, zone))}`;
  return (
    <Panel title={words.title} actions={
        <Button size="small" onClick={() => setEditing(true)}>
          {words.change}
        </Button>
      }>
      <dl className="facts">
        <Fact label={words.name}>{account.name}</Fact>
        <Fact label={words.id}>
          <code>{account.account_id}</code>
        </Fact>
        <Fact label={words.plan}>
          <span>
            {account.plan.name}
            {planNote} <Link to="/pricing">{words.comparePlans}</Link>
          </span>
        </Fact>
        <Fact label={words.currency}>{account.currency}</Fact>
        <Fact label={words.zone}>
          <span title={zone}>{text.common.zone(zoneCity(zone))}</span>
          <span className="muted small">
            {words.now(formatTimeNamed(now, zone))}. {words.zoneNote}
          </span>
        </Fact>
        <Fact label={words.opened}>
          <Instant at={account.opened_at} zone={zone} show="date" />
        </Fact>
      </dl>
      {editing ? <ProfileDialog onClose={() => setEditing(false)} /> : null}
    </Panel>
  );
}

function Fact({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}
