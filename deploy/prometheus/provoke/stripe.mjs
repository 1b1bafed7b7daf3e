// As much of Stripe's API as payments need, for provocations: intents, refunds and disputes in memory. It fails as it is told.
// Shapes as in services/ingest/tests/it/stripe/fake.rs.
import { createHmac } from "node:crypto";
import http from "node:http";
import { fileURLToPath } from "node:url";

/** What a stack is told so that this takes its money. */
export const PORT = 12111;
const SECRET = "whsec_of_a_stack_of_trial";
export const SETTINGS = {
    TOLLBOOTH_INGEST__PURCHASES__PROVIDER: "stripe",
    TOLLBOOTH_INGEST__PURCHASES__STRIPE__API_URL: `http://127.0.0.1:${PORT}`,
    TOLLBOOTH_INGEST__PURCHASES__STRIPE__SECRET_KEY: "sk_test_of_a_trial",
    TOLLBOOTH_INGEST__PURCHASES__STRIPE__WEBHOOK_SECRETS: SECRET,
    TOLLBOOTH_INGEST__PURCHASES__STRIPE__RETURN_URL: "http://127.0.0.1:8081/billing",
    // Sixty times as often as without it, as the windows of the rules are shorter.
    TOLLBOOTH_INGEST__PURCHASES__STRIPE__RECONCILE_EVERY_MS: "10000",
    TOLLBOOTH_INGEST__PURCHASES__STRIPE__RECONCILE_AFTER_MS: "10000",
};

const seconds = () => Math.floor(Date.now() / 1000);
const list = (data) => ({ object: "list", data, has_more: false });

export class Stripe {
    intents = [];
    disputes = [];
    #keys = new Map();
    /** `unauthorized`: no key is taken. `away`: nothing is answered. `lost`: as `away` from the moment on that money is taken. */
    mode = "well";

    constructor() {
        this.server = http.createServer((request, response) => {
            const parts = [];
            request.on("data", (part) => parts.push(part));
            request.on("end", () => this.#answer(request, new URLSearchParams(Buffer.concat(parts).toString()), response));
        });
        this.server.unref();
        this.listening = new Promise((resolve) => this.server.listen(PORT, "127.0.0.1", resolve));
    }

    #answer(request, form, response) {
        if (this.mode === "away") return request.destroy();
        const { pathname, searchParams } = new URL(request.url, "http://stripe");
        const [status, body] =
            this.mode === "unauthorized"
                ? [401, { error: { type: "invalid_request_error", message: "Invalid API Key provided" } }]
                : this.#do(`${request.method} ${pathname}`, request.method === "GET" ? searchParams : form, request.headers);
        // Told to be away while it was carried out.
        if (this.mode === "away") return request.destroy();
        response.writeHead(status, { "content-type": "application/json", "request-id": "req_trial" }).end(JSON.stringify(body));
    }

    #do(what, form, headers) {
        const path = what.split("/").slice(2);
        const intent = this.intents.find(({ id }) => id === path[1]);
        if (what === "GET /v1/payment_intents/search") {
            const id = /'([^']*)'$/.exec(form.get("query"))[1];
            return [200, { ...list(this.intents.filter((one) => one.metadata.tollbooth_payment === id)), object: "search_result", next_page: null }];
        }
        if (what === "GET /v1/payment_intents") {
            const [from, to] = [Number(form.get("created[gte]") ?? 0), Number(form.get("created[lt]") ?? Infinity)];
            return [200, list(this.intents.filter(({ created }) => created >= from && created < to).reverse())];
        }
        if (what === "POST /v1/payment_intents") return [200, this.#create(form, headers["idempotency-key"])];
        if (path[2] === "confirm") {
            Object.assign(intent, { status: "succeeded", amount_received: intent.amount, latest_charge: "ch_1" });
            if (this.mode === "lost") this.mode = "away";
            return [200, intent];
        }
        if (path[0] === "payment_intents" && intent) return [200, intent];
        if (path[0] === "disputes") {
            const of = form.get("payment_intent");
            return [200, list(this.disputes.filter((one) => !of || one.payment_intent === of))];
        }
        if (path[0] === "refunds") return [200, list([])];
        if (path[0] === "payment_methods") return [200, { id: path[1], object: "payment_method", customer: "cus_trial", type: "card" }];
        return [404, { error: { type: "invalid_request_error", code: "resource_missing", message: what } }];
    }

    #create(form, key) {
        const known = this.#keys.get(key);
        if (known) return known;
        const metadata = Object.fromEntries(
            [...form].flatMap(([name, value]) => (name.startsWith("metadata[") ? [[name.slice(9, -1), value]] : [])),
        );
        const id = `pi_trial_${Date.now()}_${this.intents.length}`;
        const intent = {
            id, object: "payment_intent", amount: Number(form.get("amount")), amount_received: 0, created: seconds(),
            currency: form.get("currency"), customer: form.get("customer"), last_payment_error: null, latest_charge: null,
            livemode: false, metadata, next_action: null, payment_method: form.get("payment_method"),
            payment_method_types: ["card"], status: "requires_confirmation",
        };
        this.intents.push(intent);
        this.#keys.set(key, intent);
        return intent;
    }

    /** The payer's bank takes the money of an intent back. */
    dispute({ id, amount, currency }) {
        const moved = { id: "txn_1", object: "balance_transaction", amount: -amount, created: seconds(), currency, fee: 1500, net: -amount - 1500 };
        const dispute = {
            id: `dp_${id}`, object: "dispute", amount, balance_transactions: [moved], charge: "ch_1", created: seconds(), currency,
            livemode: false, metadata: {}, payment_intent: id, reason: "fraudulent", status: "needs_response",
        };
        this.disputes.push(dispute);
        return dispute;
    }

    close() {
        this.server.closeAllConnections();
        this.server.close();
    }
}

/** A webhook's body and its `Stripe-Signature`. */
export const webhook = (type, object, secret = SECRET) => {
    const body = JSON.stringify({
        id: `evt_${Date.now()}`, object: "event", api_version: "2026-08-26.dahlia", created: seconds(), data: { object },
        livemode: false, type,
    });
    const at = seconds();
    return { body, signature: `t=${at},v1=${createHmac("sha256", secret).update(`${at}.${body}`).digest("hex")}` };
};

// Run as a program it prints them: `env $(node deploy/prometheus/provoke/stripe.mjs) make up ...`.
if (process.argv[1] === fileURLToPath(import.meta.url))
    console.log(Object.entries(SETTINGS).map(([name, value]) => `${name}=${value}`).join(" "));
