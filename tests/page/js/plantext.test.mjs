import assert from 'node:assert/strict';
import test from 'node:test';

import { flow, planText, withPreset } from '../static/plantext.js';

test('values are written as YAML has them', () => {
  const rule = {
    id: 'greylist', when: { at: ['rcpt', 'data-end'], rcpt: '*@slow.example', nth: 3, tls: true, 'header.X-Run': 'on', 'a b': 'a: b' },
    do: [{ reply: '451 4.7.1 Later' }, 'pass'], subject: 'Invoice of May', none: null,
  };
  assert.equal(
    flow(rule),
    '{id: greylist, when: {at: [rcpt, data-end], rcpt: "*@slow.example", nth: 3, tls: true, header.X-Run: "on", "a b": "a: b"},'
      + ' do: [{reply: "451 4.7.1 Later"}, pass], subject: Invoice of May, none: null}',
  );
});

test('a plan is a line for each rule', () => {
  assert.equal(planText(null), '');
  assert.equal(planText({ seed: 7, rules: [{ preset: 'down' }, { preset: 'slow', times: 2 }] }), 'seed: 7\nrules:\n- {preset: down}\n- {preset: slow, times: 2}\n');
});

test('a preset is one more rule, as deep as the others', () => {
  assert.equal(withPreset('', 'down'), 'rules:\n- preset: down\n');
  assert.equal(withPreset('rules:\n  - preset: slow\n\n', 'down'), 'rules:\n  - preset: slow\n  - preset: down\n');
});
