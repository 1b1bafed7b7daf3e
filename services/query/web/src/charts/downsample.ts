/**
 * Thins a long series to at most four points per pixel column: first, lowest, highest, last. What the eye could see of
 * the full line stays: every peak, every dip, and how columns join. Runs once over the values.
 *
 * Returns indices into `values`, ascending, without repeats. The rule is M4 (Jugel et al., "M4: A
 * Visualization-Oriented Time Series Data Aggregation", VLDB 2014), which draws the same pixels as all points.
 */
export function downsampleIndices(values: ArrayLike<number>, columns: number): number[] {
  const length = values.length;
  const width = Math.max(1, Math.floor(columns));
  if (length <= width * 4) return Array.from({ length }, (_, index) => index);

  const kept: number[] = [];
  for (let column = 0; column < width; column += 1) {
    const first = Math.floor((column * length) / width);
    const last = Math.floor(((column + 1) * length) / width) - 1;
    const { low, high } = extremes(values, first, last);
    const ascending = low < high ? [first, low, high, last] : [first, high, low, last];
    for (const index of ascending) {
      if (kept.at(-1) !== index) kept.push(index);
    }
  }
  return kept;
}

function extremes(values: ArrayLike<number>, first: number, last: number): { low: number; high: number } {
  let low = first;
  let high = first;
  for (let index = first + 1; index <= last; index += 1) {
    const value = values[index] ?? 0;
    if (value < (values[low] ?? 0)) low = index;
    if (value > (values[high] ?? 0)) high = index;
  }
  return { low, high };
}
