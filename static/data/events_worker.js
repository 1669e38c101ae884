// The worker that all pages and frames of one browser share, so that they have one connection: browsers open only six
// to a server.

import { Connection } from "./connection.js";

const connection = new Connection();
self.addEventListener("online", () => connection.wake());

self.addEventListener("connect", ({ ports: [port] }) => {
  const watched = new Map();
  const leave = (run) => {
    connection.leave(run, watched.get(run));
    watched.delete(run);
  };
  port.addEventListener("message", ({ data: { watch, leave: left, wake, asks } }) => {
    if (watch && !watched.has(watch)) {
      watched.set(watch, (told) => port.postMessage(told));
      connection.watch(watch, watched.get(watch));
    }
    if (left) leave(left);
    if (wake) connection.wake();
    if (asks) port.postMessage({ ready: true });
  });
  port.start();
  port.postMessage({ ready: true });
});
