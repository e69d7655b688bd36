// The pane of namespaces, with the live figures below.

import { html, useState } from './vendor/preact.js';
import { encoded } from './route.js';
import { ago, count, plural, precisely, rate, size } from './words.js';
import { Button, Icon } from './widgets.js';

const SHOWN = 200;

export function Namespaces({ state, actions }) {
  const [ending, setEnding] = useState('');
  const found = (state.namespaces || []).filter((one) => one.name.includes(state.wanted.trim().toLowerCase()));
  return html`<nav class="namespaces" aria-label="Namespaces" id="namespaces">
    <header class="brand">
      <a href="/ui/" class="brand-name"><${Sign} />fastsmtp</a>
      <${Button} icon="close" label="Close" class="button narrow-only" onClick=${() => actions.dispatch({ type: 'set', drawer: false })} />
    </header>
    <div class="field">
      <${Icon} name="search" />
      <input type="search" id="wanted" placeholder="Find a namespace" aria-label="Find a namespace" value=${state.wanted}
        onInput=${(event) => actions.dispatch({ type: 'set', wanted: event.target.value })} />
    </div>
    <ul class="spaces">
      ${found.slice(0, SHOWN).map(
        (one) => html`<${Namespace} key=${one.name} one=${one} now=${state.now} actions=${actions}
          current=${one.name === state.route.ns} ending=${ending === one.name} setEnding=${setEnding} />`,
      )}
    </ul>
    ${found.length > SHOWN && html`<p class="hint">${count(found.length - SHOWN)} more: narrow the search.</p>`}
    ${state.namespaces && !found.length && html`<p class="hint">No namespace has this in its name.</p>`}
    <${Figures} state=${state} />
  </nav>`;
}

// `icon.svg`, without a file that has to be waited for.
const Sign = () => html`<svg viewBox="0 0 32 32" width="22" height="22" fill="none" stroke="#fff" stroke-width="2.2" stroke-linejoin="round" aria-hidden="true">
  <rect width="32" height="32" rx="8" fill="#0b5f54" stroke="none" />
  <path d="M7 11.5h18v11H7z" /><path d="m7.6 12 8.4 6.4 8.4-6.4" /><path d="M3 15h2M2 19h3" stroke="#7fe0c8" stroke-linecap="round" />
</svg>`;

function Namespace({ one, now, current, ending, setEnding, actions }) {
  const open = (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    actions.go({ ns: one.name, uuid: '', tab: '', q: '', only: '', panel: '' });
    actions.dispatch({ type: 'set', drawer: false });
  };
  return html`<li class=${current ? 'space current' : 'space'}>
    <a href=${`/ui/ns/${encoded(one.name)}`} onClick=${open} aria-current=${current ? 'true' : undefined}>
      <span class="space-name">${one.name}</span>
      <span class="space-count" title=${`${plural(one.mails, 'mail')}, ${count(one.unread)} unread`}>
        ${one.unread > 0 && html`<b>${count(one.unread)}<span class="hidden"> unread</span></b>${' '}`}
        <span class=${one.unread > 0 && one.unread === one.mails ? 'hidden' : ''}>${one.unread > 0 && html`of${' '}`}${count(one.mails)}</span>
      </span>
      <span class="space-facts">
        ${one.last_mail_at ? html`<span title=${`the last mail came ${precisely(one.last_mail_at)}`}>${ago(one.last_mail_at, now)}</span>` : 'no mail yet'}
        ${one.bytes > 0 && html`<span>${size(one.bytes)}</span>`}
        ${one.refused > 0 && html`<span class="bad" title="mails that were not accepted">${count(one.refused)} failed</span>`}
        ${(one.fault_rules > 0 || one.settings.magic) && html`<span class="warn" title=${faultsOf(one)}><${Icon} name="fault" />faults</span>`}
        ${one.rate > 0 && html`<span class="rate">${rate(one.rate)}</span>`}
      </span>
      <${Quota} one=${one} />
    </a>
    ${ending
      ? html`<div class="confirm" role="group" aria-label=${`Delete ${one.name}`}>
          <span>Delete with all mails?</span>
          <${Button} label=${`Delete ${one.name}`} class="button danger" onClick=${() => actions.removeNamespace(one.name)}>Delete<//>
          <${Button} label="Keep it" onClick=${() => setEnding('')}>Keep<//>
        </div>`
      : html`<${Button} icon="trash" label=${`Delete namespace ${one.name}`} class="button quiet space-end" onClick=${() => setEnding(one.name)} />`}
  </li>`;
}

function faultsOf({ fault_rules: rules, settings }) {
  const texts = [rules > 0 && `a fault plan of ${plural(rules, 'rule')}`, settings.magic && 'addresses that ask for faults'];
  return texts.filter(Boolean).join(', and ');
}

function Quota({ one }) {
  const { quota } = one.settings;
  const [used, most, text] = quota.mails
    ? [one.mails, quota.mails, `${count(one.mails)} of ${plural(quota.mails, 'mail')}`]
    : [one.bytes, quota.bytes, `${size(one.bytes)} of ${size(quota.bytes)}`];
  if (!most) return null;
  return html`<span class="quota" title=${text}><meter min="0" max=${most} value=${Math.min(used, most)} aria-label=${`quota: ${text}`}></meter></span>`;
}

const STREAMS = { open: 'live', connecting: 'connecting', lost: 'connection lost', closed: 'not connected' };

function Figures({ state }) {
  const { figures, stream } = state;
  const total = (state.namespaces || []).reduce((sum, one) => sum + one.rate, 0);
  const sessions = figures && figures.ledger.sessions;
  const hits = figures && Object.values(figures.ledger.faults.rules).reduce((sum, one) => sum + one, 0);
  return html`<section class="figures" aria-label="Live figures">
    <p class="stream ${stream}"><span class="dot"></span>${STREAMS[stream]}<span class="rate">${rate(total)}</span></p>
    ${figures &&
    html`<dl>
      <div><dt>Connections</dt><dd>${count(figures.connections)}</dd></div>
      ${figures.workers.total > 0 && html`<div><dt>Workers busy</dt><dd>${count(figures.workers.busy)} of ${count(figures.workers.total)}</dd></div>`}
      <div><dt>Begun</dt><dd>${count(sessions.begun)}</dd></div>
      <div><dt>Accepted</dt><dd>${count(sessions.accepted)}</dd></div>
      ${sessions.refused > 0 && html`<div><dt>Refused</dt><dd>${count(sessions.refused)}</dd></div>`}
      ${sessions.aborted > 0 && html`<div><dt>Aborted</dt><dd>${count(sessions.aborted)}</dd></div>`}
      ${sessions.moved > 0 && html`<div><dt title="A header field filed them in another namespace.">Moved</dt><dd>${count(sessions.moved)}</dd></div>`}
      ${hits > 0 && html`<div><dt>Faults</dt><dd class="warn">${count(hits)}</dd></div>`}
      <div><dt>In flight</dt><dd>${count(sessions.in_flight)}</dd></div>
      <div><dt>Ledger</dt><dd class=${figures.ledger.balanced ? 'good' : 'bad'}>${figures.ledger.balanced ? 'balanced' : 'not balanced'}</dd></div>
    </dl>`}
  </section>`;
}
