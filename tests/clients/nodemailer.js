// Sends one mail with nodemailer, over STARTTLS. usage: NODE_PATH=.../node_modules node nodemailer.js HOST PORT
const nodemailer = require("nodemailer");

const [host, port] = process.argv.slice(2);
const png = Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), Buffer.alloc(4000, Buffer.from([0, 1, 2, 3]))]);
const transport = nodemailer.createTransport({
  host,
  port: Number(port),
  name: "client.example.com",
  requireTLS: true,
  tls: { rejectUnauthorized: false },
  auth: { user: "jürgen", pass: "gehëim" },
});
transport
  .sendMail({
    from: { name: "Zoë Müller", address: "zoe@example.com" },
    to: [{ name: "Bob", address: "bob@example.com" }, "carol@example.com"],
    subject: "Grüße aus Köln",
    text: "Schöne Grüße,\nZoë\n",
    html: '<p>Schöne Grüße</p><img src="cid:pixel@example.com">',
    attachments: [
      { filename: "pixel.png", content: png, cid: "pixel@example.com", contentDisposition: "inline" },
      { filename: "Übersicht für März.csv", content: "a;b\n1;2\n", contentType: "text/csv" },
    ],
  })
  .then(() => console.log("sent"), (error) => { console.error(error); process.exit(1); });
