// One mail: who sent it, and its views.

import { html, useEffect, useRef, useState } from './vendor/preact.js';
import { call, mailAt } from './api.js';
import { OUTCOMES } from './outcomes.js';
import { TABS, format } from './route.js';
import { plural, precisely, size } from './words.js';
import { Button, Empty, Icon, Mailboxes, Plain } from './widgets.js';
import { VIEWS } from './views.js';

const NAMES = {
  html: 'HTML', text: 'Text', source: 'HTML source', headers: 'Headers', parts: 'Parts', smtp: 'SMTP', notes: 'Notes',
  worker: 'Worker', raw: 'Raw', links: 'Links', assert: 'Test',
};

// The view that is shown: the one of the address where the mail has it.
export function tabOf(route, mail) {
  const message = mail.payload && mail.payload.message;
  if (!message) return 'notes';
  const missing = { html: message.html === null, source: message.html === null };
  if (route.tab && !missing[route.tab]) return route.tab;
  return message.html === null ? 'text' : 'html';
}

export function Mail({ state, actions }) {
  const { route, mail } = state;
  if (mail && mail.failed) {
    return html`<section class="mail" aria-label="Mail"><${Bar} actions=${actions} /><${Empty} title=${mail.failed} /></section>`;
  }
  return html`<section class="mail" aria-label="Mail" aria-busy=${mail ? undefined : 'true'}>
    <${Bar} mail=${mail} state=${state} actions=${actions} />
    ${mail && html`<${Shown} key=${mail.uuid} mail=${mail} state=${state} actions=${actions} />`}
  </section>`;
}

function Bar({ mail, state, actions }) {
  const { dispatch } = actions;
  const close = () => actions.go({ uuid: '', tab: '' });
  return html`<div class="tools mail-tools">
    <${Button} icon="back" label="Back to the list" class="button back" onClick=${close} />
    <span class="space-between"></span>
    ${mail &&
    html`<${Button} icon=${mail.read ? 'unread' : 'read'} label=${mail.read ? 'Mark as unread' : 'Mark as read'} class="button quiet"
        onClick=${() => actions.mark([mail.uuid], !mail.read)} />
      <${Button} icon="copy" label="Copy the address of this view" class="button quiet" onClick=${() => actions.copy(location.href, 'Address')} />
      ${mail.payload && html`<a class="button quiet" href=${`${mailAt(state.route.ns, mail.uuid)}/raw`} download title="Download" aria-label="Download as .eml"><${Icon} name="download" /></a>`}
      <${Button} icon="trash" label="Delete this mail" class="button quiet" onClick=${() => (dispatch({ type: 'focus', uuid: mail.uuid }), actions.remove([mail.uuid]))} />`}
  </div>`;
}

function Shown({ mail, state, actions }) {
  const tab = tabOf(state.route, mail);
  const View = VIEWS[tab];
  return html`
    <header class="letterhead">
      <h2><${Plain} text=${mail.subject || '(no subject)'} /></h2>
      <${Outcome} mail=${mail} />
      <${Acted} mail=${mail} />
      <div class="facts">
        <${Header} mail=${mail} />
        <${Envelope} mail=${mail} />
      </div>
      <${Attachments} mail=${mail} ns=${state.route.ns} />
    </header>
    ${mail.payload && html`<${Tabs} mail=${mail} tab=${tab} route=${state.route} actions=${actions} />`}
    <div class="view view-${tab}" role="tabpanel" id="view" aria-labelledby=${mail.payload ? `tab-${tab}` : undefined} aria-label=${mail.payload ? undefined : 'Notes'}>
      <${View} key=${tab} mail=${mail} ns=${state.route.ns} actions=${actions} />
    </div>`;
}

function Outcome({ mail }) {
  if (mail.outcome === 'accepted') return null;
  return html`<p class="banner bad"><${Icon} name="failed" /> ${OUTCOMES[mail.outcome] || mail.outcome}</p>`;
}

// What a fault plan did to the transaction of this mail.
function Acted({ mail }) {
  if (!mail.faults.length) return null;
  return html`<ul class="banner warn" aria-label="Faults">${mail.faults.map(
    ({ rule, action }) => html`<li><${Icon} name="fault" /> Fault <b><${Plain} text=${rule} /></b>: <code>${action}</code></li>`,
  )}</ul>`;
}

const Fact = ({ name, children }) => html`<div><dt>${name}</dt><dd>${children}</dd></div>`;

