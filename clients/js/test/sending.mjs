// Stands for the application under test: a mail over a plain socket.
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

export async function send({ host, port }, to, subject = 'Welcome', text = 'Hello.') {
  const socket = connect(port, host);
  const replies = createInterface({ input: socket })[Symbol.asyncIterator]();
  await replies.next();
  const mail = `From: Shop <shop@example.com>\r\nTo: ${to}\r\nSubject: ${subject}\r\nX-Batch: 7\r\n\r\n${text}\r\n.`;
  for (const line of ['HELO shop', 'MAIL FROM:<shop@example.com>', `RCPT TO:<${to}>`, 'DATA', mail, 'QUIT']) {
    socket.write(`${line}\r\n`);
    const { value } = await replies.next();
    if (!/^[23]/.test(value)) throw new Error(`${line}: ${value}`);
  }
  socket.destroy();
}
