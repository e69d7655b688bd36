// The list of mails of one namespace.

import { Component, html, useEffect, useLayoutEffect, useMemo, useRef, useState } from './vendor/preact.js';
import { format } from './route.js';
import { count, plural, shortly, size } from './words.js';
import { Button, Empty, Icon, Plain, Time, idle } from './widgets.js';
import { OUTCOMES } from './outcomes.js';

const NEAR = 600; // pixels from an end of the list at which the next page is asked for
const TYPING_MS = 200;
const LOWEST = 60; // pixels that a row is high, at least

export function List({ state, actions }) {
  return html`<section class="list" aria-label="Mails">
    <${Head} state=${state} actions=${actions} />
    <${Rows} state=${state} actions=${actions} />
  </section>`;
}

function Head({ state, actions }) {
  const { route } = state;
  const chosen = Object.keys(state.selected);
  const own = (state.namespaces || []).find((one) => one.name === route.ns);
  const ruled = own && own.fault_rules > 0;
  // What is told of the namespace is right; what is counted here may have counted a change twice until then.
  const [total, unread] = own ? [own.mails, own.unread] : [state.total, state.unread];
  return html`<header class="list-head">
    <div class="list-title">
      <${Button} icon="menu" label="Namespaces" class="button narrow-only" aria-expanded=${state.drawer ? 'true' : 'false'} aria-controls="namespaces"
        onClick=${() => actions.dispatch({ type: 'set', drawer: true })} />
      <h1>${route.ns || 'No namespace'}</h1>
      <span class="total" aria-label="Number of mails">${count(total)}${unread > 0 ? `, ${count(unread)} unread` : ''}</span>
      <${Button} icon="fault" label="Faults" class=${ruled ? 'button quiet ruled' : 'button quiet'} aria-pressed=${route.panel ? 'true' : 'false'}
        onClick=${() => actions.go({ panel: route.panel ? '' : 'faults', uuid: '', tab: '' })} />
      <${Button} icon="keys" label="Keys" class="button quiet" onClick=${() => actions.dispatch({ type: 'set', help: true })} />
    </div>
    ${state.stream === 'lost' && html`<p class="banner bad narrow-only"><${Icon} name="failed" /> Connection lost: what comes now is shown once it is back.</p>`}
    <${Search} key=${route.ns} q=${route.q} actions=${actions} />
    ${chosen.length
      ? html`<${Chosen} ids=${chosen} state=${state} actions=${actions} />`
      : html`<${Filters} state=${state} actions=${actions} />`}
  </header>`;
}

// What is typed stays here; a search is asked for when typing pauses.
function Search({ q, actions }) {
  const [text, setText] = useState(q);
  const timer = useRef(0);
  useEffect(() => setText(q), [q]);
  const onInput = (event) => {
    const value = event.target.value;
    setText(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => actions.go({ q: value.trim() }, { replace: true }), TYPING_MS);
  };
  return html`<div class="field" role="search">
    <${Icon} name="search" />
    <input type="search" id="search" placeholder="Search, or from: subject: has:attachment" aria-label="Search mails" value=${text}
      onInput=${onInput} spellcheck="false" autocomplete="off" />
  </div>`;
}

const FILTERS = [['', 'All'], ['unread', 'Unread'], ['trouble', 'Not accepted']];

