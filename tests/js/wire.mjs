// The line protocol between the Python tests and a dialer: JSON objects on stdin and stdout.
//
// In:  {"socket":k,"do":"open","url":…,"protocols":[…]}  {"socket":k,"do":"send","text":…}
//      {"socket":k,"do":"close"}
// Out: {"ready":true}, once, and then of each socket {"socket":k,"on":"open","protocol":…}
//      {"socket":k,"on":"text","text":…}  {"socket":k,"on":"close","code":…,"reason":…}
import { createInterface } from "node:readline";

/** Writes one object as a line. */
export function say(object) {
  process.stdout.write(JSON.stringify(object) + "\n");
}

/** Hands every order to `take`, one after another, until stdin ends. */
export async function listen(take) {
  for await (const line of createInterface({ input: process.stdin })) {
    await take(JSON.parse(line));
  }
}
