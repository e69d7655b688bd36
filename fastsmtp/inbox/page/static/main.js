// The page as a whole, and its keys.

import { html, render, useEffect, useLayoutEffect, useRef, useState } from './vendor/preact.js';
import { createActions, createStore, wide } from './actions.js';
import { KEYS, actionOf } from './keys.js';
import { later } from './later.js';
import { List } from './list.js';
import { Namespaces } from './namespaces.js';
import { TABS } from './route.js';
import { Empty, idle } from './widgets.js';

const MOST_MS = 50; // that panes without a list are waited with

const store = createStore();
const actions = createActions(store);

// They are not needed for the list; once it is there, they come before anybody has opened one.
const Mail = later(() => import('./mail.js').then((module) => module.Mail), 'Mail');
const Faults = later(() => import('./faults.js').then((module) => module.Faults), 'Faults');
const unsubscribe = store.subscribe(({ loaded }) => {
  if (!loaded) return;
  unsubscribe();
  idle(() => [Mail, Faults].forEach((one) => one.load().catch(() => {})));
});

function Page() {
  const [state, setState] = useState(store.state);
  useLayoutEffect(() => store.subscribe(setState), []); // at once: an answer may be here already
  const place = state.route.uuid || state.route.panel ? 'at-mail' : 'at-list';
  return html`<div class=${`page ${place} ${state.drawer ? 'drawer' : ''}`}>
    <${Namespaces} state=${state} actions=${actions} />
    <main class="panes">
      <${List} state=${state} actions=${actions} />
      <${Pane} state=${state} actions=${actions} />
    </main>
    <div class="notice" role="status">${state.notice}</div>
    ${state.help && html`<${Help} />`}
  </div>`;
}

function Pane({ state, actions }) {
  const { ns, uuid, panel } = state.route;
  if (panel) return html`<${Faults} key=${ns} state=${state} actions=${actions} />`;
  if (uuid) return html`<${Mail} state=${state} actions=${actions} />`;
  if (!state.rows.length) return html`<section class="mail" aria-label="Mail"></section>`;
  return html`<section class="mail" aria-label="Mail"><${Empty} title="No mail is open.">
    <p><kbd>j</kbd> <kbd>k</kbd> to go through the list, <kbd>Enter</kbd> to open, <kbd>?</kbd> for all keys.</p>
  <//></section>`;
}

function Help() {
  const dialog = useRef(null);
  useEffect(() => dialog.current.showModal(), []);
  const close = () => actions.dispatch({ type: 'set', help: false });
  return html`<dialog ref=${dialog} class="help" aria-labelledby="help-title" onClose=${close}>
    <h2 id="help-title">Keys</h2>
    <dl>${[...KEYS, ['1 – 9', 'Views of the mail']].map(([key, what]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${what}</dd></div>`)}</dl>
    <h2>Search</h2>
    <p>Words, and <code>from:</code> <code>to:</code> <code>subject:</code> <code>tag:</code> <code>has:attachment</code> <code>is:unread</code>
      <code>larger:1M</code> <code>after:2026-01-31</code>; <code>-</code> before one of them excludes it.</p>
    <form method="dialog"><button type="submit" class="button" onClick=${(event) => (event.preventDefault(), dialog.current.close())}>Close</button></form>
  </dialog>`;
}

const focus = (id) => {
  const element = document.getElementById(id);
  element?.focus();
  element?.select?.();
};

const DO = {
  next: (state) => step(state, 1),
  previous: (state) => step(state, -1),
  open: (state) => state.focused && actions.open(state.focused),
  back: (state) => {
    if (state.drawer) actions.dispatch({ type: 'set', drawer: false });
    else if (Object.keys(state.selected).length) actions.dispatch({ type: 'selectNone' });
    else if (state.route.uuid || state.route.panel) actions.go({ uuid: '', tab: '', panel: '' });
    else if (state.route.q) actions.go({ q: '' });
  },
  leave: () => document.activeElement.blur(),
  search: () => focus('search'),
  select: (state) => state.focused && actions.dispatch({ type: 'toggle', uuid: state.focused }),
  remove: (state) => {
    const chosen = Object.keys(state.selected);
    if (chosen.length) actions.remove(chosen);
    else if (state.focused) actions.remove([state.focused]);
  },
  read: (state) => {
    const chosen = Object.keys(state.selected);
    const ids = chosen.length ? chosen : state.focused ? [state.focused] : [];
    const rows = state.rows.filter((row) => ids.includes(row.uuid));
    if (ids.length) actions.mark(ids, rows.some((row) => !row.read));
  },
  newest: () => actions.loadList(),
  namespaces: () => {
    actions.dispatch({ type: 'set', drawer: true });
    requestAnimationFrame(() => focus('wanted'));
  },
  help: (state) => actions.dispatch({ type: 'set', help: !state.help }),
};

// Where a mail is open beside the list, it follows.
function step(state, by) {
  actions.dispatch({ type: 'step', by });
  const { focused, route } = store.state;
  if (focused && route.uuid && wide()) actions.open(focused, { replace: true });
}

addEventListener('keydown', (event) => {
  const action = actionOf(event);
  if (!action || document.querySelector('dialog[open]')) return;
  event.preventDefault();
  const [, digit] = action.split(' ');
  if (!digit) DO[action](store.state);
  else if (store.state.route.uuid) actions.go({ tab: TABS[digit - 1] }, { replace: true });
});

// The browser has mostly got the list by now, which was asked for with the document: it is drawn at once, and once.
Promise.race([actions.start(), new Promise((waited) => setTimeout(waited, MOST_MS))]).then(() =>
  render(html`<${Page} />`, document.getElementById('page')),
);
