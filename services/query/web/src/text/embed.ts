export const embed = {
  widgets: { balance: "Balance", timeline: "Activity timeline", donut: "Credits used", activity: "Recent activity" },
  wrongTitle: "This widget cannot be shown",
  wrong: {
    widget: "There is no such widget: balance, timeline, donut or activity.",
    token: "The address carries no token. It ends with #token=tbp1\u2026",
    account: "The address names no account: ?account=acc_\u2026",
  },
} as const;
