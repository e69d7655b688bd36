// Fixtures for @playwright/test: `inbox` is an inbox of its own for each test, `mailServer` one server for all workers.
import { test as base } from '@playwright/test';
import { mailServer } from './index.mjs';

export const fixtures = {
  mailServer: [async ({}, use) => use(await mailServer()), { scope: 'worker' }],
  inboxSettings: [{}, { option: true }],
  inbox: async ({ mailServer: server, inboxSettings }, use, testInfo) => {
    const inbox = await server.openInbox(testInfo.title, inboxSettings);
    await use(inbox);
    if (testInfo.status !== testInfo.expectedStatus) {
      await testInfo.attach('mails of this test', { body: await inbox.summary(), contentType: 'text/plain' });
      if (server.stays) inbox.keep();
    }
    await inbox.close();
  },
};

export const test = base.extend(fixtures);
export { expect } from '@playwright/test';