function Header({ mail }) {
  const { from, to, cc, bcc, reply_to: replyTo, payload } = mail;
  const date = payload && payload.message.date;
  const boxes = (name, list) => list.length > 0 && html`<${Fact} name=${name}><${Mailboxes} boxes=${list} /><//>`;
  return html`<dl aria-label="Header">
    <${Fact} name="From">${from ? html`<${Mailboxes} boxes=${payload ? payload.message.from : [from]} />` : 'no From field'}<//>
    ${boxes('To', to)}${boxes('Cc', cc)}${boxes('Bcc', bcc)}${boxes('Reply-To', replyTo)}
    ${date && html`<${Fact} name="Date"><${Plain} text=${date} /><//>`}
  </dl>`;
}

function Envelope({ mail }) {
  const { envelope, payload } = mail;
  const named = new Set([...mail.to, ...mail.cc, ...mail.bcc].map((box) => box.address.toLowerCase()));
  const login = payload && payload.authentication;
  const tls = payload && payload.session.tls;
  return html`<dl aria-label="Envelope">
    <${Fact} name="MAIL FROM">${envelope.from ? html`<${Plain} text=${envelope.from} />` : html`<span class="quiet">null reverse-path</span>`}<//>
    <${Fact} name="RCPT TO">${envelope.to.map(
      (address, index) => html`${index > 0 && ', '}<span class="address"><${Plain} text=${address} />${!named.has(address.toLowerCase()) && html` <span class="tag" title="This recipient is in no header field.">not in header</span>`}</span>`,
    )}<//>
    <${Fact} name="Received"><time datetime=${mail.received_at}>${precisely(mail.received_at)}</time>, <span class="quiet whole">${size(mail.size)}</span><//>
    <${Fact} name="Client"><${Plain} text=${`${mail.remote_addr}${envelope.helo ? ` as ${envelope.helo}` : ''}`} />${tls ? html` <span class="tag good">${tls.version || 'TLS'}</span>` : html`, <span class="quiet whole">no TLS</span>`}<//>
    ${login && login.attempted && html`<${Fact} name="Login"><${Plain} text=${`${login.username || ''} / ${login.password || ''}`} /><span class="quiet"> ${login.mechanism}</span><//>`}
    ${mail.tags.length > 0 && html`<${Fact} name="Tags">${mail.tags.map((tag) => html`<span class="tag"><${Plain} text=${tag} /></span> `)}<//>`}
  </dl>`;
}

function Attachments({ mail, ns }) {
  const found = (mail.payload && mail.payload.attachments) || [];
  const [parts, setParts] = useState([]);
  useEffect(() => {
    if (found.length) call('GET', `${mailAt(ns, mail.uuid)}/parts`).then((answer) => setParts(answer.parts), () => {});
  }, [mail.uuid]);
  if (!found.length) return null;
  return html`<ul class="attachments" aria-label=${plural(found.length, 'attachment')}>
    ${found.map((one, index) => html`<${Attachment} one=${one} part=${parts.find((part) => part.attachment === index)} />`)}
  </ul>`;
}

function Attachment({ one, part }) {
  return html`<li><a href=${part && part.url} download=${one.filename} title=${one.content_type}>
    <${Icon} name="attachment" /><span class="attachment-name"><${Plain} text=${one.filename} /></span><span class="quiet">${size(one.size)}</span>
  </a></li>`;
}

function Tabs({ mail, tab, route, actions }) {
  const { message, session } = mail.payload;
  const violations = session.violations.filter(({ code }) => code !== 'lower-case-verb'); // almost all clients
  const counts = { notes: violations.length + message.defects.length };
  const shown = TABS.filter((name) => message.html !== null || (name !== 'html' && name !== 'source'));
  const list = useRef(null);
  useEffect(() => list.current.querySelector('[aria-selected="true"]').scrollIntoView({ block: 'nearest', inline: 'nearest' }), [tab]);
  const onKeyDown = (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const next = shown[(shown.indexOf(tab) + by + shown.length) % shown.length];
    actions.go({ tab: next }, { replace: true });
    requestAnimationFrame(() => document.getElementById(`tab-${next}`)?.focus());
  };
  return html`<div class="tabs" ref=${list} role="tablist" aria-label="Views of this mail" onKeyDown=${onKeyDown}>
    ${shown.map(
      (name) => html`<a role="tab" id=${`tab-${name}`} href=${format({ ...route, tab: name })} aria-selected=${name === tab ? 'true' : 'false'}
        aria-controls="view" tabindex=${name === tab ? '0' : '-1'} title=${TABS.indexOf(name) < 9 ? `${NAMES[name]} (${TABS.indexOf(name) + 1})` : NAMES[name]}
        onClick=${(event) => {
          if (event.metaKey || event.ctrlKey || event.shiftKey) return;
          event.preventDefault();
          actions.go({ tab: name }, { replace: true });
        }}>${NAMES[name]}${counts[name] > 0 && html`<span class="badge">${counts[name]}</span>`}</a>`,
    )}
  </div>`;
}
