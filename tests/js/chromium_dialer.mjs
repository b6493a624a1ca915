// Opens sockets in a page of a headless Chromium for the Python tests; wire.mjs says what is
// spoken. Arguments: the browser's executable, a directory for its profile, the page.
import { chromium } from "playwright-core";
import { listen, say } from "./wire.mjs";

const [executablePath, profile, page_url] = process.argv.slice(2);
const args = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-gpu",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
  "--no-sandbox",
];

// Runs in the page. Reports go out in batches: one call a batch, however many sockets there are.
function install() {
  const sockets = new Map();
  let reports = [];
  let reporting = false;

  async function report(one) {
    reports.push(one);
    if (reporting) return;
    reporting = true;
    while (reports.length > 0) {
      const batch = reports;
      reports = [];
      await window.chatReport(batch);
    }
    reporting = false;
  }

  function open(socket, url, protocols) {
    const made = new WebSocket(url, protocols);
    sockets.set(socket, made);
    made.onopen = () => report({ socket, on: "open", protocol: made.protocol });
    made.onmessage = ({ data }) => report({ socket, on: "text", text: data });
    made.onclose = ({ code, reason }) => report({ socket, on: "close", code, reason });
  }

  window.chatOrders = (orders) => {
    for (const { socket, do: order, ...given } of orders) {
      if (order === "open") open(socket, given.url, given.protocols);
      else if (order === "send") sockets.get(socket).send(given.text);
      else sockets.get(socket).close(1000);
    }
  };
}

const browser = await chromium.launchPersistentContext(profile, { executablePath, args });
const page = browser.pages()[0] ?? (await browser.newPage());
await page.exposeFunction("chatReport", (batch) => batch.forEach(say));
await page.goto(page_url);
await page.evaluate(install);

let orders = [];
let working = Promise.resolve();
function pass() {
  const batch = orders;
  orders = [];
  return batch.length > 0 ? page.evaluate((all) => window.chatOrders(all), batch) : undefined;
}

say({ ready: true });
await listen((order) => {
  orders.push(order);
  working = working.then(pass);
});
await working;
await browser.close();
