// The fault plan of a namespace: what its rules did, and the plan itself, to be changed.

import { html, useEffect, useState } from './vendor/preact.js';
import { APIError, at, call } from './api.js';
import { PRESETS, flow, planText, withPreset } from './plantext.js';
import { count, plural, precisely, when } from './words.js';
import { Button, Icon, Plain } from './widgets.js';

const SHOWN = 5; // hits of a rule

export function Faults({ state, actions }) {
  const { ns } = state.route;
  const path = `${at(ns)}/faults`;
  const own = (state.namespaces || []).find((one) => one.name === ns);
  const [report, setReport] = useState(undefined); // null without a plan
  const [written, setWritten] = useState(null); // what was typed
  const [failed, setFailed] = useState('');

  // Again with each hit that is told, and where somebody else has put or ended a plan.
  useEffect(() => {
    let wanted = true;
    call('GET', path).then(
      (answer) => wanted && setReport(answer),
      (error) => wanted && (error.status === 404 ? setReport(null) : setFailed(error.message)),
    );
    return () => (wanted = false);
  }, [ns, state.hits, own && own.fault_rules]);

  const text = written === null ? planText(report) : written;
  const attempt = async (method, document) => {
    try {
      const answer = await call(method, path, document);
      setReport(method === 'PUT' ? answer : null);
      setWritten(null);
      setFailed('');
      actions.notify(method === 'PUT' ? 'The plan runs' : 'The plan is ended');
    } catch (error) {
      if (!(error instanceof APIError)) throw error;
      setFailed(error.message);
    }
  };
  return html`<section class="mail faults" aria-label="Faults" aria-busy=${report === undefined ? 'true' : undefined}>
    <div class="tools mail-tools">
      <${Button} icon="back" label="Back to the list" class="button back" onClick=${() => actions.go({ panel: '' })} />
      <span class="space-between"></span>
      ${report && html`<${Button} label="End the plan" class="button danger" onClick=${() => attempt('DELETE')}>End the plan<//>`}
      <${Button} icon="close" label="Close" class="button quiet" onClick=${() => actions.go({ panel: '' })} />
    </div>
    <div class="scrolls">
      <h2>Faults on purpose</h2>
      ${report === null && html`<p class="quiet">No plan runs here. One makes the server refuse, wait, hang up, or take a mail and lose the reply, as its rules say.</p>`}
      ${report && html`<${Rules} report=${report} />`}
      <h3><label for="plan">${report ? 'The plan' : 'A plan'}, as YAML or JSON</label></h3>
      <div class="presets" role="group" aria-label="Add a rule">${Object.entries(PRESETS).map(
        ([name, what]) => html`<${Button} label=${what} onClick=${() => setWritten(withPreset(text, name))}>${name}<//>`,
      )}</div>
      <textarea id="plan" class="plan" rows=${Math.min(24, text.split('\n').length + 2)} spellcheck="false" autocomplete="off" value=${text} onInput=${(event) => setWritten(event.target.value)}></textarea>
      <p class="warn" role="alert">${failed}</p>
      <div class="tools">
        <${Button} label="Put the plan; counters start at 0" disabled=${!text.trim()} onClick=${() => attempt('PUT', text)}>${report ? 'Put in place' : 'Start the plan'}<//>
        ${written !== null && html`<${Button} label="As it was" class="button quiet" onClick=${() => (setWritten(null), setFailed(''))}>As it was<//>`}
      </div>
    </div>
  </section>`;
}

function Rules({ report }) {
  return html`<ul class="rules" aria-label="Rules">
      ${report.report.map((rule, index) => html`<${Rule} key=${rule.id} rule=${rule} spec=${report.rules[index]} />`)}
    </ul>
    <p class="quiet">No rule acted on ${plural(report.unmatched, 'other command')}.</p>`;
}

function Rule({ rule, spec }) {
  const counts = [
    `${count(rule.matched)} matched`,
    rule.passed > 0 && `${count(rule.passed)} passed`,
    rule.exhausted > 0 && `${count(rule.exhausted)} of ${plural(rule.keys, 'key')} exhausted`,
  ];
  const { id: _id, ...rest } = spec;
  return html`<li class=${rule.acted ? 'rule acted' : 'rule'}>
    <div class="rule-head">
      <b><${Plain} text=${rule.id} /></b>
      <span class=${rule.acted ? 'warn' : 'quiet'}>${rule.acted ? html`<${Icon} name="fault" /> ${count(rule.acted)} acted` : 'has not acted'}</span>
      <span class="quiet">${counts.filter(Boolean).join(', ')}</span>
    </div>
    <code><${Plain} text=${flow(rest)} /></code>
    ${rule.hits.length > 0 && html`<table class="hits"><colgroup><col class="at" /><col /><col /></colgroup><thead class="hidden"><tr><th>Time</th><th>Command</th><th>What was done</th></tr></thead><tbody>
      ${rule.hits.slice(-SHOWN).reverse().map((hit) => html`<tr>
        <td class="at"><time datetime=${hit.time} title=${precisely(hit.time)}>${when(hit.time)}</time></td>
        <td><${Plain} text=${hit.command || hit.at} /></td>
        <td><${Plain} text=${hit.reply ? hit.action.replace(/reply \d+/, () => `reply ${hit.reply}`) : hit.action} /></td>
      </tr>`)}</tbody></table>`}
  </li>`;
}
