export const fleet = { title: "Fleet" } as const;
