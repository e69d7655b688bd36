import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { InboxError, mailServer, NotAsExpected, openInbox } from '../index.mjs';
import { send } from './sending.mjs';

test('a mail has all that a test asks for', async (t) => {
  const inbox = await openInbox(t);
  await send(inbox.smtp, 'b@example.com', 'Welcome', 'Your code is 482913: https://x.test/go');
  const [mail] = await inbox.wait({ to: 'b@example.com', 'header.X-Batch': '7' });
  assert.deepEqual([mail.sender, mail.recipients, mail.from, mail.to], [
    'shop@example.com', ['b@example.com'], 'shop@example.com', ['b@example.com']]);
  assert.deepEqual([mail.cc, mail.replyTo, mail.subject, mail.username], [[], [], 'Welcome', null]);
  assert.deepEqual([await mail.text(), await mail.html()], ['Your code is 482913: https://x.test/go\r\n', null]);
  assert.deepEqual([await mail.links(), await mail.codes()], [['https://x.test/go'], ['482913']]);
  assert.deepEqual([await mail.header('x-batch'), await mail.attachments()], ['7', []]);
  assert.match((await mail.raw()).toString(), /^From: Shop/);
});

test('twenty mails from four senders, exactly these and none to others', async (t) => {
  const inbox = await openInbox(t);
  const readers = Array.from({ length: 20 }, (_, number) => `reader${number}@example.com`);
  const sender = async (rest) => { while (rest.length) await send(inbox.smtp, rest.pop()); };
  await Promise.all([0, 1, 2, 3].map((first) => sender(readers.filter((_, number) => number % 4 === first))));
  await inbox.exactly(Object.fromEntries(readers.map((reader) => [reader, 1])));
});

test('each test has an inbox of its own', async (t) => {
  const inbox = await openInbox(t);
  assert.deepEqual(await inbox.mails(), []);
  await inbox.none({}, { within: '20ms' });
  const waiting = inbox.waitOne();
  await send(inbox.smtp, 'b@example.com');
  assert.equal((await waiting).subject, 'Welcome');
  assert.equal((await inbox.ledger()).store.present, 1);
  const after = await inbox.cursor();
  await send(inbox.smtp, 'b@example.com', 'new');
  assert.equal((await inbox.waitOne({}, { after })).subject, 'new');
  await inbox.exactly(1, { subject: 'new' });
});

test('the report of the server is the error', async (t) => {
  const inbox = await openInbox(t);
  await send(inbox.smtp, 'b@example.com', 'Welcome back');
  await assert.rejects(inbox.wait({ subject: 'Welcome' }, { within: '50ms' }), (error) => {
    assert.ok(error instanceof NotAsExpected);
    assert.equal(error.message.split('\n')[1], 'x at least 1 subject "Welcome": got 0');
    assert.equal(error.message.split('\n').at(-1), inbox.page);
    return true;
  });
  await assert.rejects(inbox.wait({ colour: 'red' }), InboxError);
});

test('a golden mail', async (t) => {
  const inbox = await openInbox(t);
  const directory = await mkdtemp(join(tmpdir(), 'golden-'));
  t.after(() => rm(directory, { recursive: true }));
  const golden = join(directory, 'kept', 'welcome.eml');
  await send(inbox.smtp, 'b@example.com');
  await assert.rejects(inbox.expectLike(golden), /FASTSMTP_GOLDEN=write writes it/);
  process.env.FASTSMTP_GOLDEN = 'write';
  await inbox.expectLike(golden);
  delete process.env.FASTSMTP_GOLDEN;
  assert.equal((await inbox.expectLike(golden)).subject, 'Welcome');
  await writeFile(golden, (await readFile(golden, 'latin1')).replace('Hello', 'Hi'));
  await assert.rejects(inbox.expectLike(golden), /\n- Hi\.\n\+ Hello\.\n/);
});

test('the server fails as a plan says', async (t) => {
  const inbox = await openInbox(t);
  await inbox.faults({ rules: [{ id: 'no', when: { at: 'rcpt' }, do: { reply: '550 5.1.1 No' }, times: 1 }] });
  await assert.rejects(send(inbox.smtp, 'b@example.com'), /550 5\.1\.1 No/);
  await send(inbox.smtp, 'b@example.com');
  await inbox.exactly({ 'b@example.com': 1 });
});

test('an inbox that is closed is gone', async () => {
  const inbox = await (await mailServer()).openInbox('other');
  await inbox.close();
  await inbox.close();
  await assert.rejects(inbox.mails(), /there is no namespace/);
});
