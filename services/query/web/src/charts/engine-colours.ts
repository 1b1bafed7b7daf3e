/**
 * Colour and texture of an engine, the same on every page and for ever: an engine keeps its look whatever its rank. The
 * hues are Okabe and Ito's (https://jfly.uni-koeln.de/color/), told apart by people with any common colour vision; what
 * shares a hue differs by texture. Their steps for both themes, each 3:1 against the page, stand in tokens.css.
 */
export type Hue = "blue" | "vermillion" | "green" | "sky" | "purple" | "orange" | "yellow" | "grey";
export type Texture = "solid" | "hatch" | "dots";

export interface EngineLook {
  readonly hue: Hue;
  readonly texture: Texture;
  /** Of a line that stands for the engine. */
  readonly dash: string | undefined;
}

const solid = (hue: Hue): EngineLook => ({ hue, texture: "solid", dash: undefined });
const hatch = (hue: Hue): EngineLook => ({ hue, texture: "hatch", dash: "7 4" });

const LOOKS: Readonly<Record<string, EngineLook>> = {
  nano_banana_2: solid("blue"),
  kling: solid("vermillion"),
  grok_imagine: solid("green"),
  gpt_image_2: solid("sky"),
  seedance: solid("purple"),
  sms_us_ca: solid("orange"),
  draw_me: solid("yellow"),
  sora: hatch("vermillion"),
  editorial: hatch("purple"),
  bg_removal: hatch("sky"),
  face_switch: hatch("green"),
  sms_intl: hatch("orange"),
  sms: solid("orange"),
};

export const OTHER_LOOK: EngineLook = solid("grey");

const SPARE: readonly Hue[] = ["blue", "vermillion", "green", "sky", "purple", "orange", "yellow"];

/** An engine the palette does not know yet gets a look that follows from its code, so that it does not change either. */
export function engineLook(engine: string): EngineLook {
  const known = LOOKS[engine];
  if (known) return known;
  let hash = 0;
  for (const char of engine) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) % 9973;
  return { hue: SPARE[hash % SPARE.length] ?? "grey", texture: "dots", dash: "2 4" };
}

const SERIES: Readonly<Record<Hue, string>> = {
  blue: "1",
  orange: "2",
  green: "3",
  vermillion: "4",
  sky: "5",
  purple: "6",
  yellow: "7",
  grey: "other",
};

/** The CSS colour of a look. */
export function colourOf(look: EngineLook): string {
  return `var(--series-${SERIES[look.hue]})`;
}
