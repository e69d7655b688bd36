import assert from 'node:assert/strict';
import test from 'node:test';

import * as words from '../static/words.js';

test('sizes have decimal units', () => {
  assert.deepEqual([0, 999, 1000, 9950, 12345, 5e6, 7e9].map(words.size), [
    '0 B', '999 B', '1.0 kB', '9.9 kB', '12 kB', '5.0 MB', '7.0 GB',
  ]);
});

test('numbers are in groups', () => {
  assert.deepEqual([0, 999, 1000, 1234567].map(words.count), ['0', '999', '1\u202f000', '1\u202f234\u202f567']);
  assert.equal(words.plural(1, 'mail'), '1 mail');
  assert.equal(words.plural(2000, 'mail'), '2\u202f000 mails');
});

test('rates and spans are short', () => {
  assert.deepEqual([0, 0.25, 3, 1500].map(words.rate), ['', '0.3/s', '3.0/s', '1\u202f500/s']);
  const now = Date.parse('2026-01-02T12:00:00Z');
  const times = ['2026-01-02T11:59:59Z', '2026-01-02T11:59:20Z', '2026-01-02T11:00:00Z', '2025-12-30T12:00:00Z', 'x'];
  assert.deepEqual(times.map((time) => words.ago(time, now)), ['now', '40 s', '1 h', '3 d', '']);
});

test('a time of today is a clock', () => {
  const now = new Date(2026, 0, 2, 12);
  assert.equal(words.when(new Date(2026, 0, 2, 9, 5, 7).toISOString(), now), '09:05:07');
  assert.equal(words.when(new Date(2026, 0, 1, 9, 5).toISOString(), now), '1 Jan 09:05');
  assert.equal(words.when(new Date(2025, 0, 1).toISOString(), now), '1 Jan 2025');
  assert.equal(words.when('x', now), '');
});

test('characters that are not seen are marks', () => {
  const mark = (code, name) => ({ code, name });
  assert.deepEqual(words.marked('plain Grüße 漢字'), ['plain Grüße 漢字']);
  assert.deepEqual(words.marked(''), []);
  assert.deepEqual(words.marked('a\u202eb\u200b'), [
    'a', mark('U+202E', 'right-to-left override'), 'b', mark('U+200B', 'zero width space'),
  ]);
  assert.deepEqual(words.marked('\x00\n', '\n'), [mark('U+0000', 'NUL'), '\n']);
  assert.deepEqual(words.marked('\u{e0041}x'), [mark('U+E0041', 'character that is not seen'), 'x']);
  assert.deepEqual(words.marked('a\u200db'), ['a', mark('U+200D', 'zero width joiner'), 'b']);
  const family = '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}';
  assert.deepEqual(words.marked(`${family} ❤\ufe0f\u200d\u{1f525}`), [`${family} ❤\ufe0f\u200d\u{1f525}`]);
});

test('links end where the sentence goes on', () => {
  assert.deepEqual(words.linked('see https://x.test/a?b=1, or (http://y.test).'), [
    'see ', { url: 'https://x.test/a?b=1' }, ', or (', { url: 'http://y.test' }, ').',
  ]);
  assert.deepEqual(words.linked('javascript:alert(1)'), ['javascript:alert(1)']);
});
