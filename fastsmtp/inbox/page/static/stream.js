// What happens in one namespace, as server-sent events tell it; resumed from the newest cursor after every break.

import { at } from './api.js';
import { Source } from './source.js';

const TOLD_EVERY_MS = 200; // a burst is told at once
const TYPES = { mail: 'arrived', update: 'updated', delete: 'deleted', purge: 'purged', fault: 'faulted', overflow: 'overflow' };

export class Stream {
  // `tell` gets events of the state; `lost` is called where the stream cannot be resumed.
  constructor(ns, cursor, tell, lost) {
    this.ns = ns;
    this.cursor = cursor;
    this.tell = tell;
    this.waiting = []; // events that are not told yet
    this.timer = 0;
    this.toldAt = -TOLD_EVERY_MS;
    const takes = Object.entries(TYPES).map(([name, type]) => [name, (content) => this.onEvent(type, content)]);
    const changed = (stream) => tell({ type: 'set', stream });
    this.source = new Source(() => this.address(), Object.fromEntries(takes), changed, lost);
  }

  address() {
    const query = this.cursor ? `?after=${encodeURIComponent(this.cursor)}` : '';
    return `${at(this.ns)}/events${query}`;
  }

  onEvent(type, content) {
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

  close() {
    clearTimeout(this.timer);
    this.source.close();
  }
}
