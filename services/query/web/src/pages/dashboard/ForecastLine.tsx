import { useQuery } from "@tanstack/react-query";

import type { Money } from "@/api/types";
import { forecastQuery } from "@/api/queries/account";
import { Icon } from "@/components/Icon";
import { utcTitle } from "@/format";
import { useAccount } from "@/session/context";

import { forecastSentence } from "./forecast";

/** One plain sentence on how long the credits last; nothing where there is too little to say. */
export function ForecastLine({ available }: { available: Money }) {
  const { accountId, zone } = useAccount();
  const { data } = useQuery(forecastQuery(accountId));
  if (data === undefined) return null;
  const sentence = forecastSentence(data, available, zone);
  if (sentence === null) return null;
  return (
    <p
      className="balance-forecast"
      data-testid="forecast"
      title={data.runs_out_at ? utcTitle(data.runs_out_at) : undefined}
    >
      <Icon name="clock" size={16} />
      {sentence}
    </p>
  );
}
