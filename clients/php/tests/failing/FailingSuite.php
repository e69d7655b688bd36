<?php

declare(strict_types=1);

use Fastsmtp\Testing\InteractsWithInbox;
use PHPUnit\Framework\TestCase;

/** Fails, for what it shows: a test of this package compares that. */
final class FailingSuite extends TestCase
{
    use InteractsWithInbox;
    use Sends;

    public function testMissing(): void
    {
        $this->send($this->inbox(), 'x@example.com', 'Welcome back');
        $this->assertMailReceived(['subject' => 'Welcome'], within: '50ms');
    }

    public function testOther(): void
    {
        $this->send($this->inbox(), 'y@example.com');
        self::assertSame('Farewell', $this->inbox()->waitOne()->subject);
    }
}
