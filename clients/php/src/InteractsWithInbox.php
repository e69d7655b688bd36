<?php

declare(strict_types=1);

namespace Fastsmtp\Testing;

use PHPUnit\Framework\Attributes\After;

/**
 * For a TestCase: `$this->inbox()` is an inbox of this test alone. `setUp` and `tearDown` stay the test's own.
 *
 * PHPUnit 9 reads the annotations, later ones the attributes.
 */
trait InteractsWithInbox
{
    private ?Inbox $fastsmtpInbox = null;

    /** Returns the inbox of this test, made the first time. */
    protected function inbox(): Inbox
    {
        $name = method_exists($this, 'name') ? $this->name() : $this->getName(false);
        return $this->fastsmtpInbox ??= Server::get()->openInbox($name, $this->inboxSettings());
    }

    /**
     * The document with which it is made, to be overridden for quotas and modes.
     *
     * @return array<string, mixed>
     */
    protected function inboxSettings(): array
    {
        return [];
    }

    /** @param array<string, mixed> $where */
    protected function assertMailCount(int $count, array $where = [], string $within = '5s'): void
    {
        $this->inbox()->exactly($count, $where, $within);
        $this->addToAssertionCount(1);
    }

    /** @param array<string, int> $recipients how many mails each gets; no other recipient gets any */
    protected function assertMailsExactly(array $recipients, string $within = '5s'): void
    {
        $this->inbox()->exactly($recipients, [], $within);
        $this->addToAssertionCount(1);
    }

    /** @param array<string, mixed> $where */
    protected function assertNoMail(array $where = [], string $within = '1s'): void
    {
        $this->inbox()->none($where, $within);
        $this->addToAssertionCount(1);
    }

    /** @param array<string, mixed> $where */
    protected function assertMailReceived(array $where = [], string $within = '10s'): Mail
    {
        $mail = $this->inbox()->wait(1, $where, $within)[0];
        $this->addToAssertionCount(1);
        return $mail;
    }

    /** @param array<string, mixed> $where */
    protected function assertMailLike(string $golden, array $where = [], string $within = '10s'): Mail
    {
        $mail = $this->inbox()->expectLike($golden, $where, $within);
        $this->addToAssertionCount(1);
        return $mail;
    }

    /** @after */
    #[After]
    protected function closeFastsmtpInbox(): void
    {
        if ($this->fastsmtpInbox === null) {
            return;
        }
        if ($this->fastsmtpTestFailed()) {
            fwrite(STDERR, "\nMails of the test that failed:\n{$this->fastsmtpInbox->summary()}\n");
        }
        if (!$this->fastsmtpTestFailed() || !Server::get()->stays) {
            $this->fastsmtpInbox->close();
        }
        $this->fastsmtpInbox = null;
    }

    private function fastsmtpTestFailed(): bool
    {
        if (method_exists($this, 'status')) {
            return $this->status()->isFailure() || $this->status()->isError();
        }
        return $this->hasFailed();
    }
}
