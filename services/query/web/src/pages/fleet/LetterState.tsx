import type { DeadLetter } from "@/api/types";
import { Badge } from "@/components/Badge";
import { text } from "@/text";

const { deadLetters: words } = text.fleet;

/** Whether a letter still waits for somebody. */
export function LetterState({ letter }: { letter: DeadLetter }) {
  if (letter.state === undefined) return text.common.none;
  return letter.state === "open" ? (
    <Badge tone="warning" icon="clock">
      {words.open}
    </Badge>
  ) : (
    <Badge tone="success" icon="check">
      {words.closed}
    </Badge>
  );
}
