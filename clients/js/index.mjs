// Mails in tests: a server for the whole run, and an inbox of its own for each test. Waits are the server's; nothing polls.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';

/** The inbox did not do what it was asked. */
export class InboxError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.name = 'InboxError';
    this.status = status;
  }
}

/** Mails are not as a test expects; the message is the server's report, unchanged. */
export class NotAsExpected extends Error {
  constructor(report, page) {
    super(`${report.trimEnd()}\n${page}`);
    this.name = 'NotAsExpected';
    this.report = report;
    this.page = page;
  }
}

let running;

/** Returns the server of this run: that at FASTSMTP_URL, or one that is started for all processes of the run. */
export function mailServer() {
  running ??= findServer();
  return running;
}

async function findServer() {
  const { FASTSMTP_URL: url, FASTSMTP_SMTP: smtp = '' } = process.env;
  return url ? new MailServer(url.replace(/\/$/, ''), smtp, true) : startServer();
}

/** Workers that run side by side, those of Playwright and of `node --test`, have one parent. */
async function startServer() {
  const run = process.env.FASTSMTP_RUN || `node-${process.ppid}`;
  const keeper = spawn('fastsmtp', ['testserver', '--run', run], { stdio: ['pipe', 'pipe', 'pipe'] });
  const failed = new Promise((_resolve, reject) => {
    let complaint = '';
    keeper.stderr.on('data', (text) => { complaint += text; });
    keeper.once('error', () => reject(new InboxError(
      'there is no program fastsmtp in PATH; FASTSMTP_URL names a server that runs already')));
    keeper.once('close', () => reject(new InboxError(complaint.trim() || 'fastsmtp testserver ended')));
  });
  failed.catch(() => {}); // when it ends later, with this process
  const lines = createInterface({ input: keeper.stdout });
  const told = new Promise((resolve) => lines.once('line', resolve));
  const { url } = JSON.parse(await Promise.race([told, failed]));
  for (const kept of [keeper, keeper.stdin, keeper.stdout, keeper.stderr]) kept.unref(); // it ends with this process
  return new MailServer(url, '', false);
}

export class MailServer {
  #prefix = randomBytes(4).toString('hex');
  #smtp;

  constructor(url, smtp, stays) {
    this.url = url;
    this.stays = stays;
    this.#smtp = smtp;
  }

