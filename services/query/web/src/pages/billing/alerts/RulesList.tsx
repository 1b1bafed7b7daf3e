import { Badge } from "@/components/Badge";
import { formatDateTime, utcTitle } from "@/format";
import { text } from "@/text";

import type { RuleLine } from "./describe";

const { alerts: words } = text;

/** A line a rule: what it waits for, and whether it has told. */
export function RulesList({ lines, zone }: { lines: readonly RuleLine[]; zone: string }) {
  return (
    <ul className="alert-rules" aria-label={words.rulesCaption}>
      {lines.map((line) => (
        <li key={line.key} className="alert-rule">
          <span>{line.text}</span>
          <span className="alert-state">
            <Since line={line} zone={zone} />
            <StateBadge line={line} />
          </span>
        </li>
      ))}
    </ul>
  );
}

function StateBadge({ line }: { line: RuleLine }) {
  if (line.state === "fired") {
    return (
      <Badge tone="warning" icon="alert">
        {words.fired}
      </Badge>
    );
  }
  return (
    <Badge tone="success" icon="check">
      {line.state === "armed" ? words.armed : words.watching}
    </Badge>
  );
}

function Since({ line, zone }: { line: RuleLine; zone: string }) {
  if (line.per === "event") return <span className="muted small">{words.perEvent}</span>;
  if (line.per === "booth") return <span className="muted small">{words.perBooth}</span>;
  if (line.firedAt === null) return null;
  const time = formatDateTime(line.firedAt, zone);
  return (
    <time className="muted small" dateTime={line.firedAt} title={utcTitle(line.firedAt)}>
      {line.state === "fired" ? words.firedSince(time) : words.lastTold(time)}
    </time>
  );
}
