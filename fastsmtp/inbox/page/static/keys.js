// What each key does: [key, what it does, name of the action].

export const KEYS = [
  ['j', 'Next mail', 'next'],
  ['k', 'Mail before', 'previous'],
  ['Enter', 'Open', 'open'],
  ['Esc', 'Back, or leave a field', 'back'],
  ['/', 'Search', 'search'],
  ['x', 'Select', 'select'],
  ['d', 'Delete', 'remove'],
  ['r', 'Read or unread', 'read'],
  ['g', 'To the newest', 'newest'],
  ['n', 'Namespaces', 'namespaces'],
  ['?', 'These keys', 'help'],
];

const NAMED = { Escape: 'Esc' };

// The name of the action of a key, "tab 3" for a digit, "" for what is not ours.
export function actionOf(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return '';
  const key = NAMED[event.key] || event.key;
  const element = event.target;
  const writing = element && /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName) && element.type !== 'checkbox';
  if (writing) return key === 'Esc' ? 'leave' : '';
  const interactive = element && /^(A|BUTTON|SUMMARY)$/.test(element.tagName);
  if (key === 'Enter' && interactive) return '';
  if (/^[1-9]$/.test(key)) return `tab ${key}`;
  const found = KEYS.find(([name]) => name === key);
  return found ? found[2] : '';
}
