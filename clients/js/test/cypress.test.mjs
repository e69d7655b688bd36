// The commands without Cypress: what they hand to `cy.task` is handed to the tasks, as JSON, as Cypress does.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addInboxCommands, inboxTasks } from '../cypress.mjs';
import { send } from './sending.mjs';

test('commands of Cypress', async () => {
  const tasks = inboxTasks();
  const commands = {};
  const asJSON = (value) => JSON.parse(JSON.stringify(value));
  const cy = { task: async (name, argument) => asJSON(await tasks[name](asJSON(argument))) };
  addInboxCommands({ Commands: { add: (name, command) => { commands[name] = command; } } }, cy);
  const { smtp } = await commands.openInbox('sign up');
  await commands.expectNoMail({}, { within: '20ms' });
  await send(smtp, 'b@example.com', 'Confirm', 'Your code is 482913: https://x.test/go');
  const mail = await commands.waitForMail({ to: 'b@example.com' });
  assert.deepEqual([mail.subject, mail.recipients, mail.links, mail.codes], [
    'Confirm', ['b@example.com'], ['https://x.test/go'], ['482913']]);
  assert.equal((await commands.waitForMails()).length, 1);
  assert.equal(await commands.expectMails({ 'b@example.com': 1 }), null);
  await assert.rejects(commands.expectMailLike('/nonexistent.eml'), /there is no file/);
  assert.equal(await commands.closeInbox(), null);
});
