// What a test does with npm's mailhog, against a host, a port and a base path: prints what came of it as JSON.
const [host, port, basePath] = process.argv.slice(2);
const mailhog = require("mailhog")({ host, port: Number(port), basePath });

(async () => {
  const told = {};
  const all = await mailhog.messages();
  told.all = [all.total, all.count, all.start];
  const latest = await mailhog.latestTo("bob@example.com");
  told.latest = [latest.from, latest.to, latest.subject, latest.text, latest.html, latest.attachments.map((one) => one.name)];
  told.search = [(await mailhog.search("nothing of it")).total, (await mailhog.search("zoe@", "from")).total];
  await mailhog.deleteMessage(latest.ID);
  told.left = (await mailhog.messages()).total;
  await mailhog.deleteAll();
  told.none = (await mailhog.messages()).total;
  console.log(JSON.stringify(told));
})();
