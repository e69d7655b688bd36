// The views of a mail. What comes from the mail is text, or a document of its own in a frame that may do nothing.

import { html, useEffect, useState } from './vendor/preact.js';
import { at, beginning, call, mailAt } from './api.js';
import { LANGUAGES, facts } from './assertions.js';
import { ANSWERS, DEFECTS, VIOLATIONS } from './explain.js';
import { OUTCOMES } from './outcomes.js';
import { tree } from './parts.js';
import { linked, plural, size } from './words.js';
import { Button, Code, Empty, Icon, Plain } from './widgets.js';

const MOST_OCTETS = 512 * 1024; // of a text that is shown
const WIDTHS = [['phone', 'Phone', '390px'], ['tablet', 'Tablet', '768px'], ['desktop', 'Desktop', '100%']];

// What `load` answers, undefined meanwhile; a failure is {failed}.
function useAnswer(load, keys) {
  const [answer, setAnswer] = useState(undefined);
  useEffect(() => {
    let wanted = true;
    setAnswer(undefined);
    load().then(
      (value) => wanted && setAnswer(value),
      (error) => wanted && setAnswer({ failed: error.message }),
    );
    return () => (wanted = false);
  }, keys);
  return answer;
}

const Pending = ({ answer }) => (answer ? html`<${Empty} title=${answer.failed} />` : html`<p class="hint">Loading…</p>`);

// The document has an origin of its own, no scripts and no forms, whatever is in it: its answer says so, and the frame.
function HTMLView({ mail, ns }) {
  const [width, setWidth] = useState('desktop');
  const [remote, setRemote] = useState(false);
  const url = `${mailAt(ns, mail.uuid)}/html`;
  const found = useAnswer(() => call('GET', `${mailAt(ns, mail.uuid)}/links`), [mail.uuid]);
  const hosts = (found && found.remote_hosts) || [];
  return html`
    <div class="tools">
      <div class="segments" role="group" aria-label="Width">
        ${WIDTHS.map(([name, label]) => html`<button type="button" title=${label} aria-label=${label} aria-pressed=${width === name ? 'true' : 'false'} onClick=${() => setWidth(name)}><${Icon} name=${name} /></button>`)}
      </div>
      ${hosts.length > 0 && html`<p class="remote">
        ${remote ? 'Loaded from ' : 'Not loaded: '}<span class="hosts">${hosts.join(', ')}</span>
        ${!remote && html`<${Button} label="Load what is elsewhere, for this one look" onClick=${() => setRemote(true)}>Load remote<//>`}
      </p>`}
      <span class="space-between"></span>
      <a class="button quiet" href=${url} target="_blank" rel="noopener noreferrer" title="Open in a tab of its own" aria-label="Open in a tab of its own"><${Icon} name="open" /></a>
    </div>
    <div class="paper">
      <iframe title="The mail as HTML" src=${remote ? `${url}?remote=1` : url} style=${{ width: WIDTHS.find(([name]) => name === width)[2] }}
        sandbox="allow-popups allow-popups-to-escape-sandbox" referrerpolicy="no-referrer"></iframe>
    </div>`;
}

function cut(text) {
  return text.length > MOST_OCTETS ? [text.slice(0, MOST_OCTETS), true] : [text, false];
}

const More = ({ url }) => html`<p class="hint">This is the beginning; <a href=${url} download>download</a> all of it.</p>`;

function TextView({ mail, ns }) {
  const { text } = mail.payload.message;
  if (text === null || text === '') return html`<${Empty} title="This mail has no plain text." />`;
  const [shown, more] = cut(text);
  return html`<div class="text" tabindex="0" role="region" aria-label="Text">${linked(shown).map((piece) =>
      typeof piece === 'string' ? piece : html`<a href=${piece.url} target="_blank" rel="noopener noreferrer">${piece.url}</a>`,
    )}</div>${more && html`<${More} url=${`${mailAt(ns, mail.uuid)}/text`} />`}`;
}

function SourceView({ mail, ns, actions }) {
  const [shown, more] = cut(mail.payload.message.html);
  return html`<div class="tools"><span class="space-between"></span>
      <${Button} icon="copy" label="Copy the HTML" onClick=${() => actions.copy(mail.payload.message.html, 'HTML')}>Copy<//></div>
    <${Code} text=${shown} label="HTML source" />${more && html`<${More} url=${`${mailAt(ns, mail.uuid)}/html?source=1`} />`}`;
}

