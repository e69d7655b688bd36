// A test that asserts what is seen of a mail, for pytest, PHPUnit and node:test: it runs as it is pasted.

// JSON strings are strings of Python and JavaScript, too.
const quoted = (text) => JSON.stringify(text);
const php = (text) => `'${text.replace(/[\\']/g, '\\$&')}'`;

// What is asserted of a mail with this summary and payload.
export function facts({ envelope, subject, from, attachments }, payload) {
  const names = payload ? payload.attachments.map((attachment) => attachment.filename) : [];
  const where = { rcpt: envelope.to[0] || '' };
  if (subject) where.subject = subject;
  return { where, subject, from: from ? from.address : '', to: envelope.to, count: attachments, names };
}

const name = ({ subject, to }) => {
  const words = (subject || `mail to ${to[0] || 'somebody'}`).normalize('NFKD').toLowerCase();
  return words.replace(/[^a-z0-9]+/g, '_').replace(/^_+|_+$/g, '').slice(0, 40) || 'mail';
};

export function pytest(origin, path, found) {
  const lines = [
    'import json',
    'import os',
    'import urllib.request',
    '',
    '',
    `def test_${name(found)}():`,
    `    inbox = os.environ.get("FASTSMTP_URL", ${quoted(origin)})`,
    `    wanted = {"where": ${python(found.where)}, "timeout": "5s", "fields": "full"}`,
    '    request = urllib.request.Request(',
    `        inbox + ${quoted(`${path}/wait`)}, json.dumps(wanted).encode(), {"Content-Type": "application/json"}`,
    '    )',
    '    with urllib.request.urlopen(request) as answer:',
    '        mail = json.load(answer)["mails"][-1]',
    `    assert mail["envelope"]["to"] == ${python(found.to)}`,
  ];
  if (found.from) lines.push(`    assert mail["from"]["address"] == ${quoted(found.from)}`);
  if (found.subject) lines.push(`    assert mail["subject"] == ${quoted(found.subject)}`);
  lines.push(`    assert [one["filename"] for one in mail["payload"]["attachments"]] == ${python(found.names)}`);
  return `${lines.join('\n')}\n`;
}

function python(value) {
  if (Array.isArray(value)) return `[${value.map(quoted).join(', ')}]`;
  return `{${Object.entries(value).map(([key, one]) => `${quoted(key)}: ${quoted(one)}`).join(', ')}}`;
}

export function phpunit(origin, path, found) {
  const title = name(found).replace(/(?:^|_)([a-z0-9])/g, (_, letter) => letter.toUpperCase());
  const where = Object.entries(found.where).map(([key, one]) => `${php(key)} => ${php(one)}`);
  const list = (texts) => `[${texts.map(php).join(', ')}]`;
  const lines = [
    `<?php // ${title}Test.php`,
    '',
    'use PHPUnit\\Framework\\TestCase;',
    '',
    `final class ${title}Test extends TestCase`,
    '{',
    '    public function testMail(): void',
    '    {',
    `        $inbox = getenv('FASTSMTP_URL') ?: ${php(origin)};`,
    `        $wanted = ['where' => [${where.join(', ')}], 'timeout' => '5s', 'fields' => 'full'];`,
    `        $answer = file_get_contents($inbox . ${php(`${path}/wait`)}, false, stream_context_create(['http' => [`,
    "            'method' => 'POST',",
    "            'header' => 'Content-Type: application/json',",
    "            'content' => json_encode($wanted, JSON_THROW_ON_ERROR),",
    '        ]]));',
    "        $mails = json_decode((string) $answer, true, 512, JSON_THROW_ON_ERROR)['mails'];",
    '        $mail = end($mails);',
    `        self::assertSame(${list(found.to)}, $mail['envelope']['to']);`,
  ];
  if (found.from) lines.push(`        self::assertSame(${php(found.from)}, $mail['from']['address']);`);
  if (found.subject) lines.push(`        self::assertSame(${php(found.subject)}, $mail['subject']);`);
  lines.push(`        self::assertSame(${list(found.names)}, array_column($mail['payload']['attachments'], 'filename'));`);
  lines.push('    }', '}');
  return `${lines.join('\n')}\n`;
}

export function javascript(origin, path, found) {
  const lines = [
    "import assert from 'node:assert/strict';",
    "import test from 'node:test';",
    '',
    `test(${quoted(found.subject || name(found))}, async () => {`,
    `  const inbox = process.env.FASTSMTP_URL ?? ${quoted(origin)};`,
    `  const answer = await fetch(inbox + ${quoted(`${path}/wait`)}, {`,
    "    method: 'POST',",
    `    body: JSON.stringify({ where: ${JSON.stringify(found.where)}, timeout: '5s', fields: 'full' }),`,
    '  });',
    '  assert.equal(answer.status, 200);',
    '  const mail = (await answer.json()).mails.at(-1);',
    `  assert.deepEqual(mail.envelope.to, ${JSON.stringify(found.to)});`,
  ];
  if (found.from) lines.push(`  assert.equal(mail.from.address, ${quoted(found.from)});`);
  if (found.subject) lines.push(`  assert.equal(mail.subject, ${quoted(found.subject)});`);
  lines.push(`  assert.deepEqual(mail.payload.attachments.map((one) => one.filename), ${JSON.stringify(found.names)});`);
  lines.push('});');
  return `${lines.join('\n')}\n`;
}

export const LANGUAGES = [
  ['pytest', pytest],
  ['PHPUnit', phpunit],
  ['JavaScript', javascript],
];
