import { activity } from "./activity";
import { alerts } from "./alerts";
import { billing } from "./billing";
import { charts } from "./charts";
import { common } from "./common";
import { dashboard } from "./dashboard";
import { daterange } from "./daterange";
import { embed } from "./embed";
import { events } from "./events";
import { fleet } from "./fleet";
import { keys } from "./keys";
import { portal } from "./portal";
import { priceBooks } from "./price-books";
import { pricing } from "./pricing";
import { repricings } from "./repricings";
import { settings } from "./settings";
import { signIn } from "./sign-in";
import { webhooks } from "./webhooks";

// Every text of the dashboard, a file a page. What has a number in it is a function, so that a translation can order its
// words. Components import `text` and hold no sentence of their own.
export const text = {
  activity,
  alerts,
  billing,
  charts,
  common,
  dashboard,
  daterange,
  embed,
  events,
  fleet,
  keys,
  portal,
  priceBooks,
  pricing,
  repricings,
  settings,
  signIn,
  webhooks,
} as const;