function HeadersView({ mail }) {
  const [raw, setRaw] = useState(false);
  const { raw_headers: fields, headers } = mail.payload.message;
  const seen = new Set();
  // Decoded values are by name: of a field that is there several times, the first; others are shown as they came.
  const value = (name, text) => {
    if (raw || seen.has(name.toLowerCase()) || headers[name] === undefined) return text;
    seen.add(name.toLowerCase());
    return headers[name];
  };
  return html`<div class="tools">
      <div class="segments" role="group" aria-label="Header fields">
        <button type="button" aria-pressed=${raw ? 'false' : 'true'} onClick=${() => setRaw(false)}>Decoded</button>
        <button type="button" aria-pressed=${raw ? 'true' : 'false'} onClick=${() => setRaw(true)}>As they came</button>
      </div>
      <span class="quiet">${plural(fields.length, 'field')}</span>
    </div>
    <div class="scrolls" tabindex="0" role="region" aria-label="Header fields"><table class="pairs ${raw ? 'code' : ''}"><tbody>
      ${fields.slice(0, 1000).map(([name, text]) => html`<tr><th scope="row"><${Plain} text=${name} /></th><td><${Plain} text=${value(name, text)} kept=${raw ? '\r\n\t' : ''} /></td></tr>`)}
    </tbody></table></div>`;
}

function PartsView({ mail, ns }) {
  const answer = useAnswer(() => call('GET', `${mailAt(ns, mail.uuid)}/parts`), [mail.uuid]);
  if (!answer || answer.failed) return html`<${Pending} answer=${answer} />`;
  return html`<div class="tree"><${Branch} nodes=${tree(answer.parts)} /></div>`;
}

function Branch({ nodes }) {
  return html`<ul>${nodes.map((node) => html`<li>
    ${node.part ? html`<${Part} part=${node.part} />` : html`<div class="part"><span class="number">${node.number}</span><code>${node.type}</code></div>`}
    ${node.children.length > 0 && html`<${Branch} nodes=${node.children} />`}
  </li>`)}</ul>`;
}

function Part({ part }) {
  const facts = [part.charset, part.transfer_encoding, part.disposition, size(part.size)].filter(Boolean).join(' · ');
  return html`<div class="part">
    <span class="number">${part.number}</span>
    <code><${Plain} text=${part.content_type} /></code>
    ${part.filename && html`<strong><${Plain} text=${part.filename} /></strong>`}
    <span class="quiet"><${Plain} text=${facts} /></span>
    ${part.content_id && html`<span class="quiet">cid:<${Plain} text=${part.content_id} /></span>`}
    <a class="button quiet" href=${part.url} target="_blank" rel="noopener noreferrer" title="Open or download" aria-label=${`Open part ${part.number}`}><${Icon} name="download" /></a>
    ${part.defects.map((code) => html`<p class="warn"><${Icon} name="warning" /> <code>${code}</code> ${DEFECTS[code]}</p>`)}
  </div>`;
}

function SMTPView({ mail }) {
  const said = mail.payload.session.transcript;
  if (!said) {
    return html`<${Empty} title="There is no transcript.">
      <p>With <code>smtp.include_transcript: true</code> in the configuration, what client and server say is kept with each mail.</p>
    <//>`;
  }
  return html`<div class="scrolls" tabindex="0" role="region" aria-label="SMTP dialogue"><table class="dialogue"><thead class="hidden"><tr><th>Time</th><th>Speaker</th><th>Line</th></tr></thead><tbody>
    ${said.map(({ ms, from: speaker, line, fault }, index) => html`<tr class=${speaker}>
      <td class="ms" title=${`${ms} ms after the connection was made`}>${ms} ms${gap(said, index)}</td>
      <th scope="row">${{ client: 'C', server: 'S' }[speaker] || '…'}<span class="hidden">${speaker}</span></th>
      <td class="line"><${Plain} text=${line} />${fault && html` <span class="tag warn" title="This is the reply of a fault plan's rule."><${Icon} name="fault" /><${Plain} text=${fault} /></span>`}</td>
    </tr>`)}
  </tbody></table></div>`;
}

// Where nothing was said for long, that is worth seeing.
function gap(lines, index) {
  const waited = index > 0 ? lines[index].ms - lines[index - 1].ms : 0;
  return waited >= 100 && html` <span class="warn">+${waited}</span>`;
}

function NotesView({ mail }) {
  const { payload } = mail;
  if (!payload) return html`<${Empty} title="Of this mail only the summary is kept."><p class="snippet">${mail.snippet}</p><//>`;
  const { violations } = payload.session;
  const { defects } = payload.message;
  const attached = payload.attachments.flatMap((one) => one.defects.map((code) => [code, one.filename]));
  if (!violations.length && !defects.length && !attached.length) {
    return html`<${Empty} title="Nothing is wrong with this mail."><p>Its client kept to RFC 5321, and its message to RFC 5322 and MIME.</p><//>`;
  }
  return html`<div class="notes">
    ${violations.length > 0 && html`<h3>What the client did that SMTP does not allow</h3>
      <p class="quiet">It was accepted all the same. <code>smtp.strict: true</code> refuses what the RFCs let a server refuse.</p>
      <dl>${violations.map(({ code, detail, count }) => html`<div><dt><code>${code}</code>${count > 1 && html` <span class="tag">${count} times</span>`}</dt>
        <dd>${(VIOLATIONS[code] || [])[1]} <span class="quiet">${(VIOLATIONS[code] || [])[0]}</span>
        ${detail && html`<pre class="code wraps"><${Plain} text=${detail} /></pre>`}</dd></div>`)}</dl>`}
    ${(defects.length > 0 || attached.length > 0) && html`<h3>What is wrong with the message</h3>
      <dl>${defects.map((code) => html`<div><dt><code>${code}</code></dt><dd>${DEFECTS[code]}</dd></div>`)}
      ${attached.map(([code, filename]) => html`<div><dt><code>${code}</code></dt><dd>${DEFECTS[code]} <span class="quiet">in <${Plain} text=${filename} /></span></dd></div>`)}</dl>`}
  </div>`;
}

