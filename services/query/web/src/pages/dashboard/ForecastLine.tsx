import { useQuery } from "@tanstack/react-query";

import type { Forecast } from "@/api/contract";
import type { Money } from "@/api/types";
import { forecastQuery } from "@/api/queries/account";
import { Icon } from "@/components/Icon";
import { formatDay, formatMoney, formatTime, isoDate, utcTitle } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

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
      title={data.runs_out_at === null ? undefined : utcTitle(data.runs_out_at)}
    >
      <Icon name="clock" size={16} />
      {sentence}
    </p>
  );
}

export function forecastSentence(forecast: Forecast, available: Money, zone: string): string | null {
  const amount = formatMoney(available);
  if (forecast.runs_out_at !== null && forecast.method !== null) {
    const today = isoDate(forecast.as_of, zone) === isoDate(forecast.runs_out_at, zone);
    const time = formatTime(forecast.runs_out_at, zone, false);
    const when = today ? time : `${formatDay(forecast.runs_out_at, zone)}, ${time}`;
    return text.dashboard.forecast.lasts[forecast.method](amount, when);
  }
  return forecast.reason === "beyond_horizon" ? text.dashboard.forecast.reasons.beyond_horizon(amount) : null;
}
