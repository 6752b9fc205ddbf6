// Requests to the server. Edits are sent one after the other, so that each one is based on the revision before it.

export class Refused extends Error {
  constructor(status, content) {
    super(content.problem ?? `status ${status}`);
    this.status = status;
    this.remedy = content.remedy ?? "";
    this.images = content.images ?? [];
  }
}

let queue = Promise.resolve();
let waiting = 0;

async function send(name, body) {
  const answer = await fetch(`api/${name}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    keepalive: false,
  });
  let content = {};
  try {
    content = await answer.json();
  } catch {
    // The guard answers with text.
  }
  if (!answer.ok) throw new Refused(answer.status, content);
  return content;
}

export function call(name, body = {}) {
  waiting += 1;
  const result = queue.then(() => send(name, typeof body === "function" ? body() : body));
  queue = result.catch(() => {}).finally(() => { waiting -= 1; });
  return result;
}

// For requests that may take long and change nothing.
export const callAside = send;

export const busy = () => waiting > 0;

export const pixels = (image, query) => `pixels/${image}?${new URLSearchParams(query)}`;
