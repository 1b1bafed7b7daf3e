/** Asks the stack's ClickHouse itself, past every service. A statement, or a question whose rows come as arrays of texts. */
export async function sql(statement: string): Promise<string[][]> {
  const { CLICKHOUSE_URL: url, CLICKHOUSE_DATABASE: database } = process.env;
  if (!url || !database) throw new Error("CLICKHOUSE_URL and CLICKHOUSE_DATABASE are not set: source the demo.env of a running stack");
  const search = new URLSearchParams({ database, default_format: "TabSeparated" });
  const answer = await fetch(`${url}/?${search.toString()}`, { method: "POST", body: statement });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${statement}: ${text}`);
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.split("\t"));
}
