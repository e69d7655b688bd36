// What the page shows, and how each thing that happens changes it. Pure: no document, no network, no clock.

export const MOST = 200; // rows in the document
export const PAGE = 50;
export const BURST = 25; // rows shown of mails that come faster than they are told: they fill a screen, and are soon gone

export const INITIAL = {
  route: { ns: '', uuid: '', tab: '', q: '', only: '', panel: '' },
  namespaces: null, // not known yet
  wanted: '', // what the names of namespaces shown contain
  rows: [], // the newest first
  newer: false, // there are mails above the first row that are not in the document
  older: false,
  loaded: false,
  failed: '', // why there is no list
  top: true, // the first row is in sight
  pending: 0, // mails that have come while it was not
  stale: false, // the top has to be read again
  cursor: '', // behind the newest mail that is known
  total: 0,
  unread: 0,
  evicted: 0,
  selected: {}, // by uuid
  origin: '', // where a range begins
  focused: '', // uuid of the row that keys act on
  mail: null, // the one that is open: {uuid, summary, payload, failed}
  stream: 'closed', // or connecting, open, lost
  figures: null,
  now: 0, // Unix time in milliseconds, of some seconds ago at most
  hits: 0, // of the fault plan, that were told
  help: false,
  drawer: false, // namespaces are in front of the list, on narrow screens
  notice: '',
};

const CHANGES = {
  route: onRoute,
  namespaces: onNamespaces,
  list: onList,
  older: onOlder,
  newer: onNewer,
  mail: (state, { mail }) => (mail.uuid === state.route.uuid ? { mail } : {}),
  arrived: onArrived,
  updated: onUpdated,
  deleted: onDeleted,
  faulted: (state) => ({ hits: state.hits + 1 }),
  purged: () => ({ rows: [], selected: {}, older: false, newer: false, pending: 0, stale: true }),
  overflow: () => ({ stale: true }),
  scrolled: (_state, { top }) => ({ top }),
  failed: (_state, { reason }) => ({ failed: reason, loaded: true }),
  toggle: onToggle,
  range: onRange,
  selectNone: () => ({ selected: {}, origin: '' }),
  focus: (_state, { uuid }) => ({ focused: uuid }),
  step: onStep,
  set: (_state, { type: _type, ...values }) => values,
};

export function reduce(state, event) {
  const changed = CHANGES[event.type](state, event);
  return Object.keys(changed).length ? { ...state, ...changed } : state;
}

const EMPTY_LIST = {
  rows: [], newer: false, older: false, loaded: false, failed: '', top: true, pending: 0, stale: false, selected: {},
  origin: '', focused: '',
};

function onRoute(state, { route }) {
  const before = state.route;
  const listed = ['ns', 'q', 'only'].every((key) => route[key] === before[key]);
  const changed = { route, drawer: false };
  if (!listed) Object.assign(changed, EMPTY_LIST, route.ns === before.ns ? {} : { cursor: '', total: 0, unread: 0 });
  if (route.uuid !== before.uuid || route.ns !== before.ns) changed.mail = null;
  if (route.uuid) changed.focused = route.uuid;
  return changed;
}

