// Opens sockets with the `ws` package for the Python tests; see wire.mjs for what is spoken.
import WebSocket from "ws";
import { listen, say } from "./wire.mjs";

const sockets = new Map();

function open(socket, url, protocols) {
  const made = new WebSocket(url, protocols);
  sockets.set(socket, made);
  made.on("open", () => say({ socket, on: "open", protocol: made.protocol }));
  made.on("message", (data, binary) => {
    if (binary) throw new Error("a binary message");
    say({ socket, on: "text", text: data.toString("utf8") });
  });
  // A refused handshake is an error and then a close; the close is what the tests look at.
  made.on("error", () => {});
  made.on("close", (code, reason) => {
    say({ socket, on: "close", code, reason: reason.toString("utf8") });
  });
}

say({ ready: true });
await listen(({ socket, do: order, ...given }) => {
  if (order === "open") open(socket, given.url, given.protocols);
  else if (order === "send") sockets.get(socket).send(given.text);
  else sockets.get(socket).close(1000);
});
for (const made of sockets.values()) made.terminate();