function Filters({ state, actions }) {
  const { route } = state;
  const [sure, setSure] = useState(false);
  const some = route.q || route.only;
  return html`<div class="tools">
    <div class="segments" role="group" aria-label="Show">
      ${FILTERS.map(
        ([only, label]) => html`<button type="button" aria-pressed=${route.only === only ? 'true' : 'false'} onClick=${() => actions.go({ only })}>${label}</button>`,
      )}
    </div>
    <span class="space-between"></span>
    ${state.rows.length > 0 &&
    (sure
      ? html`<${Button} label="Delete them now" class="button danger" onClick=${() => (setSure(false), actions.removeMatching())}>
            Delete ${some ? 'what is found' : 'all'}<//>
          <${Button} label="Keep them" onClick=${() => setSure(false)}>Keep<//>`
      : html`<a class="button quiet" href=${actions.exportURL([], 'mbox')} download title="Export as mbox" aria-label="Export as mbox"><${Icon} name="download" /></a>
          <${Button} icon="trash" label=${some ? 'Delete what is found' : 'Delete all mails'} class="button quiet" onClick=${() => setSure(true)} />`)}
  </div>`;
}

function Chosen({ ids, state, actions }) {
  const unread = state.rows.some((row) => state.selected[row.uuid] && !row.read);
  return html`<div class="tools chosen">
    <strong>${count(ids.length)} selected</strong>
    <span class="space-between"></span>
    <${Button} icon=${unread ? 'read' : 'unread'} label=${unread ? 'Mark as read' : 'Mark as unread'} onClick=${() => actions.mark(ids, unread)} />
    <a class="button" href=${actions.exportURL(ids, 'eml.zip')} download title="Export" aria-label="Export what is selected"><${Icon} name="download" /></a>
    <${Button} icon="trash" label="Delete what is selected" class="button danger" onClick=${() => actions.remove(ids)} />
    <${Button} icon="close" label="Select nothing" onClick=${() => actions.dispatch({ type: 'selectNone' })} />
  </div>`;
}

function Rows({ state, actions }) {
  const box = useRef(null);
  const anchor = useRef(null); // the first row in sight, and where it was
  // The first picture has the rows that fill the window; the others come behind it, unseen.
  const [whole, setWhole] = useState(false);
  useEffect(() => idle(() => setWhole(true)), []);
  const rows = useMemo(() => (whole ? state.rows : state.rows.slice(0, Math.ceil(innerHeight / LOWEST))), [whole, state.rows]);

  const note = () => {
    const element = box.current;
    const first = [...element.querySelectorAll('.row')].find((row) => row.offsetTop + row.offsetHeight > element.scrollTop);
    anchor.current = first && { uuid: first.dataset.uuid, from: first.offsetTop - element.scrollTop };
  };
  const onScroll = () => {
    const element = box.current;
    note();
    const top = element.scrollTop < 4 && !state.newer;
    if (top !== state.top) actions.dispatch({ type: 'scrolled', top });
    if (top && state.pending) actions.loadList();
    more();
  };
  const more = () => {
    const element = box.current;
    if (element.scrollHeight - element.scrollTop - element.clientHeight < NEAR) actions.loadOlder();
    else if (element.scrollTop < NEAR) actions.loadNewer();
  };
  // Rows that come and go above what is in sight do not move it.
  useLayoutEffect(() => {
    if (!whole) return; // nothing was scrolled, and a look at places costs a layout
    const element = box.current;
    if (state.top) {
      element.scrollTop = 0;
    } else if (anchor.current) {
      const row = element.querySelector(`[data-uuid="${CSS.escape(anchor.current.uuid)}"]`);
      if (row) element.scrollTop = row.offsetTop - anchor.current.from;
    }
    note();
    more();
  }, [rows]);
  useEffect(() => {
    const row = state.focused && box.current.querySelector(`[data-uuid="${CSS.escape(state.focused)}"]`);
    if (row) row.scrollIntoView({ block: 'nearest' });
  }, [state.focused]);

  return html`<div class="rows-frame">
    <div aria-live="polite" class="pill-place">
      ${state.pending > 0 && html`<button type="button" class="pill" onClick=${actions.loadList}>${count(state.pending)} new</button>`}
    </div>
    <div class="rows" ref=${box} onScroll=${onScroll} tabindex="-1">
      <ul aria-label="Mails, the newest first">
        ${rows.map(
          (row) => html`<${Row} key=${row.uuid} row=${row} route=${state.route} actions=${actions}
            open=${row.uuid === state.route.uuid} focused=${row.uuid === state.focused} selected=${!!state.selected[row.uuid]}
            choosing=${Object.keys(state.selected).length > 0} />`,
        )}
      </ul>
      <${Foot} state=${state} />
    </div>
  </div>`;
}

function Foot({ state }) {
  const { route, rows, loaded } = state;
  if (state.failed) return html`<${Empty} title=${state.failed} />`;
  if (!route.ns || !loaded) return null;
  if (rows.length) {
    const gone = state.evicted > 0 ? `${plural(state.evicted, 'older mail')} went as the limits want it.` : '';
    return state.older ? html`<p class="hint">More…</p>` : gone && html`<p class="hint">${gone}</p>`;
  }
  if (route.q || route.only) return html`<${Empty} title="Nothing is found." />`;
  return html`<${Waiting} state=${state} />`;
}

function Waiting({ state }) {
  const own = (state.namespaces || []).find((one) => one.name === state.route.ns);
  const smtp = own && own.smtp;
  const login = own && own.name !== 'default' && `--user ${own.name}:any `;
  return html`<${Empty} title="No mail yet.">
    ${smtp &&
    html`<p>Send one to <code>${smtp.host}:${smtp.port}</code>${login && html` with the login <code>${own.name}</code> and any password`}:</p>
      <pre class="code wraps">${`printf 'Subject: Hello\\r\\n\\r\\nIt works.\\r\\n' | curl -s smtp://${smtp.host}:${smtp.port} ${login || ''}--mail-from me@example.com --mail-rcpt you@example.com -T -`}</pre>`}
  <//>`;
}

