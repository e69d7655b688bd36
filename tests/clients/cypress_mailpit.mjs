// The commands of npm's cypress-mailpit, unchanged, without Cypress: what it offers them - `cy.request`, `cy.wrap`,
// `cy.env`, `cy.wait` - is here a promise. Prints what came of them as JSON.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const [url, user] = process.argv.slice(2);
globalThis.Cypress = { expose: () => url, config: () => 4000 };
globalThis.cy = {
  env: async () => (user ? { MAILPIT_USERNAME: user, MAILPIT_PASSWORD: "x" } : {}),
  wrap: async (value) => value,
  wait: (ms) => new Promise((done) => setTimeout(done, ms)),
  request: async ({ method, url, body, qs, auth }) => {
    const headers = auth ? { Authorization: `Basic ${btoa(`${auth.user}:${auth.pass}`)}` } : {};
    const answer = await fetch(qs ? `${url}?${new URLSearchParams(qs)}` : url, { method, headers, body: body && JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status}`);
    const text = await answer.text();
    return { status: answer.status, body: answer.headers.get("Content-Type")?.includes("json") ? JSON.parse(text) : text };
  },
};
const main = createRequire(process.env.NODE_PATH + "/").resolve("cypress-mailpit");
const source = readFileSync(join(dirname(main), "src", "MailpitCommands.js"));
const { MailpitCommands } = await import(`data:text/javascript;base64,${source.toString("base64")}`);
const mailpit = new MailpitCommands();
const told = {};

await mailpit.mailpitDeleteAllEmails();
await mailpit.mailpitSendMail({ tags: ["signup", "x/y"], attachments: [{ Content: "YTtiDQo=", Filename: "t.csv" }] });
await mailpit.mailpitSendMail({ subject: "Another", to: [{ Email: "joe@example.com", Name: "Joe" }] });
const all = await mailpit.mailpitGetAllMails();
told.all = [all.messages_count, all.messages.map((mail) => mail.Subject), all.tags];
const found = await mailpit.mailpitGetEmailsBySubject("Hello");
const mail = await mailpit.mailpitGetMail(found.messages[0].ID);
told.mail = [
  await mailpit.mailpitGetSubject(mail),
  await mailpit.mailpitGetFromAddress(mail),
  await mailpit.mailpitGetRecipientAddress(mail),
  await mailpit.mailpitGetAttachments(mail),
  mail.Username,
];
told.html = await mailpit.mailpitGetMailHTMlBody(mail);
told.text = (await mailpit.mailpitGetMailTextBody(mail)).trim();
told.latest = (await mailpit.mailpitGetMail()).Subject;
told.has = [
  (await mailpit.mailpitHasEmailsBySubject("Another")).messages_count,
  (await mailpit.mailpitHasEmailsByTo("joe@example.com")).messages_count,
  (await mailpit.mailpitHasEmailsBySearch("tag:signup")).messages_count,
  (await mailpit.mailpitNotHasEmailsByTo("nobody@example.com")).messages_count,
  (await mailpit.mailpitNotHasEmailsBySubject("nothing")).messages_count,
];
const unread = async () => (await mailpit.mailpitGetAllMails()).unread;
told.unread = [await unread()];
for (const mark of ["SetStatusAsUnRead", "SetStatusAsRead"]) {
  await mailpit[`mailpit${mark}`](mail);
  told.unread.push(await unread());
}
for (const mark of ["SetAllEmailStatusAsUnRead", "SetAllEmailStatusAsRead"]) {
  await mailpit[`mailpit${mark}`]();
  told.unread.push(await unread());
}
await mailpit.mailpitDeleteEmailsBySearch("subject:Another");
told.left = (await mailpit.mailpitGetAllMails()).messages_count;
console.log(JSON.stringify(told));