function WorkerView({ mail, ns, actions }) {
  const url = `${mailAt(ns, mail.uuid)}/payload`;
  const answer = useAnswer(() => beginning(url, MOST_OCTETS), [mail.uuid]);
  if (!answer || answer.failed) return html`<${Pending} answer=${answer} />`;
  return html`<${Answered} mail=${mail} />
    <div class="tools"><span class="quiet">The JSON that a worker gets</span><span class="space-between"></span>
      ${!answer.more && html`<${Button} icon="copy" label="Copy the JSON" onClick=${() => actions.copy(answer.text, 'JSON')}>Copy<//>`}
      <a class="button quiet" href=${url} download title="Download" aria-label="Download the JSON"><${Icon} name="download" /></a></div>
    <${Code} text=${answer.more ? answer.text : JSON.stringify(JSON.parse(answer.text), null, 2)} label="JSON" />
    ${answer.more && html`<${More} url=${url} />`}`;
}

// What the worker answered. Its words are its own: they may be anything.
function Answered({ mail }) {
  const { worker } = mail;
  return html`<div class="answered">
    <p>${OUTCOMES[mail.outcome] || mail.outcome}</p>
    ${worker && html`<p><b>${worker.answer}</b> <span class="quiet">${ANSWERS[worker.answer]}</span></p>
      ${worker.text && html`<pre class="code wraps" aria-label="What the worker said"><${Plain} text=${worker.text} kept=${'\n\t'} /></pre>`}
      <p class="quiet">${`Worker ${worker.pid}, free after ${worker.waited_ms} ms, had the mail for ${worker.took_ms} ms.`}</p>`}
  </div>`;
}

function RawView({ mail, ns }) {
  const url = `${mailAt(ns, mail.uuid)}/raw`;
  const answer = useAnswer(() => beginning(url, MOST_OCTETS), [mail.uuid]);
  if (!answer || answer.failed) return html`<${Pending} answer=${answer} />`;
  return html`<${Code} text=${answer.text} wrap=${false} label="The mail as it came" />${answer.more && html`<${More} url=${url} />`}`;
}

function LinksView({ mail, ns, actions }) {
  const links = useAnswer(() => call('GET', `${mailAt(ns, mail.uuid)}/links`), [mail.uuid]);
  const codes = useAnswer(() => call('GET', `${mailAt(ns, mail.uuid)}/codes`), [mail.uuid]);
  const failed = [links, codes].find((answer) => !answer || answer.failed);
  if (!links || !codes || failed) return html`<${Pending} answer=${failed} />`;
  if (!links.links.length && !codes.codes.length) return html`<${Empty} title="There are no links and no codes in this mail." />`;
  return html`<div class="notes">
    ${codes.codes.length > 0 && html`<h3>Codes</h3><ul class="codes">${codes.codes.slice(0, 50).map(({ code, context }) => html`<li>
      <button type="button" class="code-chip" title="Copy" onClick=${() => actions.copy(code, 'Code')}>${code}</button><span class="quiet"><${Plain} text=${context} /></span></li>`)}</ul>`}
    ${links.links.length > 0 && html`<h3>Links</h3><ul class="links">${links.links.map(({ url, text, kind }) => html`<li>
      <span class="tag">${kind}</span> ${/^(https?|mailto):/i.test(url) ? html`<a href=${url} target="_blank" rel="noopener noreferrer"><${Plain} text=${url} /></a>` : html`<${Plain} text=${url} />`}
      ${text && html`<span class="quiet"> <${Plain} text=${text} /></span>`}</li>`)}</ul>`}
  </div>`;
}

function AssertView({ mail, ns, actions }) {
  const [language, setLanguage] = useState(LANGUAGES[0][0]);
  const make = LANGUAGES.find(([name]) => name === language)[1];
  const code = make(location.origin, at(ns), facts(mail, mail.payload));
  return html`<div class="tools">
      <div class="segments" role="group" aria-label="Language">
        ${LANGUAGES.map(([name]) => html`<button type="button" aria-pressed=${name === language ? 'true' : 'false'} onClick=${() => setLanguage(name)}>${name}</button>`)}
      </div><span class="space-between"></span>
      <${Button} icon="copy" label="Copy as assertion" onClick=${() => actions.copy(code, `${language} test`)}>Copy as assertion<//>
    </div>
    <${Code} text=${code} label="A test that asserts this mail" />`;
}

export const VIEWS = {
  html: HTMLView, text: TextView, source: SourceView, headers: HeadersView, parts: PartsView, smtp: SMTPView,
  notes: NotesView, worker: WorkerView, raw: RawView, links: LinksView, assert: AssertView,
};
