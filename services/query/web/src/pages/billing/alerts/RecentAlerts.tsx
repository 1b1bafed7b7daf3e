import { useState } from "react";

import type { Alert } from "@/api/types";
import { Button } from "@/components/Button";
import { Instant } from "@/components/Instant";
import { MoneyText } from "@/components/MoneyText";
import { formatCount } from "@/format";
import { EntryDrawer } from "@/ledger/EntryDrawer";
import { useEventNames } from "@/ledger/useEventNames";
import { text } from "@/text";

import { alertText } from "./describe";
import { useBoothNames } from "./useBoothNames";

const { recent: words } = text.alerts;
const SHOWN = 5;

/** What was told, newest first, each with the entry that crossed it. */
export function RecentAlerts({ recent, zone }: { recent: readonly Alert[]; zone: string }) {
  const [all, setAll] = useState(false);
  const [openId, setOpenId] = useState<string | null>(null);
  const eventName = useEventNames();
  const boothName = useBoothNames(recent.some((alert) => alert.kind === "booth_spike"));
  const rows = all ? recent : recent.slice(0, SHOWN);
  return (
    <div className="alert-recent">
      <h3>{words.title}</h3>
      {recent.length === 0 ? (
        <p className="muted small alert-none">{words.empty}</p>
      ) : (
        <div className="data-scroll" role="region" aria-label={words.caption} tabIndex={0}>
          <table className="data">
            <caption className="visually-hidden">{words.caption}</caption>
            <thead>
              <tr>
                <th scope="col">{words.when}</th>
                <th scope="col">{words.what}</th>
                <th scope="col" className="num">
                  {words.balance}
                </th>
                <th scope="col" className="num">
                  {words.cause}
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((alert) => (
                <tr key={alert.entry_id}>
                  <td className="alert-when">
                    <Instant at={alert.at} zone={zone} />
                  </td>
                  <td>{alertText(alert, eventName, boothName)}</td>
                  <td className="num">
                    <MoneyText money={alert.balance} />
                  </td>
                  <td className="num">
                    <Button
                      size="small"
                      aria-label={words.showOf(formatCount(alert.number))}
                      onClick={() => setOpenId(alert.crossed_by)}
                    >
                      {words.show}
                    </Button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {recent.length > rows.length ? (
        <p className="list-more">
          <Button size="small" onClick={() => setAll(true)}>
            {words.all(formatCount(recent.length))}
          </Button>
        </p>
      ) : null}
      {openId === null ? null : (
        <EntryDrawer entryId={openId} zone={zone} onOpenEntry={setOpenId} onClose={() => setOpenId(null)} />
      )}
    </div>
  );
}
