// Texts made of numbers, times and names. Nothing here touches the document.

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

export function size(octets) {
  let unit = 0;
  while (octets >= 1000 && unit < UNITS.length - 1) {
    octets /= 1000;
    unit += 1;
  }
  const digits = unit && octets < 10 ? 1 : 0;
  return `${octets.toFixed(digits)} ${UNITS[unit]}`;
}

export function count(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

export function rate(perSecond) {
  if (!perSecond) return '';
  return perSecond < 10 ? `${perSecond.toFixed(1)}/s` : `${count(Math.round(perSecond))}/s`;
}

const two = (number) => String(number).padStart(2, '0');
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

// A time as a list shows it: the clock for today, the day for others.
export function when(text, now = new Date()) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return '';
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}`;
  if (at.toDateString() === now.toDateString()) return `${clock}:${two(at.getSeconds())}`;
  const day = `${at.getDate()} ${MONTHS[at.getMonth()]}`;
  return at.getFullYear() === now.getFullYear() ? `${day} ${clock}` : `${day} ${at.getFullYear()}`;
}

// The same, to the millisecond.
export function precisely(text) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return '';
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return `${day} ${clock}.${String(at.getMilliseconds()).padStart(3, '0')}`;
}

export function ago(text, now = Date.now()) {
  const seconds = Math.max(0, Math.round((now - new Date(text).getTime()) / 1000));
  if (Number.isNaN(seconds)) return '';
  if (seconds < 5) return 'now';
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86400)} d`;
}

export function mailbox(box) {
  if (!box) return '';
  return box.name ? `${box.name} <${box.address}>` : box.address;
}

// Whom a row names: the name where there is one.
export function shortly(box) {
  return box ? box.name || box.address : '';
}

// Characters that are not seen, or change how others are shown: a sender may hide something with them.
const UNSEEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;
const NAMES = {
  9: 'tab', 10: 'line feed', 13: 'carriage return', 0x00: 'NUL', 0x1b: 'escape', 0xad: 'soft hyphen',
  0x061c: 'Arabic letter mark', 0x200b: 'zero width space', 0x200c: 'zero width non-joiner',
  0x200d: 'zero width joiner', 0x200e: 'left-to-right mark', 0x200f: 'right-to-left mark',
  0x202a: 'left-to-right embedding', 0x202b: 'right-to-left embedding', 0x202c: 'pop directional formatting',
  0x202d: 'left-to-right override', 0x202e: 'right-to-left override', 0x2060: 'word joiner',
  0x2066: 'left-to-right isolate', 0x2067: 'right-to-left isolate', 0x2068: 'first strong isolate',
  0x2069: 'pop directional isolate', 0xfeff: 'byte order mark',
};
const PICTOGRAPH = /\p{Extended_Pictographic}|\p{Emoji_Modifier}|\ufe0f/u;

// A text in pieces: strings, and {code, name} for each character that is shown as a mark. `kept` are left as they are.
export function marked(text, kept = '') {
  const pieces = [];
  let from = 0;
  for (const match of text.matchAll(UNSEEN)) {
    const character = match[0];
    if (kept.includes(character) || joinsPictographs(text, match.index, character)) continue;
    if (match.index > from) pieces.push(text.slice(from, match.index));
    const point = character.codePointAt(0);
    const code = `U+${point.toString(16).toUpperCase().padStart(4, '0')}`;
    pieces.push({ code, name: NAMES[point] || 'character that is not seen' });
    from = match.index + character.length;
  }
  if (from < text.length) pieces.push(text.slice(from));
  return pieces;
}

// U+200D inside an emoji such as a family belongs there.
function joinsPictographs(text, at, character) {
  if (character !== '\u200d') return false;
  const before = [...text.slice(Math.max(0, at - 4), at)].pop() || '';
  const after = [...text.slice(at + 1, at + 3)][0] || '';
  return PICTOGRAPH.test(before) && PICTOGRAPH.test(after);
}

const LINK = /\bhttps?:\/\/[^\s<>"'`{}|\\^]+/gi;

// A text in pieces: strings, and {url} for what can be followed.
export function linked(text) {
  const pieces = [];
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    const url = match[0].replace(/[.,;:!?)\]*_~]+$/, '');
    pieces.push(text.slice(from, match.index), { url });
    from = match.index + url.length;
  }
  pieces.push(text.slice(from));
  return pieces.filter((piece) => piece !== '');
}
