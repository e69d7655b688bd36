// Sends three mails, one after the other, over a pool of one connection, and says what became of each.
// usage: NODE_PATH=.../node_modules node nodemailer_pool.js HOST PORT
const nodemailer = require("nodemailer");

const [host, port] = process.argv.slice(2);
const pool = nodemailer.createTransport({ host, port: Number(port), pool: true, maxConnections: 1, ignoreTLS: true });
const send = (subject) =>
  pool.sendMail({ from: "a@example.com", to: "b@example.com", subject, text: "hello" }).then(
    () => console.log(subject, "sent"),
    (error) => console.log(subject, error.code || error.message),
  );
send("one").then(() => send("two")).then(() => send("three")).then(() => pool.close());
