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
