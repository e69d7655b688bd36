// What a test does with npm's mailpit-api, against the URL that is given: prints what came of it as JSON.
import { createRequire } from "node:module";

const { MailpitClient } = createRequire(process.env.NODE_PATH + "/")("mailpit-api");
const client = new MailpitClient(process.argv[2]);
const told = {};
const status = async (call) => {
  try {
    await call();
    return 200;
  } catch (error) {
    return Number(/ (\d{3}) /.exec(String(error))?.[1] ?? 0);
  }
};

await client.deleteMessages();
const sent = await client.sendMessage({
  From: { Email: "zoe@example.com", Name: "Zoë" },
  To: [{ Email: "bob@example.com", Name: "Bob" }],
  Bcc: ["hidden@example.com"],
  Subject: "Grüße",
  Text: "hello",
  HTML: '<p>hello <img src="cid:dot"></p>',
  Headers: { "X-Batch": "7" },
  Tags: ["x/y"],
  Attachments: [
    { Content: "YTtiDQo=", Filename: "t.csv", ContentType: "text/csv" },
    { Content: "iVBORw==", Filename: "dot.png", ContentType: "image/png", ContentID: "dot" },
  ],
});
const list = await client.listMessages();
told.list = [list.total, list.unread, list.messages_count, list.tags, list.messages[0].ID === sent.ID];
const message = await client.getMessageSummary(sent.ID);
told.message = [message.From, message.To, message.Bcc, message.Subject, message.Text.trim(), message.Tags];
told.parts = [...message.Inline, ...message.Attachments].map((one) => [one.FileName, one.ContentType, one.Size, one.Checksums.MD5]);
told.headers = (await client.getMessageHeaders(sent.ID))["X-Batch"];
told.source = (await client.getMessageSource(sent.ID)).includes("X-Batch: 7");
told.html = (await client.renderMessageHTML("latest")).includes(`/api/v1/message/${sent.ID}/part/`);
told.text = await client.renderMessageText("latest");
const found = await client.searchMessages({ query: "subject:grüße to:bob has:attachment" });
told.search = [found.messages_count, found.messages_unread];
await client.setReadStatus({ IDs: [sent.ID], Read: false });
told.unread = (await client.listMessages()).unread;
await client.setTags({ IDs: [sent.ID], Tags: ["one"] });
await client.renameTag("one", "two");
told.tags = await client.getTags();
await client.deleteTag("two");
told.tagless = await client.getTags();
told.info = (await client.getInfo()).Messages;
told.webui = (await client.getConfiguration()).MessageRelay.Enabled;
told.refused = [
  await status(() => client.releaseMessage(sent.ID, { To: ["x@example.com"] })),
  await status(() => client.getMessageSummary("nosuch")),
  await status(() => client.searchMessages({ query: "" })),
  await status(() => client.spamAssassinCheck(sent.ID)),
];
await client.deleteMessagesBySearch({ query: "subject:grüße" });
told.left = (await client.listMessages()).total;
console.log(JSON.stringify(told));
process.exit(0);
