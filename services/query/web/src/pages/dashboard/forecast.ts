import type { Forecast, Money } from "@/api/types";
import { formatDay, formatMoney, formatTime, isoDate } from "@/format";
import { text } from "@/text";

/** "At tonight's pace $84.20 lasts until 10:40 PM."; null where there is too little to say. */
export function forecastSentence(forecast: Forecast, available: Money, zone: string): string | null {
  const amount = formatMoney(available);
  if (forecast.runs_out_at && forecast.method) {
    const today = isoDate(forecast.as_of, zone) === isoDate(forecast.runs_out_at, zone);
    const time = formatTime(forecast.runs_out_at, zone, false);
    const when = today ? time : `${formatDay(forecast.runs_out_at, zone)}, ${time}`;
    return text.dashboard.forecast.lasts[forecast.method](amount, when);
  }
  return forecast.reason === "beyond_horizon" ? text.dashboard.forecast.reasons.beyond_horizon(amount) : null;
}
