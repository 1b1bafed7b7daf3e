const PAGE = 10;

/** Which row a key leads to, or null for a key that moves nowhere. */
export function nextIndex(key: string, index: number, count: number): number | null {
  const to = target(key, index, count);
  return to === null || count === 0 ? null : Math.max(0, Math.min(count - 1, to));
}

function target(key: string, index: number, count: number): number | null {
  switch (key) {
    case "j":
    case "ArrowDown":
      return index + 1;
    case "k":
    case "ArrowUp":
      return index - 1;
    case "PageDown":
      return index + PAGE;
    case "PageUp":
      return index - PAGE;
    case "Home":
      return 0;
    case "End":
      return count - 1;
    default:
      return null;
  }
}