// Namespaces changed, or are gone; with `all` there are no others.
function onNamespaces(state, { all, namespaces, gone }) {
  const known = new Map(all ? [] : (state.namespaces || []).map((one) => [one.name, one]));
  for (const one of namespaces) known.set(one.name, one);
  for (const name of gone) known.delete(name);
  const own = namespaces.find((one) => one.name === state.route.ns);
  return {
    namespaces: [...known.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    ...(own && state.loaded ? { total: own.mails, unread: own.unread } : {}),
  };
}

const epoch = (cursor) => cursor.split('.')[0];
const number = (cursor) => Number(cursor.split('.')[1] || 0);

function counters(answer) {
  const { cursor, total, unread, evicted } = answer;
  return { cursor, total, unread, evicted, loaded: true, failed: '' };
}

function onList(state, { answer }) {
  return {
    ...counters(answer),
    rows: answer.mails,
    older: answer.next !== null,
    newer: false,
    pending: 0,
    stale: false,
    top: true,
  };
}

function onOlder(state, { answer }) {
  const rows = joined(state.rows, answer.mails);
  const dropped = Math.max(0, rows.length - MOST);
  return {
    rows: rows.slice(dropped),
    older: answer.next !== null,
    newer: state.newer || dropped > 0,
    top: state.top && dropped === 0,
  };
}

// `answer` has the mails behind the first row, the oldest first.
function onNewer(state, { answer }) {
  const rows = joined(answer.mails.slice().reverse(), state.rows);
  return {
    ...counters(answer),
    rows: rows.slice(0, MOST),
    older: state.older || rows.length > MOST,
    newer: answer.next !== null,
    pending: answer.next === null ? 0 : state.pending,
    stale: false,
  };
}

function joined(above, below) {
  const known = new Set(above.map((row) => row.uuid));
  return [...above, ...below.filter((row) => !known.has(row.uuid))];
}

// Mails came: some of them, or all, are in `mails`, the oldest first.
function onArrived(state, { count, mails, cursor }) {
  const come = number(cursor) - number(state.cursor);
  if (epoch(cursor) === epoch(state.cursor) && come <= 0) return {};
  const accepted = mails.filter((mail) => mail.outcome === 'accepted').length;
  const told = { cursor, total: state.total + accepted + count - mails.length, unread: state.unread + accepted };
  if (!state.loaded) return told;
  if (!state.top || state.newer) return { ...told, pending: state.pending + count };
  if (state.route.q || state.route.only) return { ...told, stale: true };
  const fresh = mails.map((mail) => ({ ...mail, cursor: `${epoch(cursor)}.${mail.seq}` })).reverse();
  if (count > mails.length) return { ...told, rows: fresh.slice(0, BURST), older: true };
  const rows = joined(fresh, state.rows);
  return { ...told, rows: rows.slice(0, MOST), older: state.older || rows.length > MOST };
}

function onUpdated(state, { uuid, read, tags }) {
  const marks = (row) => (row.uuid === uuid ? { ...row, read, tags } : row);
  const row = state.rows.find((one) => one.uuid === uuid);
  const step = row && row.read !== read && row.outcome === 'accepted' ? (read ? -1 : 1) : 0;
  const changed = { rows: state.rows.map(marks), unread: Math.max(0, state.unread + step) };
  if (state.mail && state.mail.uuid === uuid) changed.mail = { ...state.mail, read, tags };
  return changed;
}

function onDeleted(state, { uuids }) {
  const gone = new Set(uuids);
  const left = state.rows.filter((row) => !gone.has(row.uuid));
  const lost = state.rows.filter((row) => gone.has(row.uuid) && row.outcome === 'accepted');
  const selected = Object.fromEntries(Object.keys(state.selected).filter((uuid) => !gone.has(uuid)).map((uuid) => [uuid, true]));
  const changed = {
    rows: left,
    selected,
    total: Math.max(0, state.total - lost.length),
    unread: Math.max(0, state.unread - lost.filter((row) => !row.read).length),
  };
  if (gone.has(state.focused)) changed.focused = neighbour(state.rows, left, state.focused);
  return changed;
}

function neighbour(rows, left, uuid) {
  if (!left.length) return '';
  const at = rows.findIndex((row) => row.uuid === uuid);
  const behind = rows.slice(at).find((row) => left.includes(row));
  return (behind || left[left.length - 1]).uuid;
}

function onToggle(state, { uuid }) {
  const selected = { ...state.selected };
  if (selected[uuid]) delete selected[uuid];
  else selected[uuid] = true;
  return { selected, origin: uuid, focused: uuid };
}

function onRange(state, { uuid }) {
  const places = [state.origin || state.focused || uuid, uuid].map((one) => state.rows.findIndex((row) => row.uuid === one));
  const [first, last] = places.sort((a, b) => a - b);
  if (first < 0) return onToggle(state, { uuid });
  const range = state.rows.slice(first, last + 1).map((row) => [row.uuid, true]);
  return { selected: { ...state.selected, ...Object.fromEntries(range) }, focused: uuid };
}

function onStep(state, { by }) {
  if (!state.rows.length) return {};
  const at = state.rows.findIndex((row) => row.uuid === state.focused);
  const next = at < 0 ? 0 : Math.min(state.rows.length - 1, Math.max(0, at + by));
  return { focused: state.rows[next].uuid };
}
