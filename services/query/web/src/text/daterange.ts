export const daterange = {
} as const;
