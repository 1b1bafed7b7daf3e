import { colourOf, type EngineLook } from "./engine-colours";

interface PatternProps {
  readonly id: string;
  readonly look: EngineLook;
}

/** The texture of a look; nothing for a solid one. */
export function TexturePattern({ id, look }: PatternProps) {
  if (look.texture === "solid") return null;
  return (
    <pattern
      id={id}
      width="7"
      height="7"
      patternUnits="userSpaceOnUse"
      patternTransform={look.texture === "hatch" ? "rotate(45)" : undefined}
    >
      <rect width="7" height="7" fill={colourOf(look)} />
      {look.texture === "hatch" ? (
        <rect width="2.5" height="7" fill="var(--chart-separator)" />
      ) : (
        <circle cx="3.5" cy="3.5" r="1.6" fill="var(--chart-separator)" />
      )}
    </pattern>
  );
}

/** What fills a mark of this look, given the id of its pattern. */
export function paintOf(look: EngineLook, patternId: string): string {
  return look.texture === "solid" ? colourOf(look) : `url(#${patternId})`;
}

/** The small square before an engine's name. */
export function Swatch({ id, look }: PatternProps) {
  return (
    <svg className="swatch" width="12" height="12" viewBox="0 0 12 12" aria-hidden="true" focusable="false">
      <defs>
        <TexturePattern id={id} look={look} />
      </defs>
      <rect x="0.75" y="0.75" width="10.5" height="10.5" rx="3" fill={paintOf(look, id)} />
    </svg>
  );
}
