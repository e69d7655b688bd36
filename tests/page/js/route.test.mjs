import assert from 'node:assert/strict';
import test from 'node:test';

import { format, parse } from '../static/route.js';

const route = (changes) => ({ ns: '', uuid: '', tab: '', q: '', only: '', panel: '', ...changes });

const CASES = [
  ['/ui/', '', route({})],
  ['/ui/ns/a', '', route({ ns: 'a' })],
  ['/ui/ns/run-42/w3', '?q=from%3Aann+x', route({ ns: 'run-42/w3', q: 'from:ann x' })],
  ['/ui/ns/a/m/u1', '', route({ ns: 'a', uuid: 'u1' })],
  ['/ui/ns/a/b/m/u1/headers', '?only=unread', route({ ns: 'a/b', uuid: 'u1', tab: 'headers', only: 'unread' })],
  ['/ui/ns/run-42/w3/faults', '', route({ ns: 'run-42/w3', panel: 'faults' })],
  ['/ui/ns/faults', '', route({ ns: 'faults' })],
  ['/ui/ns/a/m', '', route({ ns: 'a/m' })],
  ['/ui/ns/a/m/m/u1', '', route({ ns: 'a/m', uuid: 'u1' })],
];

test('an address is a route, and a route an address', () => {
  for (const [path, search, expected] of CASES) {
    assert.deepEqual(parse(path, search), expected);
    assert.equal(format(expected), path + search);
  }
});

test('what an address cannot be is nothing', () => {
  assert.deepEqual(parse('/ui/ns/a/m/u1/nothing', '?only=x'), route({ ns: 'a', uuid: 'u1' }));
  assert.deepEqual(parse('/elsewhere'), route({}));
  assert.deepEqual(parse('/ui/ns/%E0%A4%A'), route({ ns: '%E0%A4%A' }));
});
