import { Link } from "react-router";

import type { Card } from "@/api/queries/card";
import { Icon } from "@/components/Icon";
import { Select } from "@/components/Select";
import { text } from "@/text";

const { buy } = text.billing;

interface Props {
  /** Undefined: it is not known; the service pays with what it has. */
  card: Card | undefined;
  method: string;
  onMethod: (method: string) => void;
  onLeave: () => void;
}

/** With what is paid: the saved card, or in the sandbox one of its test cards. */
export function PayWith({ card, method, onMethod, onLeave }: Props) {
  if (card?.kind === "sandbox") {
    return (
      <Select
        label={buy.lines.method}
        value={method}
        onChange={onMethod}
        options={buy.testCards.map(([value, label]) => ({ value, label }))}
      />
    );
  }
  if (card?.kind !== "none") return null;
  return (
    <p className="buy-no-card" role="status">
      <Icon name="alert" size={16} />
      <span>
        {buy.noCard}{" "}
        <Link to="/billing" onClick={onLeave}>
          {buy.saveCard}
        </Link>
      </span>
    </p>
  );
}
