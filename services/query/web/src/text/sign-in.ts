export const signIn = {
  title: "Sign in",
  intro: "Use an account key to see one account, or an admin key to see the fleet.",
  label: "API key",
  hint: "Begins with tb_sk_ or tb_ak_. It is exchanged for a session and is not stored in this browser.",
  submit: "Sign in",
  working: "Signing in",
  required: "Enter a key",
  malformed: "This does not look like a key: it begins with tb_",
  refused: "This key is not known, or was revoked",
  booth: "A booth's key can report work, but not read an account. Use an account key",
  tooMany: (seconds: number): string => `Too many attempts. Wait ${seconds} s and try again`,
  unavailable: "This server has no sign-in yet",
  pending:
    "You are signed out in this browser. The servers cannot confirm it everywhere yet and will do so by themselves. If somebody else may have used this browser, ask an administrator to revoke the key.",
  ended: "Your session has ended. Sign in again to continue.",
  linked: "The link that you followed brought this key. Sign in with it only if you know whose it is.",
  linkedOver:
    "The link that you followed brought this key. You are signed in already: signing in with it ends that session here. Do it only if you know whose key it is.",
  pricing: "See the price list",
} as const;
