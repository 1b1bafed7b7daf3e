import type { ReactNode } from "react";

import type { Repricing, RepricingSums } from "@/api/contract";
import { EmptyState } from "@/components/EmptyState";
import { MoneyText } from "@/components/MoneyText";
import { Panel } from "@/components/Panel";
import { formatCount, formatMoney, isNegative, isZero, negate } from "@/format";
import { text } from "@/text";

import { totalOf } from "./lines";

const { sums: words } = text.repricings;

/** All accounts together: one sentence, and the figures behind it. */
export function SumsPanel({ repricing }: { repricing: Repricing }) {
  const total = totalOf(repricing.accounts);
  const changed = repricing.accounts.filter((account) => account.changes > 0).length;
  return (
    <Panel title={repricing.state === "previewed" ? words.title : words.titleSeen}>
      {total === null || total.changes === 0 ? (
        <EmptyState icon="check" title={words.nothing}>
          {words.nothingText}
        </EmptyState>
      ) : (
        <div className="stack">
          <p className="repricing-take">{takeaway(total, changed)}</p>
          <dl className="repricing-figures">
            <Figure label={words.accounts}>{formatCount(changed)}</Figure>
            <Figure label={words.charges}>{formatCount(total.changes)}</Figure>
            <Figure label={words.was}>
              <MoneyText money={total.was} />
            </Figure>
            <Figure label={words.wouldBe}>
              <MoneyText money={total.would_be} />
            </Figure>
            <Figure label={words.difference}>
              <MoneyText money={total.difference} signed />
            </Figure>
          </dl>
          <p className="muted small">{words.asOf}</p>
        </div>
      )}
    </Panel>
  );
}

function Figure({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div>
      <dt className="muted small">{label}</dt>
      <dd className="repricing-figure tabular">{children}</dd>
    </div>
  );
}

function takeaway({ changes, difference }: RepricingSums, accounts: number): string {
  const charges = words.charge(changes, accounts);
  if (isZero(difference)) return words.even(charges);
  return isNegative(difference)
    ? words.cheaper(charges, formatMoney(negate(difference)))
    : words.dearer(charges, formatMoney(difference));
}
