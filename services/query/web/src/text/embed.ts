export const embed = {
  head: { activity: "Recent activity", timeline: "Activity", donut: "Credits used by AI engine" },
  note: (range: string, zone: string): string => `${range} \u00b7 ${zone}`,
  widgets: { balance: "Balance", timeline: "Activity timeline", donut: "Credits used", activity: "Recent activity" },
  wrongTitle: "This widget cannot be shown",
  wrong: {
    widget: "There is no such widget: balance, timeline, donut or activity.",
    token: "The address carries no token. It ends with #token=tbp1\u2026",
    account: "The address names no account: ?account=acc_\u2026",
  },
  refused: {
    expired: {
      title: "This link has expired",
      text: "Links are good for a day at most. Ask whoever gave it to you for a new one.",
    },
    invalid: {
      title: "This link is not valid",
      text: "It was copied in part, or the key that made it was revoked. Ask whoever gave it to you for a new one.",
    },
    narrow: {
      title: "This link shows one event",
      text: "It opens the credits used of its event, and nothing of the account. Ask for a link to the account to see more.",
    },
    missing: {
      title: "There is nothing to show",
      text: "The link names an account or an event that it does not open, or that is not there.",
    },
  },
} as const;
