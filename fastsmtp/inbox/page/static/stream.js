// What happens, as the server tells it: all namespaces and the live figures, and each mail of one namespace, resumed
// from the newest cursor after every break. It is one stream, for a browser has few connections to a server.

import { Source } from './source.js';

const TOLD_EVERY_MS = 200; // a burst is told at once
const TYPES = { mail: 'arrived', update: 'updated', delete: 'deleted', purge: 'purged', fault: 'faulted', overflow: 'overflow' };

const epoch = (cursor) => cursor.split('.')[0];

export class Stream {
  // `tell` gets events of the state; `lost` is called where the namespace cannot be followed from its cursor on.
  constructor(tell, lost) {
    this.tell = tell;
    this.ns = ''; // the one whose mails are told
    this.cursor = '';
    this.waiting = []; // events that are not told yet
    this.timer = 0;
    this.toldAt = -TOLD_EVERY_MS;
    const takes = Object.entries(TYPES).map(([name, type]) => [name, (content) => this.onEvent(type, content)]);
    const on = {
      ...Object.fromEntries(takes),
      namespaces: (content) => tell({ type: 'namespaces', ...content }, { type: 'set', now: Date.now() }),
      live: (figures) => tell({ type: 'set', figures }),
    };
    const changed = (stream) => tell({ type: 'set', stream, ...(stream === 'lost' && { figures: null }) });
    this.source = new Source(() => this.address(), on, changed, lost);
  }

  address() {
    if (!this.ns) return '/api/live/events';
    return `/api/live/events?${new URLSearchParams({ ns: this.ns, after: this.cursor })}`;
  }

  // Tell of the mails of a namespace that come behind this cursor.
  follow(ns, cursor) {
    if (this.source.active && ns === this.ns && epoch(cursor) === epoch(this.cursor)) return;
    this.leave();
    this.ns = ns;
    this.cursor = cursor;
    this.source.pause();
    this.source.open();
  }

  // Tell of no mails until another namespace is followed.
  leave() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.waiting = [];
    this.ns = '';
    this.cursor = '';
  }

  // Tell at least of all namespaces.
  watch() {
    this.source.open();
  }

  onEvent(type, content) {
    if (!this.ns) return;
    this.cursor = content.cursor;
    const event = type === 'deleted' ? { type, uuids: [content.uuid] } : { ...content, type };
    const last = this.waiting[this.waiting.length - 1];
    if (type === 'deleted' && last && last.type === type) last.uuids.push(content.uuid);
    else this.waiting.push(event);
    const due = this.toldAt + TOLD_EVERY_MS - performance.now();
    if (!this.timer) this.timer = setTimeout(() => this.flush(), Math.max(0, due));
  }

  flush() {
    this.timer = 0;
    this.toldAt = performance.now();
    const events = this.waiting;
    this.waiting = [];
    this.tell(...events);
  }
}
