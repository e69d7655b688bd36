import type { PlaywrightTestArgs, PlaywrightTestOptions, PlaywrightWorkerArgs, PlaywrightWorkerOptions, TestType }
  from '@playwright/test';
import type { Inbox, MailServer } from './index.mjs';

export const test: TestType<
  PlaywrightTestArgs & PlaywrightTestOptions & { inbox: Inbox; inboxSettings: Record<string, unknown> },
  PlaywrightWorkerArgs & PlaywrightWorkerOptions & { mailServer: MailServer }
>;
export const fixtures: Record<string, unknown>;
export { expect } from '@playwright/test';
