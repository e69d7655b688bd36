import assert from 'node:assert/strict';
import test from 'node:test';

import { actionOf } from '../static/keys.js';
import { tree } from '../static/parts.js';

const part = (number, content_type, ...inside) => ({ number, content_type, inside });
const drawn = (nodes) => nodes.map(({ type, number, children }) => [number, type, ...(children.length ? [drawn(children)] : [])]);

test('parts are a tree', () => {
  const parts = [
    part('1.1', 'text/plain', 'multipart/mixed', 'multipart/alternative'),
    part('1.2', 'text/html', 'multipart/mixed', 'multipart/alternative'),
    part('2', 'text/csv', 'multipart/mixed'),
  ];
  assert.deepEqual(drawn(tree(parts)), [
    ['', 'multipart/mixed', [['1', 'multipart/alternative', [['1.1', 'text/plain'], ['1.2', 'text/html']]], ['2', 'text/csv']]],
  ]);
  assert.deepEqual(drawn(tree([part('1', 'text/plain')])), [['1', 'text/plain']]);
});

test('keys do nothing where one writes, and not with a modifier', () => {
  const key = (name, target = {}, more = {}) => actionOf({ key: name, target, ...more });
  assert.equal(key('j'), 'next');
  assert.equal(key('3'), 'tab 3');
  assert.equal(key('Escape'), 'back');
  assert.equal(key('j', { tagName: 'INPUT', type: 'search' }), '');
  assert.equal(key('Escape', { tagName: 'INPUT', type: 'search' }), 'leave');
  assert.equal(key('x', { tagName: 'INPUT', type: 'checkbox' }), 'select');
  assert.equal(key('Enter', { tagName: 'BUTTON' }), '');
  assert.equal(key('r', {}, { ctrlKey: true }), '');
  assert.equal(key('ArrowDown'), '');
});
