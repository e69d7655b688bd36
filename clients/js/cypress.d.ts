export function inboxTasks(): Record<string, (argument: any) => Promise<unknown>>;
export function addInboxCommands(
  Cypress: { Commands: { add(name: string, command: (...given: any[]) => unknown): void } },
  cy: { task(name: string, argument: unknown, options: object): unknown },
): void;
