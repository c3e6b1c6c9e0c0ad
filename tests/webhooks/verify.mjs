// Verifies requests with the libraries that receivers in JavaScript use. Reads JSON from stdin,
// [{secret, headers, body}, …], and prints for each library which ones it accepts.
import { readFileSync } from "node:fs";
import * as standardwebhooks from "standardwebhooks";
import * as svix from "svix";

const requests = JSON.parse(readFileSync(0, "utf8"));
const accepts = ({ Webhook, WebhookVerificationError }) =>
  requests.map(({ secret, headers, body }) => {
    try {
      new Webhook(secret).verify(body, headers);
      return true;
    } catch (error) {
      if (error instanceof WebhookVerificationError) return false;
      throw error;
    }
  });
console.log(JSON.stringify({ standardwebhooks: accepts(standardwebhooks), svix: accepts(svix) }));
