// Calls of the inbox's API.

import { encoded } from './route.js';

export class APIError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export async function call(method, path, document) {
  const options = { method }; // no header of its own: the first list was asked for by the server's `Link`
  if (document !== undefined) {
    options.body = typeof document === 'string' ? document : JSON.stringify(document);
    options.headers = { 'Content-Type': 'application/json' };
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new APIError(0, 'The server does not answer.');
  }
  if (!response.ok) throw new APIError(response.status, await reason(response));
  return response.json();
}

async function reason(response) {
  const text = await response.text();
  try {
    const { detail, pointer } = JSON.parse(text);
    return pointer && detail ? `${pointer}: ${detail}` : detail || text;
  } catch {
    return text || `The server answered with ${response.status}.`;
  }
}

export const at = (ns) => `/api/ns/${encoded(ns)}`;
export const mailAt = (ns, uuid) => `${at(ns)}/mails/${encodeURIComponent(uuid)}`;

const TROUBLE = 'worker-failed,no-worker,refused,dropped-by-plan,storage-failed';

// The keys of a list that is searched and filtered.
export function filters({ q, only }) {
  const query = new URLSearchParams();
  const words = only === 'unread' ? `${q} is:unread`.trim() : q;
  if (words) query.set('q', words);
  query.set('outcome', only === 'trouble' ? TROUBLE : 'any');
  return query;
}

export function list(route, bounds) {
  const query = filters(route);
  for (const [key, value] of Object.entries(bounds)) query.set(key, value);
  return call('GET', `${at(route.ns)}/mails?${query}`);
}

// The first `limit` octets of an answer as text, and whether there are more.
export async function beginning(path, limit) {
  const response = await fetch(path);
  if (!response.ok) throw new APIError(response.status, await reason(response));
  const reader = response.body.getReader();
  const decoder = new TextDecoder('utf-8');
  let text = '';
  let octets = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { text: text + decoder.decode(), more: false };
    octets += value.length;
    text += decoder.decode(value, { stream: true });
    if (octets >= limit) {
      reader.cancel();
      return { text, more: true };
    }
  }
}
