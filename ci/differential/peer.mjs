// Reads messages from standard input, each behind its length in four octets, and writes what postal-mime makes of each
// as one line of JSON. Its argument is the directory of the installed package.
import { pathToFileURL } from "node:url";

const { default: PostalMime, addressParser } = await import(pathToFileURL(`${process.argv[2]}/dist/esm/postal-mime.js`).href);

function addresses(list) {
    return (list ?? []).flatMap((item) => (item.group ? item.group : [item])).map(({ name, address }) => [name ?? "", address ?? ""]);
}

async function view(octets) {
    const mail = await PostalMime.parse(octets, { forceRfc822Attachments: true });
    return {
        subject: mail.subject ?? "",
        // `mail.from` is but the first sender, of the first field.
        from: addresses(mail.headers.filter(({ key }) => key === "from").flatMap(({ value }) => addressParser(value))),
        to: addresses(mail.to),
        text: mail.text ?? "",
        html: mail.html ?? "",
        attachments: mail.attachments.map(({ mimeType, filename, content }) => [
            mimeType,
            filename ?? null,
            Buffer.from(content).toString("base64"),
        ]),
    };
}

let held = Buffer.alloc(0);
for await (const chunk of process.stdin) {
    held = Buffer.concat([held, chunk]);
    while (held.length >= 4 && held.length >= 4 + held.readUInt32LE(0)) {
        const size = held.readUInt32LE(0);
        const octets = new Uint8Array(held.subarray(4, 4 + size));
        held = held.subarray(4 + size);
        let answer;
        try {
            answer = await view(octets);
        } catch (error) {
            answer = { error: String(error) };
        }
        process.stdout.write(JSON.stringify(answer) + "\n");
    }
}
