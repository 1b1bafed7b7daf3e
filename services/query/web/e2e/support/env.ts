/** Where the running stack is; e2e/run.sh takes it from the stack's demo.env. */
function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run e2e/run.sh, or source the demo.env of a running stack`);
  return value;
}

export const env = {
  ingestUrl: required("TOLLBOOTH_INGEST_URL"),
  queryUrl: required("TOLLBOOTH_QUERY_URL"),
  /** What the browser visits: query itself, or a development server before it. */
  webUrl: process.env.TOLLBOOTH_WEB_URL ?? required("TOLLBOOTH_QUERY_URL"),
  adminKey: required("TOLLBOOTH_ADMIN_KEY"),
  chromium: process.env.TOLLBOOTH_CHROMIUM ?? "/usr/bin/chromium",
};
