// Strokes of 24 by 24, drawn for this product.
const PATHS = {
  dashboard: "M4 13h6V4H4zM14 20h6V11h-6zM4 20h6v-3H4zM14 7h6V4h-6z",
  events: "M5 6h14a1 1 0 0 1 1 1v12a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1zM4 10.5h16M8.5 3.5v4M15.5 3.5v4",
  activity: "M4 6h16M4 12h16M4 18h10",
  pricing: "M12.5 4H19a1 1 0 0 1 1 1v6.5L11.5 20 4 12.5zM16 8h.01",
  billing: "M4 6h16a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1zM3 10.5h18M7 15h4",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 4.8a2.2 2.2 0 1 1 0 4.4 2.2 2.2 0 0 1 0-4.4zM9 14.8a2.2 2.2 0 1 1 0 4.4 2.2 2.2 0 0 1 0-4.4z",
  fleet: "M12 4l8 4-8 4-8-4zM4 12l8 4 8-4M4 16l8 4 8-4",
  book: "M6.5 4H19v13.5H6.5A2 2 0 0 0 4.5 19.5V6a2 2 0 0 1 2-2zM4.5 19.5A1.5 1.5 0 0 0 6 20.5h13V17.5M8.5 8.5h6.5M8.5 12h4",
  repeat: "M4.5 11a7.5 7.5 0 0 1 13.2-4.3L19.5 8.5M19.5 4v4.5H15M19.5 13a7.5 7.5 0 0 1-13.2 4.3L4.5 15.5M4.5 20v-4.5H9",
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6L6 18",
  search: "M11 4.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM16 16l4.5 4.5",
  check: "M5 12.5l4.5 4.5L19 7.5",
  alert: "M12 4.5L21 19.5H3zM12 10v4.5M12 17.2h.01",
  info: "M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16zM12 11v5M12 8h.01",
  cross: "M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16zM9.5 9.5l5 5M14.5 9.5l-5 5",
  clock: "M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16zM12 8v4.5l3 2",
  download: "M12 4v11M7.5 11L12 15.5 16.5 11M5 19.5h14",
  copy: "M9 9h10v10H9zM15 9V5H5v10h4",
  chevron: "M8 10l4 4 4-4",
  right: "M10 7l5 5-5 5",
  sun: "M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6L7 7M17 17l1.4 1.4M18.4 5.6L17 7M7 17l-1.4 1.4",
  moon: "M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z",
  monitor: "M4 5h16v11H4zM9 20h6M12 16v4",
  signOut: "M14 4.5H6v15h8M10 12h10.5M17 8.5l3.5 3.5-3.5 3.5",
  pause: "M9 6v12M15 6v12",
  play: "M8 5.5v13l10.5-6.5z",
  external: "M14 5h5v5M19 5l-8 8M17 14v5H5V7h5",
} as const;

export type IconName = keyof typeof PATHS;

/** A picture beside a text that says the same: hidden from assistive technology. */
export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.75"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
