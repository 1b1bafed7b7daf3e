import type { ProfileBody } from "@/api/contract";
import type { Account } from "@/api/types";
import type { SelectOption } from "@/components/Select";
import { zoneCity } from "@/format";
import { text } from "@/text";

const { edit: words } = text.settings.account;

const NAME_CHARS_MAX = 200;

export interface ProfileDraft {
  name: string;
  zone: string;
}

export function draftOf(account: Account): ProfileDraft {
  return { name: account.name, zone: account.time_zone };
}

/** What is wrong with the name; undefined where it can be sent. */
export function nameError(draft: ProfileDraft): string | undefined {
  const name = draft.name.trim();
  if (name === "") return words.nameMissing;
  return Array.from(name).length > NAME_CHARS_MAX ? words.nameLong : undefined;
}

/** What is another than before; null where nothing is. What somebody else set meanwhile stays. */
export function changeOf(account: Account, draft: ProfileDraft): ProfileBody | null {
  const name = draft.name.trim();
  const change: ProfileBody = {
    ...(name === account.name ? {} : { name }),
    ...(draft.zone === account.time_zone ? {} : { time_zone: draft.zone }),
  };
  return Object.keys(change).length === 0 ? null : change;
}

/** `Tokyo (Asia)`: by the city, as pages name a zone, so that typing it finds it. */
function zoneLabel(zone: string): string {
  const region = zone.split("/").slice(0, -1).join(", ").replaceAll("_", " ");
  return region === "" || region === "Etc" ? zoneCity(zone) : `${zoneCity(zone)} (${region})`;
}

/** Browsers tell a place's oldest name in the tz database; these are its names of today. */
export const NAMES_OF_TODAY: Readonly<Record<string, string>> = {
  "Africa/Asmera": "Africa/Asmara",
  "America/Buenos_Aires": "America/Argentina/Buenos_Aires",
  "America/Catamarca": "America/Argentina/Catamarca",
  "America/Coral_Harbour": "America/Atikokan",
  "America/Cordoba": "America/Argentina/Cordoba",
  "America/Godthab": "America/Nuuk",
  "America/Indianapolis": "America/Indiana/Indianapolis",
  "America/Jujuy": "America/Argentina/Jujuy",
  "America/Louisville": "America/Kentucky/Louisville",
  "America/Mendoza": "America/Argentina/Mendoza",
  "Asia/Calcutta": "Asia/Kolkata",
  "Asia/Katmandu": "Asia/Kathmandu",
  "Asia/Rangoon": "Asia/Yangon",
  "Asia/Saigon": "Asia/Ho_Chi_Minh",
  "Atlantic/Faeroe": "Atlantic/Faroe",
  "Europe/Kiev": "Europe/Kyiv",
  "Pacific/Enderbury": "Pacific/Kanton",
  "Pacific/Ponape": "Pacific/Pohnpei",
  "Pacific/Truk": "Pacific/Chuuk",
};

/** Every place that may be chosen. Names without a region, `EST` and its like, are clocks and no places. */
export function zoneOptions(zones: readonly string[], current: string): SelectOption[] {
  const named = zones.filter((zone) => zone.includes("/") && !zone.startsWith("Etc/"));
  const places = new Set([...named.map((zone) => NAMES_OF_TODAY[zone] ?? zone), "UTC", current]);
  return [...places]
    .map((zone) => ({ value: zone, label: zoneLabel(zone) }))
    .sort((one, other) => one.label.localeCompare(other.label, "en"));
}
