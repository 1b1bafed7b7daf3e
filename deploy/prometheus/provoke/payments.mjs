// Payments, over a Stripe of the trial's own.
import { account, admin, env, lacking, quietly, sleep } from "./stack.mjs";
import { SETTINGS, Stripe, webhook } from "./stripe.mjs";

export const lacksStripe = lacking(SETTINGS, "`env $(node deploy/prometheus/provoke/stripe.mjs) make up ...`");
export let stripe;
/** With a Stripe of ours from the begin on: payments of before are none of this one's. */
export const withStripe = (begin) => async (isOver) => {
    stripe ??= new Stripe();
    await stripe.listening;
    stripe.mode = "well";
    await begin(isOver);
};
export const savedCard = (id) => admin("PUT", `/v1/accounts/${id}/payment-method`, { customer_id: "cus_trial", payment_method_id: "pm_card_visa" });
export const buy = () => quietly(admin("POST", `/v1/accounts/${account}/purchases`, { amount: "50.00" }));
/** Money is taken, and the answer is lost: nobody knows of it but Stripe. */
export const buyUnheard = async () => {
    await savedCard(account);
    stripe.mode = "lost";
    while (stripe.mode === "lost") await buy();
    // Until the process that asked has given it up.
    await sleep(3000);
    return stripe.intents.at(-1);
};
export const tell = (type, object, secret) => {
    const { body, signature } = webhook(type, object, secret);
    const headers = { "content-type": "application/json", "stripe-signature": signature };
    return quietly(fetch(`${env.TOLLBOOTH_INGEST_URL}/v1/payments/stripe`, { method: "POST", headers, body, signal: AbortSignal.timeout(12000) }));
};
