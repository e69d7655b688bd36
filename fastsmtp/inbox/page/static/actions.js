// What the page does: it calls the API, and tells the state what came of it.

import * as api from './api.js';
import * as routes from './route.js';
import { INITIAL, PAGE, reduce } from './state.js';
import { Stream } from './stream.js';
import { plural } from './words.js';

const RETRY_MS = 2000;
const TICK_MS = 5000; // between two looks at the clock
const SETTLE_MS = 250; // before a search is read again, as mails come
const NOTICE_MS = 5000;
const NO_NAMESPACE = 'There is no such namespace. Its first mail makes it.';

export function createStore() {
  let state = { ...INITIAL, route: routes.parse(location.pathname, location.search) };
  const listeners = new Set();
  return {
    get state() {
      return state;
    },
    dispatch(...events) {
      const before = state;
      state = events.reduce(reduce, state);
      if (state !== before) listeners.forEach((listener) => listener(state, before));
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export function createActions(store) {
  const stream = new Stream(store.dispatch, () => (route().ns ? loadList() : stream.watch()));
  let listing = 0; // the number of the newest request for a list: answers of others come too late
  let busy = false; // a page is on its way
  let refreshing = 0;
  const { dispatch } = store;
  const route = () => store.state.route;

  async function guarded(work) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof api.APIError)) throw error;
      notify(error.message);
      return undefined;
    }
  }

  let noticeTimer = 0;
  function notify(notice) {
    clearTimeout(noticeTimer);
    dispatch({ type: 'set', notice });
    noticeTimer = setTimeout(() => dispatch({ type: 'set', notice: '' }), NOTICE_MS);
  }

  // where we are

  function go(changes, { replace = false } = {}) {
    const before = route();
    const next = { ...before, ...changes };
    const address = routes.format(next);
    if (address === routes.format(before)) return;
    history[replace ? 'replaceState' : 'pushState'](null, '', address);
    dispatch({ type: 'route', route: next });
    follow(before);
  }

  function follow(before) {
    const { ns, uuid, q, only } = route();
    document.title = ns ? `${ns} · fastsmtp` : 'fastsmtp';
    if (ns !== before.ns) stream.leave();
    const listed = ns && (ns !== before.ns || q !== before.q || only !== before.only) && loadList();
    if (uuid && (uuid !== before.uuid || ns !== before.ns)) loadMail();
    return listed;
  }

  addEventListener('popstate', () => {
    const before = route();
    dispatch({ type: 'route', route: routes.parse(location.pathname, location.search) });
    follow(before);
  });

  // the list

  async function loadList() {
    const number = (listing += 1);
    const asked = route();
    try {
      const answer = await api.list(asked, { limit: PAGE });
      if (number !== listing) return;
      dispatch({ type: 'list', answer });
      stream.follow(asked.ns, answer.cursor);
    } catch (error) {
      if (!(error instanceof api.APIError)) throw error;
      if (number !== listing) return;
      stream.watch();
      dispatch({ type: 'failed', reason: error.status === 404 ? NO_NAMESPACE : error.message });
      setTimeout(() => number === listing && loadList(), RETRY_MS);
    }
  }

  async function loadPage(type, bounds) {
    if (busy) return;
    busy = true;
    const number = listing;
    const answer = await guarded(() => api.list(route(), { limit: PAGE, ...bounds }));
    busy = false;
    if (answer && number === listing) dispatch({ type, answer });
  }

  function loadOlder() {
    const { rows, older } = store.state;
    if (older && rows.length) loadPage('older', { before: rows[rows.length - 1].cursor });
  }

  function loadNewer() {
    const { rows, newer } = store.state;
    if (newer && rows.length) loadPage('newer', { after: rows[0].cursor, order: 'asc' });
  }

  // The state says that the top has to be read again: soon, and once for all that comes until then.
  store.subscribe((state) => {
    if (!state.stale || refreshing || !state.loaded) return;
    refreshing = setTimeout(() => {
      refreshing = 0;
      if (store.state.stale) loadList();
    }, SETTLE_MS);
  });

  // one mail

  async function loadMail() {
    const { ns, uuid } = route();
    try {
      const mail = await api.call('GET', api.mailAt(ns, uuid));
      dispatch({ type: 'mail', mail: { ...mail, uuid } });
      if (!mail.read) mark([uuid], true);
    } catch (error) {
      if (!(error instanceof api.APIError)) throw error;
      dispatch({ type: 'mail', mail: { uuid, failed: error.message } });
    }
  }

  // What did not come while the server was away comes now.
  store.subscribe((state, before) => {
    if (state.stream === 'open' && before.stream !== 'open' && state.mail && state.mail.failed) loadMail();
  });

  function open(uuid, options) {
    dispatch({ type: 'focus', uuid });
    go({ uuid, tab: route().uuid === uuid ? route().tab : '', panel: '' }, options);
  }

  async function mark(ids, read) {
    await guarded(async () => {
      await api.call('PATCH', `${api.at(route().ns)}/mails`, { ids, read });
      dispatch(...ids.map((uuid) => ({ type: 'updated', uuid, read, tags: tagsOf(uuid) })));
    });
  }

  function tagsOf(uuid) {
    const row = store.state.rows.find((one) => one.uuid === uuid) || store.state.mail;
    return (row && row.tags) || [];
  }

  async function remove(ids) {
    await guarded(async () => {
      const { deleted } = await api.call('DELETE', `${api.at(route().ns)}/mails`, { ids });
      const open = ids.includes(route().uuid);
      dispatch({ type: 'deleted', uuids: ids });
      if (open) openNeighbour();
      notify(`${plural(deleted, 'mail')} deleted`);
    });
  }

  function openNeighbour() {
    const { focused } = store.state;
    go({ uuid: wide() ? focused : '', tab: '' }, { replace: true });
  }

  async function removeMatching() {
    const asked = route();
    const query = api.filters(asked);
    if (!query.has('q')) query.set('all', 'true');
    if (!asked.q && !asked.only) query.delete('outcome'); // all of them at once
    await guarded(async () => {
      const { deleted } = await api.call('DELETE', `${api.at(asked.ns)}/mails?${query}`);
      notify(`${plural(deleted, 'mail')} deleted`);
      go({ uuid: '', tab: '' }, { replace: true });
      loadList();
    });
  }

  const exportURL = (ids, format) => {
    const query = ids.length ? new URLSearchParams({ ids: ids.join(','), outcome: 'any' }) : api.filters(route());
    query.set('format', format);
    return `${api.at(route().ns)}/export?${query}`;
  };

  // namespaces and figures

  store.subscribe((state, before) => state.namespaces !== before.namespaces && chooseNamespace());

  function chooseNamespace() {
    const { namespaces } = store.state;
    if (route().ns || !namespaces || !namespaces.length) return;
    const usual = namespaces.find((one) => one.name === 'default') || namespaces[0];
    const latest = [...namespaces].sort((a, b) => (b.last_mail_at || '').localeCompare(a.last_mail_at || ''))[0];
    go({ ns: (latest.last_mail_at ? latest : usual).name }, { replace: true });
  }

  async function removeNamespace(name) {
    await guarded(async () => {
      await api.call('DELETE', api.at(name));
      dispatch({ type: 'namespaces', all: false, namespaces: [], gone: [name] });
      notify(`${name} deleted`);
      if (route().ns === name) go({ ns: '', uuid: '', tab: '', q: '', only: '', panel: '' }, { replace: true });
      chooseNamespace();
    });
  }

  async function copy(text, what) {
    try {
      await navigator.clipboard.writeText(text);
      notify(`${what} copied`);
    } catch {
      notify('The browser does not let this page copy.');
    }
  }

  // Resolves once the list is there, or why it is not.
  function start() {
    if (!route().ns) stream.watch();
    setInterval(() => document.hidden || dispatch({ type: 'set', now: Date.now() }), TICK_MS);
    return follow({ ns: '', uuid: '', q: '', only: '' });
  }

  return {
    start, go, open, loadList, loadOlder, loadNewer, loadMail, mark, remove, removeMatching, removeNamespace, exportURL,
    copy, notify, dispatch,
  };
}

export const wide = () => matchMedia('(min-width: 45.001em)').matches;
