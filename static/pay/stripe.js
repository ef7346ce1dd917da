// Stripe's form in our page. When it is paid, Stripe sends the browser to the booking.

import { desk, onPay, ready, tell } from "./desk.js";

const { key, secret, back, missing } = desk.dataset;

if (!window.Stripe) tell(missing);
else {
  const stripe = window.Stripe(key);
  const theme = matchMedia("(prefers-color-scheme: dark)").matches ? "night" : "stripe";
  const elements = stripe.elements({ clientSecret: secret, locale: document.documentElement.lang, appearance: { theme } });
  const form = elements.create("payment");
  form.on("ready", ready);
  form.on("loaderror", () => tell(missing));
  form.mount("#form");
  onPay(async () => {
    const { error } = await stripe.confirmPayment({ elements, confirmParams: { return_url: `${location.origin}${back}?provider=stripe` } });
    if (error) tell(error.message);
  });
}
