export type Condition = { [key: string]: unknown };
export interface Item {
  name?: string;
  where?: Condition;
  exactly?: number;
  count?: number;
  at_least?: number;
  at_most?: number;
  none?: boolean;
  for?: string;
  unit?: 'mails' | 'deliveries';
  unique_by?: string;
  in_order?: string;
}
export interface Waiting {
  within?: string;
  after?: string;
}
export interface Endpoint {
  host: string;
  port: number;
  username: string;
}
export interface Attachment {
  filename: string;
  contentType: string;
  content: Uint8Array;
}
export class InboxError extends Error {
  readonly status: number;
}
export class NotAsExpected extends Error {
  readonly report: string;
  readonly page: string;
}
export class Mail {
  readonly summary: Record<string, any>;
  readonly uuid: string;
  readonly sender: string;
  readonly recipients: string[];
  readonly subject: string | null;
  readonly from: string | null;
  readonly to: string[];
  readonly cc: string[];
  readonly replyTo: string[];
  readonly username: string | null;
  payload(): Promise<Record<string, any>>;
  text(): Promise<string | null>;
  html(): Promise<string | null>;
  header(name: string): Promise<string | null>;
  raw(): Promise<Uint8Array>;
  links(): Promise<string[]>;
  codes(): Promise<string[]>;
  attachments(): Promise<Attachment[]>;
  difference(expected: Uint8Array | string): Promise<string[]>;
}
export class Inbox {
  readonly name: string;
  readonly address: string;
  readonly page: string;
  readonly smtp: Endpoint;
  mails(): Promise<Mail[]>;
  cursor(): Promise<string>;
  ledger(): Promise<Record<string, any>>;
  wait(where?: Condition, options?: Waiting & { count?: number }): Promise<Mail[]>;
  waitOne(where?: Condition, options?: Waiting): Promise<Mail>;
  expect(items: Item[], options?: Waiting & { rest?: 'allow' | 'forbid' }): Promise<Record<string, any>>;
  exactly(
    wanted: number | Record<string, number>, where?: Condition, options?: { within?: string },
  ): Promise<Record<string, any>>;
  none(where?: Condition, options?: { within?: string }): Promise<Record<string, any>>;
  expectLike(golden: string, where?: Condition, options?: { within?: string }): Promise<Mail>;
  faults(plan: unknown): Promise<void>;
  summary(): Promise<string>;
  keep(): void;
  close(): Promise<void>;
}
export class MailServer {
  readonly url: string;
  readonly stays: boolean;
  openInbox(name?: string, settings?: Record<string, unknown>): Promise<Inbox>;
}
/** What is used of a test's context in `node:test`. */
export interface TestContext {
  readonly name: string;
  after(hook: () => Promise<void>): void;
  diagnostic(message: string): void;
}
export function mailServer(): Promise<MailServer>;
export function openInbox(t?: TestContext, settings?: Record<string, unknown>): Promise<Inbox>;
