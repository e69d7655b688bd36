// For Cypress: tasks for `setupNodeEvents`, where requests are made, and the commands that call them.
import { mailServer } from './index.mjs';

/** Returns the tasks: `on('task', inboxTasks())`. An inbox is open from `inbox:open` to `inbox:close`. */
export function inboxTasks() {
  let inbox;
  const plain = async (mail) => ({
    ...mail.summary, recipients: mail.recipients, text: await mail.text(), html: await mail.html(),
    links: await mail.links(), codes: await mail.codes(),
  });
  return {
    async 'inbox:open'({ name, settings }) {
      inbox = await (await mailServer()).openInbox(name, settings);
      return { smtp: inbox.smtp, address: inbox.address, page: inbox.page };
    },
    async 'inbox:wait'({ where, options }) { return Promise.all((await inbox.wait(where, options)).map(plain)); },
    async 'inbox:waitOne'({ where, options }) { return plain(await inbox.waitOne(where, options)); },
    async 'inbox:exactly'({ wanted, where, options }) { await inbox.exactly(wanted, where, options); return null; },
    async 'inbox:none'({ where, options }) { await inbox.none(where, options); return null; },
    async 'inbox:expectLike'({ golden, where, options }) { return plain(await inbox.expectLike(golden, where, options)); },
    async 'inbox:close'({ keep } = {}) {
      if (keep) inbox?.keep();
      await inbox?.close();
      inbox = undefined;
      return null;
    },
  };
}

/** Adds the commands `cy.openInbox()`, `cy.waitForMail()` and others; for the support file. */
export function addInboxCommands(Cypress, cy) {
  const task = (name, argument) => cy.task(`inbox:${name}`, argument, { timeout: 610_000 });
  const commands = {
    openInbox: (name = 'test', settings = {}) => task('open', { name, settings }),
    waitForMails: (where = {}, options = {}) => task('wait', { where, options }),
    waitForMail: (where = {}, options = {}) => task('waitOne', { where, options }),
    expectMails: (wanted, where = {}, options = {}) => task('exactly', { wanted, where, options }),
    expectNoMail: (where = {}, options = {}) => task('none', { where, options }),
    expectMailLike: (golden, where = {}, options = {}) => task('expectLike', { golden, where, options }),
    closeInbox: (keep = false) => task('close', { keep }),
  };
  for (const [name, command] of Object.entries(commands)) Cypress.Commands.add(name, command);
}
