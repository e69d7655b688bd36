// A page where people sign up: it sends a code by mail, and lets in who enters it. Stands for the application under test.
import { randomInt } from 'node:crypto';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const page = (body) => `<!doctype html><title>Sign up</title>${body}`;
const form = (name, label) => page(
  `<form method="post"><label>${label} <input name="${name}"></label> <button>Go on</button></form>`);

/** Returns the running server; mails go to `smtp`. */
export function startApp(smtp) {
  const codes = new Map();
  const server = createServer(async (request, response) => {
    let said = '';
    for await (const piece of request) said += piece;
    const fields = new URLSearchParams(said);
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    if (fields.has('email')) {
      const code = String(randomInt(100000, 1000000));
      codes.set(code, fields.get('email'));
      await sendMail(smtp, fields.get('email'), 'Confirm your address', `Your code is ${code}.`);
      response.end(form('code', 'Code'));
    } else if (fields.has('code')) {
      const email = codes.get(fields.get('code'));
      response.end(page(email ? `<h1>Welcome, ${email}</h1>` : '<h1>Wrong code</h1>'));
    } else {
      response.end(form('email', 'E-mail'));
    }
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

async function sendMail({ host, port }, to, subject, text) {
  const socket = connect(port, host);
  const replies = createInterface({ input: socket })[Symbol.asyncIterator]();
  await replies.next();
  const mail = `From: shop@example.com\r\nTo: ${to}\r\nSubject: ${subject}\r\n\r\n${text}\r\n.`;
  for (const line of ['HELO shop', 'MAIL FROM:<shop@example.com>', `RCPT TO:<${to}>`, 'DATA', mail, 'QUIT']) {
    socket.write(`${line}\r\n`);
    await replies.next();
  }
  socket.destroy();
}
