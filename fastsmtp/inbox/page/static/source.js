// Server-sent events while the page is seen: a connection that breaks is made again, later each time.

const SHORTEST_MS = 500;
const LONGEST_MS = 8000;

export class Source {
  // `address` returns where the events are, `on` has a function for each, by name; `changed` is told "connecting",
  // "open" and "lost". `refused` is called, in place of another attempt, where the server answered with an error.
  // Nothing is asked for before `open`.
  constructor(address, on, changed, refused) {
    this.address = address;
    this.on = on;
    this.changed = changed;
    this.refused = refused;
    this.delay = SHORTEST_MS;
    this.retry = 0;
    this.source = null;
    this.wanted = false;
    document.addEventListener('visibilitychange', () => this.wanted && (document.hidden ? this.pause() : this.open()));
  }

  get active() {
    return this.source !== null;
  }

  open() {
    if (this.source) return;
    this.wanted = true;
    clearTimeout(this.retry);
    const source = new EventSource(this.address());
    this.source = source;
    this.changed('connecting');
    source.onopen = () => {
      this.delay = SHORTEST_MS;
      this.changed('open');
    };
    source.onerror = () => this.onError();
    for (const [name, take] of Object.entries(this.on)) {
      source.addEventListener(name, (event) => take(JSON.parse(event.data)));
    }
  }

  // A browser connects again by itself only where the connection was lost, not where the answer was an error.
  onError() {
    const refused = this.source.readyState === EventSource.CLOSED;
    this.pause();
    this.changed('lost');
    this.retry = setTimeout(() => (refused ? this.refused() : this.open()), this.delay);
    this.delay = Math.min(LONGEST_MS, this.delay * 2);
  }

  pause() {
    if (this.source) this.source.close();
    this.source = null;
  }
}
