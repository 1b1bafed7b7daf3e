import type { DeadLetterStanding } from "./contract";
import type { components } from "./schema";

// Names for what the API sends, generated from openapi.json; what ingest answers stands in contract.ts.

type Schemas = components["schemas"];

export type Money = Schemas["Amount"];
export type Account = Schemas["Account"];
export type AccountPlan = Schemas["AccountPlan"];
export type Balance = Schemas["Balance"];
export type BalancePart = NonNullable<Balance["parts"]>[number];
export type Session = Schemas["Session"];
export type AccountListed = Schemas["AccountListed"];
export type EventListed = Schemas["Event"];
export type Estimate = Schemas["Estimate"];
export type EstimateLine = Schemas["EstimateLine"];
export type BoothListed = Schemas["Booth"];
export type Forecast = Schemas["Forecast"];
export type DeadLetter = Schemas["DeadLetter"] & DeadLetterStanding;
export type Recharge = Schemas["Recharge"];
export type Alert = Schemas["Alert"];
export type AlertRules = Schemas["AlertRules"];
export type Alerts = Schemas["Alerts"];
export type AlertState = Schemas["AlertState"];
export type NewSimulation = Schemas["NewSimulation"];
export type Pricing = Schemas["Pricing"];
export type Simulation = Schemas["Simulation"];
export type SimulatedCharge = Schemas["SimulatedCharge"];
export type SimulationOfPeriod = Schemas["SimulationOfPeriod"];
export type SimulationOfEngine = Schemas["SimulationOfEngine"];
export type Transaction = Schemas["Transaction"];
export type TransactionDetail = Schemas["TransactionDetail"];
export type Transactions = Schemas["Transactions"];
export type Usage = Schemas["Usage"];
export type FleetUsage = Schemas["FleetUsage"];
export type Drift = Schemas["Drift"];
export type DriftKind = Schemas["DriftKind"];
export type DriftExample = Schemas["DriftExample"];
export type TimelineBucket = Schemas["TimelineBucket"];
export type TimelineGroup = Schemas["TimelineGroup"];
export type EventUsage = Schemas["EventUsage"];
export type EngineUsage = Schemas["EngineUsage"];
export type Summary = Schemas["Summary"];
export type SummaryPeriod = Schemas["SummaryPeriod"];
export type PriceBook = Schemas["PriceBook"];
export type PriceBookListed = Schemas["PriceBookListed"];
export type Price = Schemas["Price"];
export type Plan = Schemas["Plan"];
export type Service = Schemas["Service"];
export type StreamBalance = Schemas["StreamBalance"];
export type StreamReady = Schemas["StreamReady"];
export type StreamResync = Schemas["StreamResync"];
export type StreamStale = Schemas["StreamStale"];
export type StreamUsage = Schemas["StreamUsage"];
export type ProblemBody = Schemas["Problem"];

export interface Page<T> {
  data: T[];
  has_more: boolean;
  next_cursor?: string | null;
}

/** A charge, or a failed one, or whatever else moved money: the vocabulary of `type`. */
export const ENTRY_TYPES = [
  "consume",
  "purchase",
  "auto_recharge",
  "refund",
  "reversal",
  "adjustment",
  "bonus",
  "bonus_expiry",
  "plan_fee",
  "repriced",
] as const;
export type EntryType = (typeof ENTRY_TYPES)[number];

export const STATUSES = ["success", "failed"] as const;
export type Status = (typeof STATUSES)[number];
