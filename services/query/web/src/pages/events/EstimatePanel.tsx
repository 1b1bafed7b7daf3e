import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";

import type { Estimate, EstimateLine, EventListed } from "@/api/types";
import { estimateQuery } from "@/api/queries/events";
import { buttonClass } from "@/components/Button";
import { Icon } from "@/components/Icon";
import { MoneyText } from "@/components/MoneyText";
import { Panel } from "@/components/Panel";
import { QueryState } from "@/components/QueryState";
import { Skeleton } from "@/components/Skeleton";
import { TextField } from "@/components/TextField";
import { useDebounced } from "@/components/useDebounced";
import { formatMoney, formatQuantity } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { ESTIMATE_DEFAULT, parseEstimate } from "./estimate-input";

const { estimate: words } = text.events;

/** What a next event of this kind would cost, before it begins. */
export function EstimatePanel({ event }: { readonly event: EventListed }) {
  const [input, setInput] = useState(ESTIMATE_DEFAULT);
  const parsed = parseEstimate(input);
  const asked = useDebounced(parsed.ok ? `${String(parsed.guests)} ${parsed.operations}` : "");
  const [guests = "", operations = ""] = asked.split(" ");
  return (
    <Panel title={words.title}>
      <div className="estimate-inputs">
        <TextField
          label={words.guests}
          inputMode="numeric"
          value={input.guests}
          error={!parsed.ok && parsed.guests ? words.guestsError : undefined}
          onChange={(change) => {
            setInput({ ...input, guests: change.target.value });
          }}
        />
        <TextField
          label={words.operations}
          inputMode="decimal"
          value={input.operations}
          error={!parsed.ok && parsed.operations ? words.operationsError : undefined}
          onChange={(change) => {
            setInput({ ...input, operations: change.target.value });
          }}
        />
      </div>
      {asked !== "" && <Answer eventId={event.event_id} guests={Number(guests)} operations={operations} />}
    </Panel>
  );
}

interface AnswerProps {
  readonly eventId: string;
  readonly guests: number;
  readonly operations: string;
}

function Answer({ eventId, guests, operations }: AnswerProps) {
  const { accountId } = useAccount();
  const query = useQuery(estimateQuery(accountId, eventId, guests, operations));
  return (
    <QueryState query={query} skeleton={<Skeleton height="9rem" />}>
      {(estimate) =>
        estimate.lines.length === 0 ? <p className="muted">{words.nothing}</p> : <Result estimate={estimate} />
      }
    </QueryState>
  );
}

/** What has no price today counts as it did so far. */
function unitPrice({ unit_price, unit }: EstimateLine): string {
  if (!unit_price) return text.common.none;
  const price = formatMoney(unit_price, { places: "exact" });
  return unit ? words.unit(price, unit) : price;
}

function Result({ estimate }: { readonly estimate: Estimate }) {
  const { enough, missing, available, total, basis } = estimate;
  return (
    <div className="estimate" data-testid="estimate">
      <div className="estimate-total">
        <span>{words.total}</span>
        <strong className="tabular" data-testid="estimate-total">
          <MoneyText money={total} />
        </strong>
      </div>
      <p className={enough ? "estimate-verdict is-enough" : "estimate-verdict is-short"}>
        <Icon name={enough ? "check" : "alert"} size={16} />
        {enough || !missing ? words.enough(formatMoney(available)) : words.missing(formatMoney(missing))}
        {!enough && (
          <Link to="/billing" className={buttonClass("primary", "small")}>
            {words.buy}
          </Link>
        )}
      </p>
      <p className="muted small">{words.basis[basis.kind](basis.count)}</p>
      <details className="estimate-lines">
        <summary>{words.lines}</summary>
        <div className="table-scroll">
          <table className="breakdown">
            <thead>
              <tr>
                <th scope="col">{words.service}</th>
                <th scope="col">{words.activities}</th>
                <th scope="col">{words.price}</th>
                <th scope="col">{words.amount}</th>
              </tr>
            </thead>
            <tbody>
              {estimate.lines.map((line) => (
                <tr key={`${line.service} ${line.engine} ${line.variant ?? ""}`}>
                  <th scope="row">{line.name}</th>
                  <td>{formatQuantity(String(line.count))}</td>
                  <td>{unitPrice(line)}</td>
                  <td>{formatMoney(line.amount)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </div>
  );
}
