import { test as base, expect } from 'fastsmtp-testing/playwright';
import { startApp } from './app.mjs';

// The application of each test sends to the inbox of that test.
const test = base.extend({
  app: async ({ inbox }, use) => {
    const server = await startApp(inbox.smtp);
    await use(`http://127.0.0.1:${server.address().port}/`);
    server.close();
  },
});

for (const name of ['ann', 'bob', 'carol']) {
  test(`${name} signs up`, async ({ page, app, inbox }) => {
    await page.goto(app);
    await page.getByLabel('E-mail').fill(`${name}@example.com`);
    await page.getByRole('button').click();
    const mail = await inbox.waitOne({ to: `${name}@example.com`, subject: 'Confirm*' });
    const [code] = await mail.codes();
    await page.getByLabel('Code').fill(code);
    await page.getByRole('button').click();
    await expect(page.getByRole('heading')).toHaveText(`Welcome, ${name}@example.com`);
    await inbox.exactly({ [`${name}@example.com`]: 1 });
  });
}