const WATCHED = ['row', 'open', 'focused', 'selected', 'choosing'];

class Row extends Component {
  shouldComponentUpdate(next) {
    const { route } = this.props;
    return WATCHED.some((key) => next[key] !== this.props[key]) || ['ns', 'q', 'only'].some((key) => next.route[key] !== route[key]);
  }

  render({ row, route, open, focused, selected, choosing, actions }) {
    const onClick = (event) => {
      if (event.shiftKey) {
        event.preventDefault();
        actions.dispatch({ type: 'range', uuid: row.uuid });
      } else if (!event.metaKey && !event.ctrlKey) {
        event.preventDefault();
        actions.open(row.uuid);
      }
    };
    const onBox = (event) => actions.dispatch({ type: event.shiftKey ? 'range' : 'toggle', uuid: row.uuid });
    const classes = ['row', !row.read && 'unread', open && 'open', focused && 'focused', selected && 'selected', choosing && 'choosing'];
    const subject = row.subject || '(no subject)';
    return html`<li class=${classes.filter(Boolean).join(' ')} data-uuid=${row.uuid}>
      <input type="checkbox" checked=${selected} onClick=${onBox} aria-label=${`Select ${subject}`} />
      <a href=${format({ ...route, uuid: row.uuid, tab: '' })} onClick=${onClick} aria-current=${open ? 'true' : undefined}>
        <span class="who">
          ${!row.read && html`<span class="hidden">unread, </span>`}
          <span class="from"><${Plain} text=${shortly(row.from) || row.envelope.from || '(null sender)'} /></span>
          <span class="to"><${Plain} text=${recipients(row)} /></span>
        </span>
        <${Time} at=${row.received_at} />
        <span class="subject"><${Plain} text=${subject} /></span>
        <${Marks} row=${row} />
        <span class="snippet"><bdi>${row.snippet}</bdi></span>
        <span class="size">${size(row.size)}</span>
      </a>
    </li>`;
  }
}

function recipients(row) {
  const first = row.to.length ? shortly(row.to[0]) : row.envelope.to[0] || '';
  const others = Math.max(row.to.length, row.envelope.to.length) - 1;
  return others > 0 ? `${first} +${others}` : first;
}

function Marks({ row }) {
  const wrong = [...new Set([...row.violations, ...row.defects])].filter((code) => code !== 'lower-case-verb');
  return html`<span class="marks">
    ${row.outcome !== 'accepted' && html`<span class="bad"><${Icon} name="failed" label=${OUTCOMES[row.outcome] || row.outcome} /></span>`}
    ${row.faults.length > 0 && html`<span class="warn"><${Icon} name="fault" label=${`Fault: ${row.faults.map(({ rule, action }) => `${rule}, ${action}`).join('; ')}`} /></span>`}
    ${wrong.length > 0 && html`<span class="warn"><${Icon} name="warning" label=${`Not as it should be: ${wrong.join(', ')}`} /></span>`}
    ${row.attachments > 0 && html`<${Icon} name="attachment" label=${plural(row.attachments, 'attachment')} />`}
    ${row.tls && html`<${Icon} name="lock" label="TLS" />`}
    ${row.tags.map((tag) => html`<span class="tag"><${Plain} text=${tag} /></span>`)}
  </span>`;
}
