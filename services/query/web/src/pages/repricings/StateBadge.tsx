import type { RepricingState } from "@/api/contract";
import { Badge, type BadgeProps } from "@/components/Badge";
import { text } from "@/text";

const LOOKS: Readonly<Record<RepricingState, Pick<BadgeProps, "tone" | "icon">>> = {
  previewed: { tone: "neutral" },
  applying: { tone: "warning", icon: "clock" },
  applied: { tone: "success", icon: "check" },
  undoing: { tone: "warning", icon: "clock" },
  undone: { tone: "neutral", icon: "check" },
};

export function StateBadge({ state }: { state: RepricingState }) {
  return <Badge {...LOOKS[state]}>{text.repricings.states[state]}</Badge>;
}
