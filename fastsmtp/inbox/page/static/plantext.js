// Fault plans as YAML that people read: a rule is one line.

const PLAIN = /^[A-Za-z][\w.-]*( [\w.-]+)*$/;
const WORDS = /^(true|false|yes|no|on|off|null|y|n)$/i; // these are no texts in YAML
const KEY = /^[A-Za-z_][\w.-]*$/;

// A value in YAML's flow style.
export function flow(value) {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`;
  if (value !== null && typeof value === 'object') {
    return `{${Object.entries(value).map(([key, one]) => `${KEY.test(key) && !WORDS.test(key) ? key : JSON.stringify(key)}: ${flow(one)}`).join(', ')}}`;
  }
  return typeof value === 'string' && PLAIN.test(value) && !WORDS.test(value) ? value : JSON.stringify(value);
}

// The plan of a report of the API, "" where there is none.
export function planText(report) {
  if (!report) return '';
  return `seed: ${report.seed}\nrules:\n${report.rules.map((rule) => `- ${flow(rule)}\n`).join('')}`;
}

// The same with one more rule.
export function withPreset(text, name) {
  const before = text.trim() ? `${text.trimEnd()}\n` : 'rules:\n';
  const [indent] = before.match(/^ *(?=- )/m) || [''];
  return `${before}${indent}- preset: ${name}\n`;
}

// Rules that the server knows by name, and what they do. A test holds them against its own.
export const PRESETS = {
  greylist: 'The first RCPT of each sender and recipient is answered with 451',
  'rate-limit': 'More than ten MAIL a second from an address: 450',
  down: '421 instead of the greeting',
  slow: 'Each answer takes from half a second to two',
  'lost-ack': 'The first mail of each sender is stored, and the connection reset before the 250',
  'disk-full': '452 at the end of each mail',
  'tls-broken': 'The certificate has expired',
  bounce: '550 to each RCPT',
};
