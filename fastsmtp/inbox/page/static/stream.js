// What happens in one namespace, as server-sent events tell it; resumed from the newest cursor after every break.

import { at } from './api.js';

const TOLD_EVERY_MS = 200; // a burst is told at once
const SHORTEST_MS = 500;
const LONGEST_MS = 8000;

export class Stream {
  // `tell` gets events of the state; `lost` is called where the stream cannot be resumed.
  constructor(ns, cursor, tell, lost) {
    this.ns = ns;
    this.cursor = cursor;
    this.tell = tell;
    this.lost = lost;
    this.delay = SHORTEST_MS;
    this.waiting = []; // events that are not told yet
    this.timer = 0;
    this.toldAt = -TOLD_EVERY_MS;
    this.retry = 0;
    this.source = null;
    this.onVisible = () => (document.hidden ? this.pause() : this.open());
    document.addEventListener('visibilitychange', this.onVisible);
    this.open();
  }

  open() {
    if (this.source) return;
    clearTimeout(this.retry);
    const query = this.cursor ? `?after=${encodeURIComponent(this.cursor)}` : '';
    const source = new EventSource(`${at(this.ns)}/events${query}`);
    this.source = source;
    this.tell({ type: 'set', stream: 'connecting' });
    source.onopen = () => {
      this.delay = SHORTEST_MS;
      this.tell({ type: 'set', stream: 'open' });
    };
    source.onerror = () => this.onError();
    const types = { mail: 'arrived', update: 'updated', delete: 'deleted', purge: 'purged', fault: 'faulted', overflow: 'overflow' };
    for (const [name, type] of Object.entries(types)) {
      source.addEventListener(name, (event) => this.onEvent(type, JSON.parse(event.data)));
    }
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

  // A browser connects again by itself only where the connection was lost, not where the answer was an error.
  onError() {
    this.tell({ type: 'set', stream: 'lost' });
    const refused = this.source.readyState === EventSource.CLOSED;
    this.pause();
    this.retry = setTimeout(() => (refused ? this.lost() : this.open()), this.delay);
    this.delay = Math.min(LONGEST_MS, this.delay * 2);
  }

  pause() {
    if (this.source) this.source.close();
    this.source = null;
  }

  close() {
    document.removeEventListener('visibilitychange', this.onVisible);
    clearTimeout(this.timer);
    clearTimeout(this.retry);
    this.pause();
  }
}
