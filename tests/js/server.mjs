// A real server on loopback for the tests, to which the addresses that a page would ask are sent.

import { createServer } from "node:http";

const fetchAnything = globalThis.fetch;

/**
 * Serves `answer(request, response)` until `close()`; `asked` lists the paths that were asked for, in order; `hangUp()`
 * ends all connections.
 */
export async function serve(answer) {
  const asked = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    answer(request, response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = `http://127.0.0.1:${server.address().port}`;
  globalThis.fetch = (path, options) => fetchAnything(new URL(path, address), options);
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { asked, close, hangUp: () => server.closeAllConnections() };
}

export function sendJson(response, content, status = 200) {
  response.writeHead(status, { "Content-Type": status < 300 ? "application/json" : "application/problem+json" });
  response.end(JSON.stringify(content));
}

/** Sends the start of an answer and then hangs up. */
export function breakOff(response, start, type = "application/json") {
  response.writeHead(200, { "Content-Type": type, "Content-Length": 1000 });
  response.write(start, () => response.destroy());
}

/** Waits until `holds()`; a test that waits in vain is ended by its own timeout. */
export async function until(holds) {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
}