  /** Makes a new inbox, to be closed; `settings` is the document of `PUT /api/ns/{ns}`. */
  async openInbox(name = 'test', settings = {}) {
    const slug = name.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '').slice(0, 40) || 'test';
    const unique = `${this.#prefix}/${slug}-${randomBytes(3).toString('hex')}`;
    const api = new API(this.url, unique);
    const made = await api.call('PUT', '', { ...(this.#smtp ? {} : { listen: true }), ...settings });
    return new Inbox(api, made, this.#smtp);
  }
}

class API {
  #base;
  #headers = { accept: 'application/json' };

  constructor(url, namespace) {
    const { origin, pathname, username, password } = new URL(url);
    this.#base = `${origin}${pathname.replace(/\/$/, '')}/api/ns/${namespace}`;
    if (username) {
      const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
      this.#headers.authorization = `Basic ${Buffer.from(login).toString('base64')}`;
    }
  }

  async request(method, path, body, type) {
    const headers = body === undefined ? this.#headers : { ...this.#headers, 'content-type': type };
    try {
      return await fetch(this.#base + path, { method, headers, body });
    } catch (error) {
      throw new InboxError(`no inbox answers at ${this.#base}: ${error.cause?.message ?? error.message}`);
    }
  }

  async call(method, path, document, type = 'application/json') {
    const body = type === 'application/json' && document !== undefined ? JSON.stringify(document) : document;
    const answer = await this.request(method, path, body, type);
    const said = await answer.json();
    if (!answer.ok && answer.status !== 408 && answer.status !== 409) {
      throw new InboxError([said.pointer, said.detail].filter(Boolean).join(': '), answer.status);
    }
    return { ...said, status: answer.status };
  }

  async download(path) {
    const answer = await this.request('GET', path);
    if (!answer.ok) throw new InboxError(`the inbox answered ${path} with ${answer.status}`, answer.status);
    return Buffer.from(await answer.arrayBuffer());
  }
}

/** One mail; what is not in its summary is read when it is asked for. */
export class Mail {
  #api;
  #path;

  constructor(api, summary) {
    const addresses = (mailboxes) => mailboxes.map((mailbox) => mailbox.address);
    this.#api = api;
    this.#path = `/mails/${summary.uuid}`;
    this.summary = summary;
    this.uuid = summary.uuid;
    this.sender = summary.envelope.from;
    this.recipients = summary.envelope.to;
    this.subject = summary.subject;
    this.from = summary.from?.address ?? null;
    this.to = addresses(summary.to);
    this.cc = addresses(summary.cc);
    this.replyTo = addresses(summary.reply_to);
    this.username = summary.username;
  }

  /** The JSON that a worker gets. */
  async payload() { return (await this.#api.call('GET', this.#path)).payload; }

  async text() { return (await this.payload()).message.text; }

  async html() { return (await this.payload()).message.html; }

  /** A header field, decoded. */
  async header(name) {
    const fields = Object.entries((await this.payload()).message.headers);
    return fields.find(([one]) => one.toLowerCase() === name.toLowerCase())?.[1] ?? null;
  }

  /** The octets. */
  raw() { return this.#api.download(`${this.#path}/raw`); }

  /** The addresses of links, those of HTML first. */
  async links() { return (await this.#api.call('GET', `${this.#path}/links`)).links.map((link) => link.url); }

  /** What looks like a code to be entered, the likeliest first. */
  async codes() { return (await this.#api.call('GET', `${this.#path}/codes`)).codes.map((code) => code.code); }

  async attachments() {
    const { parts } = await this.#api.call('GET', `${this.#path}/parts`);
    return Promise.all(parts.filter((part) => part.attachment !== null).map(async (part) => ({
      filename: part.filename,
      contentType: part.content_type,
      content: await this.#api.download(`${this.#path}/parts/${part.number}`),
    })));
  }

  /** The lines in which it differs from this message, apart from what differs each time. */
  async difference(expected) {
    return (await this.#api.call('POST', `${this.#path}/diff`, expected, 'message/rfc822')).lines;
  }
}

/** The inbox of one test, until `close()`. Conditions are those of docs/inbox.md: `{to: 'x@example.com'}`. */
export class Inbox {
  #api;
  #kept = false;

  constructor(api, made, smtp) {
    this.#api = api;
    this.name = made.name;
    this.address = made.address;
    this.page = made.urls.page;
    const colon = smtp.lastIndexOf(':');
    this.smtp = smtp
      ? { host: smtp.slice(0, colon), port: Number(smtp.slice(colon + 1)), username: made.name }
      : made.smtp;
  }

  #mails(summaries) { return summaries.map((summary) => new Mail(this.#api, summary)); }

  async #await(what, document, after) {
    const answer = await this.#api.call('POST', `/${what}`, after ? { ...document, after } : document);
    if (answer.status !== 200) throw new NotAsExpected(answer.detail, this.page);
    return answer;
  }

  /** What came so far, the oldest first; at most 1000. */
  async mails() { return this.#mails((await this.#api.call('GET', '/mails?order=asc&limit=1000')).mails); }

  /** The place behind the newest mail, for `after`. */
  async cursor() { return (await this.#api.call('GET', '/cursor')).cursor; }

  /** What became of every mail. */
  async ledger() { return this.#api.call('GET', '/ledger'); }

  /** Returns the mails that meet the condition, once there are `count`. */
  async wait(where = {}, { count = 1, within = '10s', after } = {}) {
    return this.#mails((await this.#await('wait', { where, count, timeout: within, limit: 1000 }, after)).mails);
  }

  /** Returns the one mail that meets the condition, once it is there and no second one comes. */
  async waitOne(where = {}, { within = '10s', after } = {}) {
    return this.#mails((await this.#await('wait', { where, exactly: 1, timeout: within }, after)).mails)[0];
  }

  /** Returns the report once all items hold. */
  async expect(items, { within = '5s', rest = 'allow', after } = {}) {
    return this.#await('expect', { expect: items, within, rest }, after);
  }

  /** So many mails, or `{recipient: count}`, and no others. */
  async exactly(wanted, where = {}, { within = '5s' } = {}) {
    if (typeof wanted === 'number') return this.expect([{ where, exactly: wanted }], { within });
    const items = Object.entries(wanted).map(([rcpt, exactly]) => ({ where: { ...where, rcpt }, exactly }));
    const others = { ...where, not: { rcpt: Object.keys(wanted) } };
    return this.expect([...items, { name: 'to others', where: others, none: true }], { within });
  }

  /** Watches for so long that no such mail comes. */
  async none(where = {}, { within = '1s' } = {}) {
    return this.expect([{ where, none: true, for: within }], { within });
  }

  /** Returns the one mail, once it is there and as the file has it, apart from what differs each time. */
  async expectLike(golden, where = {}, { within = '10s' } = {}) {
    const mail = await this.waitOne(where, { within });
    if (process.env.FASTSMTP_GOLDEN === 'write') {
      await mkdir(dirname(golden), { recursive: true });
      await writeFile(golden, await mail.raw());
      return mail;
    }
    if (await access(golden).then(() => false, () => true)) {
      throw new NotAsExpected(`there is no file ${golden}; FASTSMTP_GOLDEN=write writes it`, this.page);
    }
    const lines = await mail.difference(await readFile(golden));
    if (lines.length) {
      throw new NotAsExpected([`the mail is not like ${golden} (- expected, + got):`, ...lines].join('\n'), this.page);
    }
    return mail;
  }

  /** Has the server do what the plan says, in this inbox. */
  async faults(plan) { await this.#api.call('PUT', '/faults', plan); }

  /** What is in it, for the report of a test that failed. */
  async summary() {
    const { mails } = await this.#api.call('GET', '/mails?order=asc&limit=20&outcome=any');
    const lines = mails.map((mail) => {
      const subject = mail.subject === null ? '(no subject)' : JSON.stringify(mail.subject);
      const to = mail.envelope.to.slice(0, 3).join(', ');
      return `#${mail.seq} ${mail.received_at.slice(11, 23)} ${mail.envelope.from || '<>'} -> ${to}: ${subject}`;
    });
    return [...(lines.length ? lines : ['no mail came']), this.page].join('\n');
  }

  /** Has `close` leave it, to be looked at. */
  keep() { this.#kept = true; }

  /** Deletes it with all it holds. May be called twice. */
  async close() {
    if (!this.#kept) await this.#api.call('DELETE', '').catch(() => {});
  }

  async [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() { await this.close(); }
}

/**
 * Returns an inbox for one test of `node:test`, given its context `t`; it is deleted when the test is over. That of a test
 * that failed stays where the server does, and what is in it is told.
 */
export async function openInbox(t, settings = {}) {
  const server = await mailServer();
  const inbox = await server.openInbox(t?.name, settings);
  t?.after(async () => {
    if (t.passed === false) {
      t.diagnostic(`mails of this test:\n${await inbox.summary()}`);
      if (server.stays) inbox.keep();
    }
    await inbox.close();
  });
  return inbox;
}
