import assert from 'node:assert/strict';
import test from 'node:test';

import { BURST, INITIAL, MOST, reduce } from '../static/state.js';

const mail = (seq, more = {}) => ({ uuid: `u${seq}`, seq, cursor: `e.${seq}`, read: false, tags: [], outcome: 'accepted', ...more });
const down = (from, to) => Array.from({ length: from - to + 1 }, (_, index) => mail(from - index));
const answer = (mails, next = null, more = {}) => ({ mails, next, cursor: 'e.9', total: 9, unread: 9, evicted: 0, ...more });
const listed = (mails, next) => reduce({ ...INITIAL, route: { ...INITIAL.route, ns: 'a' } }, { type: 'list', answer: answer(mails, next) });
const seqs = (state) => state.rows.map((row) => row.seq);

test('mails that come are at the top', () => {
  const state = reduce(listed(down(9, 8)), { type: 'arrived', count: 2, mails: [mail(10), mail(11)], cursor: 'e.11' });
  assert.deepEqual(seqs(state), [11, 10, 9, 8]);
  assert.deepEqual([state.total, state.unread, state.pending], [11, 11, 0]);
  assert.equal(reduce(state, { type: 'arrived', count: 1, mails: [mail(11)], cursor: 'e.11' }), state);
});

test('mails that come while the top is out of sight are counted', () => {
  const scrolled = reduce(listed(down(9, 8)), { type: 'scrolled', top: false });
  const state = reduce(scrolled, { type: 'arrived', count: 70, mails: [mail(79)], cursor: 'e.79' });
  assert.deepEqual([seqs(state), state.pending], [[9, 8], 70]);
});

test('a burst of which not all is told begins the list again', () => {
  const state = reduce(listed(down(9, 8)), { type: 'arrived', count: 500, mails: [mail(508), mail(509)], cursor: 'e.509' });
  assert.deepEqual([seqs(state), state.older], [[509, 508], true]);
  const many = { type: 'arrived', count: 500, mails: down(509, 460).reverse(), cursor: 'e.509' };
  assert.deepEqual(seqs(reduce(listed(down(9, 8)), many)), down(509, 510 - BURST).map((one) => one.seq));
});

test('what comes during a search is asked for', () => {
  const searched = { ...listed(down(9, 8)), route: { ...INITIAL.route, ns: 'a', q: 'x' } };
  const state = reduce(searched, { type: 'arrived', count: 1, mails: [mail(10)], cursor: 'e.10' });
  assert.deepEqual([seqs(state), state.stale], [[9, 8], true]);
});

test('there are never more rows than allowed', () => {
  let state = listed(down(1000, 951), 'e.951');
  for (let last = 950; last > 700; last -= 50) state = reduce(state, { type: 'older', answer: answer(down(last, last - 49), 'e.1') });
  assert.deepEqual([state.rows.length, state.rows[0].seq, state.newer, state.older], [MOST, 900, true, true]);
  state = reduce(state, { type: 'newer', answer: answer(down(950, 901).reverse(), 'e.950') });
  assert.deepEqual([state.rows.length, state.rows[0].seq, state.newer, state.older], [MOST, 950, true, true]);
});

test('what is deleted gives its focus to the next', () => {
  let state = reduce(listed(down(9, 6)), { type: 'focus', uuid: 'u8' });
  state = reduce(state, { type: 'deleted', uuids: ['u8', 'u7'] });
  assert.deepEqual([seqs(state), state.focused, state.total, state.unread], [[9, 6], 'u6', 7, 7]);
  assert.equal(reduce(state, { type: 'deleted', uuids: ['u6', 'u9'] }).focused, '');
});

test('ranges go from where the last choice was', () => {
  let state = reduce(listed(down(9, 4)), { type: 'toggle', uuid: 'u8' });
  state = reduce(state, { type: 'range', uuid: 'u5' });
  assert.deepEqual(Object.keys(state.selected), ['u8', 'u7', 'u6', 'u5']);
  assert.deepEqual(reduce(state, { type: 'toggle', uuid: 'u7' }).selected, { u8: true, u6: true, u5: true });
});

test('marks count what is unread', () => {
  const read = reduce(listed(down(9, 8)), { type: 'updated', uuid: 'u9', read: true, tags: ['x'] });
  assert.deepEqual([read.unread, read.rows[0].tags], [8, ['x']]);
  assert.equal(reduce(read, { type: 'updated', uuid: 'u9', read: true, tags: [] }).unread, 8);
});

test('namespaces are told as they change', () => {
  const told = (state, namespaces, gone = [], all = false) => reduce(state, { type: 'namespaces', all, namespaces, gone });
  const space = (name, mails) => ({ name, mails, unread: 1 });
  let state = told(listed(down(9, 8)), [space('a', 1), space('c', 2)], [], true);
  assert.deepEqual([state.total, state.unread], [1, 1]);
  state = told(state, [space('b', 5), space('c', 3)]);
  assert.deepEqual(state.namespaces, [space('a', 1), space('b', 5), space('c', 3)]);
  state = told(state, [], ['a', 'x']);
  assert.deepEqual([state.namespaces, state.total], [[space('b', 5), space('c', 3)], 1]);
  assert.deepEqual(told(state, [space('d', 1)], [], true).namespaces, [space('d', 1)]);
});

test('another namespace is another list', () => {
  const state = reduce(listed(down(9, 8)), { type: 'route', route: { ...INITIAL.route, ns: 'b' } });
  assert.deepEqual([state.rows, state.loaded, state.cursor, state.total], [[], false, '', 0]);
});
