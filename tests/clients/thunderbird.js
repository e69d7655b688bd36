// Runs inside of Thunderbird: makes an account, opens the window in which mails are written, and lets it send one over
// STARTTLS. Arguments: host, port, the paths of the files, and what is called at the end, with "sent" or what failed.
const [host, port, paths, resolve] = arguments;

async function makeIdentity(MailServices) {
  MailServices.accounts.createLocalMailAccount();
  const server = MailServices.outgoingServer.createServer("smtp");
  server.QueryInterface(Ci.nsISmtpServer);
  server.hostname = host;
  server.port = port;
  server.socketType = Ci.nsMsgSocketType.alwaysSTARTTLS;
  server.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
  server.username = "jürgen";
  server.password = "gehëim";
  const identity = MailServices.accounts.createIdentity();
  identity.email = "zoe@example.com";
  identity.fullName = "Zoë Müller";
  identity.smtpServerKey = server.key;
  identity.doFcc = false; // no copy of what was sent
  const account = MailServices.accounts.createAccount();
  account.incomingServer = MailServices.accounts.createIncomingServer("zoe", "pop.example.com", "pop3");
  account.addIdentity(identity);
  return identity;
}

function makeAttachment(path) {
  const file = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile);
  file.initWithPath(path);
  const attachment = Cc["@mozilla.org/messengercompose/attachment;1"].createInstance(Ci.nsIMsgAttachment);
  attachment.url = Services.io.newFileURI(file).spec;
  attachment.name = file.leafName;
  attachment.size = file.fileSize;
  return attachment;
}

function writtenIn(identity) {
  const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
  fields.to = "Bob <bob@example.com>, carol@example.com";
  fields.subject = "Grüße aus Köln";
  fields.body = "<p>Schöne Grüße,<br>Zoë</p>";
  paths.forEach(path => fields.addAttachment(makeAttachment(path)));
  const params = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
  params.composeFields = fields;
  params.identity = identity;
  params.type = Ci.nsIMsgCompType.New;
  params.format = Ci.nsIMsgCompFormat.HTML;
  return params;
}

function nextComposeWindow() {
  return new Promise(opened => {
    const listener = {
      onOpenWindow(xulWindow) {
        const win = xulWindow.docShell.domWindow;
        const onLoad = () => {
          if (win.document.documentURI.includes("messengercompose")) {
            Services.wm.removeListener(listener);
            win.addEventListener("compose-editor-ready", () => opened(win), { once: true });
          }
        };
        win.addEventListener("load", onLoad, { once: true });
      },
      onCloseWindow() {},
    };
    Services.wm.addListener(listener);
  });
}

async function send() {
  const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
  const params = writtenIn(await makeIdentity(MailServices));
  const opened = nextComposeWindow();
  MailServices.compose.OpenComposeWindowWithParams(null, params);
  const win = await opened;
  const closed = new Promise(done => win.addEventListener("unload", done, { once: true }));
  win.goDoCommand("cmd_sendNow");
  await closed; // it closes when the mail is sent
  return "sent";
}

send().then(resolve, error => resolve(`${error}\n${error.stack}`));
