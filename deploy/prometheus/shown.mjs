// Says which alerts link to a dashboard that shows no metric of their expression: whoever is woken would look at a page on which
// nothing is wrong.
//
//   node deploy/prometheus/shown.mjs KNOWN     KNOWN: a file with the names of all metrics, one a line
import fs from "node:fs";

const rules = "deploy/prometheus";
const boards = "deploy/grafana/dashboards";
const known = new Set(fs.readFileSync(process.argv[2], "utf8").split("\n").filter(Boolean));

/** Every rule of a file: its alert or record, its expression, its dashboard. */
const rulesOf = (text) =>
    text.split(/^ *- (?=(?:alert|record): )/m).slice(1).map((rule) => ({
        alert: /^alert: (.+)$/m.exec(rule)?.[1],
        record: /^record: (.+)$/m.exec(rule)?.[1],
        // `expr:` and the lines that stand further to the right than it.
        expression: /^( *)expr: .*\n(?:\1 +\S.*\n?)*/m.exec(rule)?.[0] ?? "",
        board: /^ *dashboard_url: \/d\/(\S+)$/m.exec(rule)?.[1],
    }));
const files = fs.readdirSync(rules).filter((name) => name.endsWith(".rules.yml"));
const all = files.flatMap((name) => rulesOf(fs.readFileSync(`${rules}/${name}`, "utf8")));
const recorded = new Map(all.filter(({ record }) => record).map(({ record, expression }) => [record, expression]));

/** The metrics of an expression, and of what is recorded that it names. Labels and their values stand in braces. */
const metricsOf = (expression) =>
    (expression.replaceAll(/\{[^}]*\}/g, "").match(/[a-z_][a-z0-9_:]*/gi) ?? [])
        .filter((name) => known.has(name))
        .flatMap((name) => (recorded.has(name) ? [name, ...metricsOf(recorded.get(name))] : [name]));

const shown = new Map();
for (const file of fs.readdirSync(boards)) {
    const { uid, panels } = JSON.parse(fs.readFileSync(`${boards}/${file}`, "utf8"));
    // A row that is folded holds its panels.
    const queries = panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]).flatMap((panel) => panel.targets ?? []);
    shown.set(uid, new Set(queries.flatMap(({ expr }) => metricsOf(expr))));
}

let failed = false;
for (const { alert, expression, board } of all.filter(({ alert }) => alert)) {
    const metrics = metricsOf(expression);
    // The dead-man switch is about no metric.
    if (alert === "Watchdog" || metrics.some((name) => shown.get(board)?.has(name))) continue;
    console.error(`${alert}: /d/${board} shows none of ${[...new Set(metrics)].join(", ") || "its metrics"}`);
    failed = true;
}
process.exit(failed ? 1 : 0);
